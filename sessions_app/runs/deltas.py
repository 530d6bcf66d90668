"""Streamed text as events: the first piece is sent at once, later ones are joined, none is lost, no index skipped.

`DeltaPacer` decides what is sent when; `DeltaSender` keeps its times.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

from myagent.protocol.server_base import ServerEvent
from myagent.protocol.server_events import PartialAnswer, PartialMetadata, Thinking, ThinkingMetadata


class DeltaPacer:
    """The pieces of one step that are not events yet. Pure: it is told the time, in seconds, and never waits.

    `epoch` is the owner's: a run that is resumed by another process shows its steps under new ids.
    """

    def __init__(self, run_id: uuid.UUID, *, epoch: int, interval: float) -> None:
        self._run_id = str(run_id)
        self._prefix = f"{run_id.hex}-{epoch}"
        self._interval = interval
        self._beginnings = 0
        self.begin(1)

    def begin(self, step: int) -> None:
        """Start or restart a step: held pieces are dropped, indexes begin at 0, the `step_id` is a new one."""
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
        """When the held pieces should be sent; None if there are none."""
        if not self._text and not self._reasoning:
            return None
        return max(now, self._not_before)

    @property
    def is_beginning(self) -> bool:
        """Whether held pieces are the first of the step's text, or of its reasoning."""
        return bool((self._text and not self._text_index) or (self._reasoning and not self._reasoning_index))

    def take(self, now: float) -> tuple[ServerEvent, ...]:
        """The events of all held pieces."""
        self._not_before = now + self._interval
        events: list[ServerEvent] = []
        if self._reasoning:
            # Reasoning comes before the text that results from it.
            metadata = ThinkingMetadata(
                run_id=self._run_id, step=self.step, reasoning=True, index=self._reasoning_index
            )
            events.append(Thinking(content="".join(self._reasoning), metadata=metadata))
            self._reasoning, self._reasoning_index = [], self._reasoning_index + 1
        if self._text:
            events.append(self._partial("".join(self._text), is_final=False))
        return tuple(events)

    def finish(self, now: float) -> tuple[ServerEvent, ...]:
        """The last events of this step, once; if it had text, the last piece of that says `is_final`."""
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


Offer = Callable[[tuple[ServerEvent, ...], bool], asyncio.Future[Any]]


class DeltaSender:
    """Sends the pieces when the pacer says so. Lives on the event loop.

    At most one entry is uncommitted at a time, so a slow database leads to fewer and larger pieces, not to a queue.
    `offer` queues events for the journal at once, so that no later entry overtakes them, and returns their outcome. It
    is told whether the text begins with them, which people wait for.
    """

    def __init__(self, pacer: DeltaPacer, offer: Offer) -> None:
        self._pacer = pacer
        self._offer = offer
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_uncommitted = False

    def add_text(self, text: str) -> None:
        self._pacer.add_text(text)
        self._send()

    def add_reasoning(self, text: str) -> None:
        self._pacer.add_reasoning(text)
        self._send()

    def begin(self, step: int) -> None:
        """A step starts or restarts."""
        self._cancel_timer()
        self._pacer.begin(step)

    def finish(self) -> tuple[ServerEvent, ...]:
        """The last events of the step, for the entry that ends it."""
        self._cancel_timer()
        return self._pacer.finish(self._loop.time())

    def rest(self) -> tuple[ServerEvent, ...]:
        """The events of all held pieces of a step that will not be finished."""
        self._cancel_timer()
        return self._pacer.take(self._loop.time())

    def stop(self) -> None:
        """Drop the held pieces and send nothing more."""
        self.rest()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self) -> None:
        if self._timer is not None or self._is_uncommitted:
            return
        now = self._loop.time()
        due = self._pacer.due(now)
        if due is None:
            return
        if due > now:
            self._timer = self._loop.call_at(due, self._on_timer)
        else:
            self._is_uncommitted = True
            is_beginning = self._pacer.is_beginning
            self._offer(self._pacer.take(now), is_beginning).add_done_callback(self._committed)

    def _on_timer(self) -> None:
        self._timer = None
        self._send()

    def _committed(self, outcome: asyncio.Future[Any]) -> None:
        # A refusal is not reported here: the run's next recorded entry is refused as well.
        self._is_uncommitted = False
        if not outcome.cancelled() and outcome.exception() is None:
            self._send()
