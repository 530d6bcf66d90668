"""How streamed text becomes events: the first piece at once, later ones joined, none lost, indexes without gaps."""

from __future__ import annotations

import uuid

from myagent.protocol.server_base import ServerEvent
from myagent.protocol.server_events import PartialAnswer, PartialMetadata, Thinking, ThinkingMetadata


class DeltaPacer:
    """The pieces of one step that are not events yet. Pure: it is told the time, in seconds, and never waits.

    `epoch` is the owner's: a run that goes on elsewhere shows its steps under new ids.
    """

    def __init__(self, run_id: uuid.UUID, *, epoch: int, interval: float) -> None:
        self._run_id = str(run_id)
        self._prefix = f"{run_id.hex}-{epoch}"
        self._interval = interval
        self._beginnings = 0
        self.begin(1)

    def begin(self, step: int) -> None:
        """Start a step, or start it anew: what is held is dropped, indexes begin at 0, the `step_id` is a new one."""
        self.step = step
        self._beginnings += 1
        self._step_id = f"{self._prefix}.{self._beginnings}"
        self._not_before = 0.0
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._text_index = 0
        self._reasoning_index = 0

    def add_text(self, text: str) -> None:
        self._text.append(text)

    def add_reasoning(self, text: str) -> None:
        self._reasoning.append(text)

    def due(self, now: float) -> float | None:
        """When what is held should go out; None when nothing is held."""
        if not self._text and not self._reasoning:
            return None
        return max(now, self._not_before)

    def take(self, now: float) -> tuple[ServerEvent, ...]:
        """The events of all that is held."""
        self._not_before = now + self._interval
        events: list[ServerEvent] = []
        if self._reasoning:
            # Reasoning comes before the text that it leads to.
            metadata = ThinkingMetadata(
                run_id=self._run_id, step=self.step, reasoning=True, index=self._reasoning_index
            )
            events.append(Thinking(content="".join(self._reasoning), metadata=metadata))
            self._reasoning, self._reasoning_index = [], self._reasoning_index + 1
        if self._text:
            events.append(self._partial("".join(self._text), is_final=False))
        return tuple(events)

    def finish(self, now: float) -> tuple[ServerEvent, ...]:
        """The last events of this step, told once; the text ends with `is_final` if there was any."""
        text, self._text = self._text, []
        events = self.take(now)
        if text or self._text_index:
            events = (*events, self._partial("".join(text), is_final=True))
            self._text_index = 0
        return events

    def _partial(self, text: str, *, is_final: bool) -> PartialAnswer:
        metadata = PartialMetadata(run_id=self._run_id, step=self.step, index=self._text_index, is_final=is_final)
        self._text, self._text_index = [], self._text_index + 1
        return PartialAnswer(step_id=self._step_id, content=text, metadata=metadata)
