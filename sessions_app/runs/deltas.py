"""Sends the streamed text of one run at the pacer's times: at most one entry on its way, so a slow database makes
fewer and larger pieces instead of a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from myagent.protocol.server_base import ServerEvent
from sessions_app.runs.pacer import DeltaPacer

Offer = Callable[[tuple[ServerEvent, ...]], asyncio.Future[Any]]


class DeltaSender:
    """`offer` queues events for the journal at once, so that nothing overtakes them, and returns their outcome."""

    def __init__(self, pacer: DeltaPacer, offer: Offer) -> None:
        self._pacer = pacer
        self._offer = offer
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._on_its_way = False

    def add_text(self, text: str) -> None:
        self._pacer.add_text(text)
        self._send()

    def add_reasoning(self, text: str) -> None:
        self._pacer.add_reasoning(text)
        self._send()

    def begin(self, step: int) -> None:
        """A step begins, or begins anew."""
        self._cancel_timer()
        self._pacer.begin(step)

    def finish(self) -> tuple[ServerEvent, ...]:
        """The last events of the step, for the entry that ends it."""
        self._cancel_timer()
        return self._pacer.finish(self._loop.time())

    def rest(self) -> tuple[ServerEvent, ...]:
        """What is held of a step that will not be finished."""
        self._cancel_timer()
        return self._pacer.take(self._loop.time())

    def stop(self) -> None:
        """Send nothing more; what is held is dropped."""
        self.rest()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self) -> None:
        if self._timer is not None or self._on_its_way:
            return
        now = self._loop.time()
        due = self._pacer.due(now)
        if due is None:
            return
        if due > now:
            self._timer = self._loop.call_at(due, self._on_time)
        else:
            self._on_its_way = True
            self._offer(self._pacer.take(now)).add_done_callback(self._arrived)

    def _on_time(self) -> None:
        self._timer = None
        self._send()

    def _arrived(self, outcome: asyncio.Future[Any]) -> None:
        # A refusal is not looked at here: the next entry that somebody waits for is refused as well.
        self._on_its_way = False
        if not outcome.cancelled() and outcome.exception() is None:
            self._send()
