"""What the flow tests say often: a turn, the whole log of a session, and what must be true of every log."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby

from myagent.client import Client, RequestRefused, ServerFrame
from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.patience import WAIT_SECONDS

PARTIAL = "agent.partial_answer"


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


def text_of(frames: Iterable[ServerFrame]) -> str:
    """The deltas of the last step, joined; a reset makes them void."""
    pieces: list[str] = []
    step = 0
    for frame in frames:
        if frame.event == "agent.step_reset" or frame.metadata.get("step", step) != step:
            pieces, step = [], frame.metadata["step"]
        if frame.event == PARTIAL:
            pieces.append(frame.content)
    return "".join(pieces)


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


def check_log(frames: Sequence[ServerFrame]) -> None:
    """What the protocol promises of every log that is complete up to its end."""
    seqs = [frame.seq for frame in frames]
    assert seqs == sorted(set(seqs)), seqs
    assert all(frame.event_id == f"{frame.session_id}-{frame.seq}" for frame in frames)
    assert all(frame.timestamp.endswith("Z") for frame in frames)
    over: set[str] = set()
    for frame in frames:
        if frame.run_id is not None:
            assert frame.run_id not in over, f"{frame} came after the end of its run"
            over |= {frame.run_id} if frame.ends_run else set()
        else:
            assert frame.event.startswith(("agent.session_", "user.feedback")), frame
    _check_deltas(frames)
    _check_calls(frames)


def _check_deltas(frames: Sequence[ServerFrame]) -> None:
    steps = defaultdict(list)
    for frame in frames:
        if frame.event == PARTIAL:
            steps[frame.step_id].append(frame)
    for deltas in steps.values():
        assert [frame.metadata["index"] for frame in deltas] == list(range(len(deltas)))
        assert not any(frame.metadata["is_final"] for frame in deltas[:-1])


def _check_calls(frames: Sequence[ServerFrame]) -> None:
    over = {frame.run_id for frame in frames if frame.ends_run}
    calls = [frame.step_id for frame in frames if frame.event == "agent.tool_call"]
    results = [frame.step_id for frame in frames if frame.event == "agent.tool_result"]
    assert len(set(calls)) == len(calls)
    assert len(set(results)) == len(results) and set(results) <= set(calls)
    open_calls = {frame.step_id for frame in frames if frame.event == "agent.tool_call" and frame.run_id in over}
    assert open_calls <= set(results), "a run ended with an open call"


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
