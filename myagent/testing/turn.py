"""Sends one message to an agent and collects the events of its run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from myagent.client import Client, ServerFrame
from myagent.messages import Content

SECONDS = 60.0
"""How long `ask` waits for the end of a run, far more than a scripted one takes."""

QUESTION_SECONDS = 5.0
"""How long `ask` waits for another client to answer a question that it does not answer itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The events of one run, in order; the last one ends it."""

    session_id: str
    frames: tuple[ServerFrame, ...]

    @property
    def end(self) -> ServerFrame:
        """The event that ended the run: `agent.final_answer`, `agent.interrupted` or `agent.error`."""
        return self.frames[-1]

    @property
    def answer(self) -> str:
        """The text of the answer. Raises `AssertionError` when the run ended in another way."""
        if self.end.event != "agent.final_answer":
            code = f" ({self.end.code})" if self.end.code else ""
            raise AssertionError(f"The run ended with {self.end.event}{code}: {self.end.content}")
        return str(self.end.content)

    @property
    def output(self) -> dict[str, Any]:
        """The value of the answer, of an agent with an `output`. Raises `AssertionError` when there is none."""
        if (value := self.end.output) is None:
            raise AssertionError(f"The answer has no value: {self.answer}")
        return value

    def all(self, event: str) -> list[ServerFrame]:
        """The events of that name."""
        return [frame for frame in self.frames if frame.event == event]


async def ask(
    client: Client,
    content: Content,
    *,
    session_id: str | None = None,
    confirm: bool | None = None,
    seconds: float = SECONDS,
    output_schema: Mapping[str, Any] | None = None,
) -> Turn:
    """Send a message (text, or a list of OpenAI's content parts), and wait for the end of its run.

    It goes to a new session unless one is named. `output_schema` is what its answer has to be, for agents that accept
    that.

    `confirm` answers every question of a tool; None answers none. Raises `AssertionError` when the run has not ended
    after `seconds`, with the events until then, and sooner when a question waits for an answer that nobody gives.
    """
    frames: list[ServerFrame] = []
    waiting: dict[str, ServerFrame] = {}
    try:
        async with asyncio.timeout(seconds) as limit:
            ends = limit.when() or 0.0
            session_id = session_id or await client.create_session()
            run_id = (await client.say(session_id, content, output_schema=output_schema)).run_id
            while not (frames and frames[-1].ends_run):
                frame = await client.wait_for(lambda frame: frame.run_id == run_id)
                frames.append(frame)
                if frame.event == "agent.user_confirm" and confirm is not None and frame.step_id is not None:
                    await client.respond(session_id, frame.step_id, confirm)
                elif frame.event == "agent.user_confirm" and frame.metadata.get("timeout_seconds", 0) > seconds:
                    waiting[frame.metadata["call_step_id"]] = frame
                else:
                    waiting.pop(frame.step_id or "", None)
                soon = asyncio.get_running_loop().time() + QUESTION_SECONDS
                limit.reschedule(min(ends, soon) if waiting else ends)
    except TimeoutError:
        raise AssertionError(_what_is_missing(frames, waiting, seconds)) from None
    return Turn(session_id=session_id, frames=tuple(frames))


def _what_is_missing(frames: list[ServerFrame], waiting: dict[str, ServerFrame], seconds: float) -> str:
    """Why the run has not ended, as far as its events tell."""
    seen = ", ".join(frame.event for frame in frames) or "nothing"
    for asked in waiting.values():
        return (
            f"The tool {asked.metadata.get('tool_name')!r} asks and waits for an answer: {asked.content} Give "
            f"ask(..., confirm=True) or confirm=False, or answer with client.respond(). Until then came: {seen}."
        )
    return f"The run did not end within {seconds:g} s. Until then came: {seen}."
