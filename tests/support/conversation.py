"""What the flow tests say often: a turn, the whole log of a session, an answer's end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from itertools import groupby

from myagent.client import Client, RequestRefused, ServerFrame
from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.log_promises import PARTIAL as PARTIAL
from tests.support.log_promises import check_log as check_log
from tests.support.log_promises import text_of as text_of
from tests.support.model_server import ModelServer
from tests.support.patience import WAIT_SECONDS


async def turn(client: Client, session_id: str, text: str) -> list[ServerFrame]:
    """Say something and return the frames up to the end of its run."""
    accepted = await client.say(session_id, text)
    return await client.until(ended(accepted.run_id))


def ended(run_id: str | None = None):
    """Matches the end of this run, or of any."""
    return lambda frame: frame.ends_run and run_id in (None, frame.run_id)


def kinds(frames: Iterable[ServerFrame]) -> list[str]:
    """The names of the events, neighbouring partial answers as one."""
    names = [frame.event for frame in frames]
    return [name for name, group in groupby(names) for _ in ([name] if name == PARTIAL else group)]


def only(frames: Iterable[ServerFrame], event: str) -> ServerFrame:
    """The one frame with that event."""
    (frame,) = [frame for frame in frames if frame.event == event]
    return frame


async def whole_log(server: AgentServer, session_id: str) -> list[ServerFrame]:
    """Every event that a session's log has now, as a new connection gets them; checked."""
    async with connected(server) as client:
        replayed = await client.reconnect(session_id)
        frames: list[ServerFrame] = []
        while not frames or frames[-1].seq < replayed.last_seq:  # what a run adds meanwhile follows what was replayed
            frames.append(await client.wait_for(lambda frame: frame.seq is not None))
    check_log(frames)
    return frames


async def happens(event: threading.Event) -> None:
    """Wait for something that the model server noticed."""
    assert await asyncio.to_thread(event.wait, WAIT_SECONDS)


async def refusal(client: Client, event: dict) -> ServerFrame:
    """The server's refusal of `event`."""
    try:
        reply = await client.request(event)
    except RequestRefused as refused:
        assert refused.frame.run_id is None and refused.frame.seq is None
        return refused.frame
    raise AssertionError(f"not refused: {reply}")


def response(session_id: str, question: ServerFrame, content: object = True) -> dict:
    """An answer to a question: yes, or whatever a client may say."""
    return {"event": "user.response", "session_id": session_id, "step_id": question.step_id, "content": content}


async def taken_over(
    first: AgentServer, second: AgentServer, model: ModelServer, words: str, *, killed_at: int
) -> tuple[str, ServerFrame]:
    """The session and the end of a run whose process is killed in the model's request with that number."""
    async with connected(first) as here, connected(second) as there:
        session_id = await here.create_session()
        await there.reconnect(session_id)
        run = await here.say(session_id, words)
        await asyncio.to_thread(model.request, killed_at)
        await asyncio.to_thread(first.kill)
        return session_id, await there.wait_for(ended(run.run_id))


def every_event(session_id: str, step_id: str, own: str) -> list[dict]:
    """A frame of each kind that names this session and is answered, in the ways in which one can be named."""
    plain = [
        {"event": name, "session_id": session_id}
        for name in ("user.cancel", "user.close_session", "user.delete_session", "user.request_state", "user.reconnect")
    ]
    return [
        *plain,
        {"event": "user.reconnect", "session_id": session_id, "last_seq": 1},
        {"event": "user.reconnect", "content": {"session_id": session_id, "last_seq": 10**6}},
        {"event": "user.message", "session_id": session_id, "content": "hello"},
        {"event": "user.message", "session_id": session_id, "content": " "},
        {"event": "user.response", "session_id": session_id, "step_id": step_id, "content": {"confirmed": True}},
        {"event": "user.response", "session_id": own, "step_id": step_id, "content": {"confirmed": True}},
        {"event": "user.update_session", "session_id": session_id, "content": {"title": "mine now"}},
        {"event": "user.solve_tasks", "session_id": session_id, "content": {"tasks": ["x"]}},
        {"event": "user.cancel_task", "session_id": session_id, "content": {"task_id": "x"}},
        {"event": "user.restart_task", "session_id": session_id, "content": {"task_id": "x"}},
        {"event": "user.cancel_plan", "session_id": session_id},
        {"event": "user.replan", "session_id": session_id},
        {"event": "user.fork", "session_id": session_id, "at": 1},
        {"event": "user.fork", "session_id": session_id, "before": "x", "content": " "},
        {"event": "user.withdraw", "session_id": session_id, "message_id": "x"},
        {"event": "user.feedback", "session_id": session_id, "run_id": step_id, "rating": "up"},
    ]
