"""Wake-ups between processes: a session's log grew. The only user of the channel layer.

A wake-up is a hint without content. The layer may drop it (`channels` promises at most once), so every process polls
as well.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from channels.layers import get_channel_layer

logger = logging.getLogger("myagent.wakeups")

GROUP = "myagent.wakeups"
MESSAGE_TYPE = "myagent.grown"
RETRY_SECONDS = 1.0
WARNING_SECONDS = 60.0
"""Between two warnings of one kind while the layer is away: little is lost, and every retry fails alike."""
_SEND_FAILED = "Wake-ups cannot be sent to other processes (%s); they will poll instead. Check REDIS_URL."
_RECEIVE_FAILED = "Wake-ups of other processes cannot be received (%s); polling instead. Check REDIS_URL."


class Wakeups:
    """`on_wake` is called on the loop with the `last_seq` of sessions that grew elsewhere."""

    def __init__(self, on_wake: Callable[[dict[uuid.UUID, int]], None]) -> None:
        self._on_wake = on_wake
        self._layer: Any = get_channel_layer()
        self._name = uuid.uuid4().hex
        self._pending: dict[uuid.UUID, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._has_pending = asyncio.Event()
        self._warned_at: dict[str, float] = {}

    @property
    def is_available(self) -> bool:
        """Whether other processes can be reached at all."""
        return self._layer is not None

    def start(self) -> None:
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
        if self.is_available:
            self._pending.update(last_seqs)
            self._has_pending.set()

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
            self._on_wake({uuid.UUID(session_id): last_seq for session_id, last_seq in message["grown"].items()})
