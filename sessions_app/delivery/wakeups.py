"""Wake-ups between processes: a session's log grew. The only user of the channel layer.

Workers of one supervisor reach each other through it, all others through the layer.

A wake-up is a hint without content. The layer may drop it (`channels` promises at most once), so every process polls
as well.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from channels.layers import get_channel_layer

logger = logging.getLogger("myagent.wakeups")

GROUP = "myagent.wakeups"
MESSAGE_TYPE = "myagent.grown"
RETRY_SECONDS = 1.0
WARNING_SECONDS = 60.0
"""Between two warnings of one kind while the layer is away: little is lost, and every retry fails alike."""
_SEND_FAILED = "Wake-ups cannot be sent to other processes (%s); they will poll instead. Check REDIS_URL."
_RECEIVE_FAILED = "Wake-ups of other processes cannot be received (%s); polling instead. Check REDIS_URL."


_QUEUED = uuid.UUID(int=0)
"""No session: it stands in the message for all that wait. A server that does not know it finds no such session."""


class Siblings(Protocol):
    """The other workers of one supervisor."""

    family: str
    """What all of them have in common."""
    on_grown: Callable[[dict[str, int]], None]
    """Called on the loop with the sessions that grew there; empty when some cannot be named."""

    def wake(self, grown: Mapping[str, int]) -> None:
        """Tell them, on the loop, without waiting."""
        ...


class Wakeups:
    """`on_wake` is called on the loop with the `last_seq` of sessions that grew elsewhere, `on_queued` when a process
    has no place for a run.
    """

    def __init__(
        self,
        on_wake: Callable[[dict[uuid.UUID, int]], None],
        on_queued: Callable[[], None],
        siblings: Siblings | None = None,
    ) -> None:
        self._on_wake = on_wake
        self._on_queued = on_queued
        self._layer: Any = get_channel_layer()
        self._siblings = siblings
        # What siblings send to the layer is known from them already.
        self._name = siblings.family if siblings is not None else uuid.uuid4().hex
        self._pending: dict[uuid.UUID, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._has_pending = asyncio.Event()
        self._warned_at: dict[str, float] = {}

    @property
    def is_available(self) -> bool:
        """Whether processes that are no siblings can be reached at all."""
        return self._layer is not None

    def start(self) -> None:
        if self._siblings is not None:
            self._siblings.on_grown = self._grown
        if self.is_available:
            self._tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._receive())]

    async def stop(self) -> None:
        while pending := [task for task in self._tasks if not task.done()]:
            for task in pending:
                task.cancel()
            # Then again: `asyncio.wait_for` of Python 3.11, which clients of Redis use, may swallow a cancellation.
            await asyncio.wait(pending, timeout=RETRY_SECONDS)
        if self.is_available and hasattr(self._layer, "close_pools"):
            await self._layer.close_pools()

    def announce(self, last_seqs: Mapping[uuid.UUID, int]) -> None:
        """Notify the other processes; several calls may become one message."""
        if self._siblings is not None:
            self._siblings.wake({str(session_id): last_seq for session_id, last_seq in last_seqs.items()})
        if self.is_available:
            self._pending.update(last_seqs)
            self._has_pending.set()

    def announce_queued(self) -> None:
        """Notify the other processes that a run waits for a place, in whichever process it may be."""
        self.announce({_QUEUED: 1})

    async def _send(self) -> None:
        while True:
            await self._has_pending.wait()
            self._has_pending.clear()
            pending, self._pending = self._pending, {}
            grown = {str(session_id): last_seq for session_id, last_seq in pending.items()}
            try:
                await self._layer.group_send(GROUP, self._message(grown))
            except Exception as error:  # noqa: BLE001 - whatever the layer's backend raises, polling makes up for it
                self._warn(_SEND_FAILED, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _receive(self) -> None:
        channel = ""
        while True:
            try:
                if not channel:
                    # `new_channel` of a layer that cannot be reached leaks memory with each try, so try to send first.
                    await self._layer.group_send(GROUP, self._message({}))
                    channel = await self._layer.new_channel()
                await self._layer.group_add(GROUP, channel)
                while True:
                    self._wake(await self._layer.receive(channel))
            except Exception as error:  # noqa: BLE001 - see _send
                self._warn(_RECEIVE_FAILED, error)
                await asyncio.sleep(RETRY_SECONDS)

    def _warn(self, words: str, error: Exception) -> None:
        now = time.monotonic()
        is_due = now >= self._warned_at.get(words, -WARNING_SECONDS) + WARNING_SECONDS
        if is_due:
            self._warned_at[words] = now
        logger.log(logging.WARNING if is_due else logging.DEBUG, words, error)

    def _message(self, grown: dict[str, int]) -> dict[str, Any]:
        return {"type": MESSAGE_TYPE, "from": self._name, "grown": grown}

    def _wake(self, message: dict[str, Any]) -> None:
        if message.get("from") != self._name:
            self._grown(message["grown"])

    def _grown(self, grown: Mapping[str, int]) -> None:
        last_seqs = {uuid.UUID(session_id): last_seq for session_id, last_seq in grown.items()}
        if last_seqs.pop(_QUEUED, None) or not grown:  # of those that cannot be named one may be this
            self._on_queued()
        self._on_wake(last_seqs)
