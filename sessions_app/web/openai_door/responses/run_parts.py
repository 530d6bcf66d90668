"""Where a run falls into parts: each ends with a question, but the last one with the run. Pure.

Only the log decides, so that the parts are the same at each reading. Of calls that run side by side one asks first: its
question ends the part, and what the others do meanwhile is told by the next one, which begins when a question that is
open gets its answer. If others are still open then, that part is over at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from myagent.protocol.server_events import TERMINAL_EVENTS

Frame = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an event belongs: to this part, which it may end."""

    part: int
    is_end: bool


class RunParts:
    """Takes the events of a run, in their order from the first one on."""

    def __init__(self) -> None:
        self.begun = 1
        """How many parts there are."""
        self.is_over = False
        self.open: dict[str, Frame] = {}
        """The questions that nobody has answered, by their ids."""

    def take(self, frame: Frame) -> Placed:
        """Where this event belongs."""
        waited = bool(self.open)
        is_answer = self._resolve(frame)
        if frame["event"] == "agent.user_confirm":
            self.open[frame["step_id"]] = frame
        if self.is_over or frame["event"] in TERMINAL_EVENTS:
            self.is_over = True
            self.open.clear()
            self.begun += waited
            return Placed(self.begun, is_end=True)
        if not waited:
            return Placed(self.begun, is_end=bool(self.open))
        if not is_answer:
            return Placed(self.begun + 1, is_end=False)
        self.begun += 1
        return Placed(self.begun, is_end=bool(self.open))

    def _resolve(self, frame: Frame) -> bool:
        """Take the questions out that are open no more; whether the run goes on because of that."""
        name, step_id, before = frame["event"], frame.get("step_id"), len(self.open)
        if name == "user.response":
            self.open.pop(step_id or "", None)
            return True
        elif name == "agent.tool_result":
            # A question whose time was up has no answer in the log; its call has a result.
            self._forget_call(step_id)
        elif name == "agent.user_confirm":
            # After a takeover a call that is repeated asks once more, and nobody waits for the older answer.
            self._forget_call(frame["metadata"].get("call_step_id"))
        elif name == "agent.tool_call" or (name == "agent.thinking" and not frame["metadata"].get("reasoning")):
            # What hooks ask has no call: the run evidently goes on without an answer.
            self.open.clear()
        return len(self.open) < before

    def _forget_call(self, call: str | None) -> None:
        if call:
            self.open = {key: asked for key, asked in self.open.items() if asked["metadata"]["call_step_id"] != call}
