"""A worker's side of what it shares with its supervisor, and through it with the other workers."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import select
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from socket import socket

from agents.supervisor.connection_counts import ConnectionCounts
from agents.supervisor.control_channel import ControlChannel, Message
from agents.supervisor.handover import Handover

logger = logging.getLogger("myagent.server")

BEAT_SECONDS = 5.0
"""Between two signs of life."""
END_SECONDS = 10.0
"""How much longer than its drain a worker may take to end."""
LONGEST_ERROR = 4_000
"""Characters of an error that the supervisor is told."""
LOST_CODE = 1
"""The exit code of a worker without a supervisor that could not end in order."""


class SupervisorLink:
    """Tells the supervisor that this worker is ready and alive, stops when it says so, and ends when it is gone."""

    def __init__(self, handover: Handover, *, drain_seconds: float) -> None:
        self.family = handover.family
        self.is_first = handover.is_first
        self.on_grown: Callable[[dict[str, int]], None] = _unheard
        """Called on the loop with the sessions whose logs other workers wrote to; empty when some were not named."""
        self._handover = handover
        self._end_seconds = drain_seconds + END_SECONDS
        self._counts = _counts(handover.folder)
        self._stop: Callable[[], None] | None = None
        self._channel = ControlChannel(socket(fileno=handover.channel), self._told)
        self._is_leaving = False
        self._beats: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """From now on end when the supervisor does, however it ends."""
        copy = os.dup(self._handover.channel)
        threading.Thread(target=self._await_loss, args=(copy,), name="supervisor", daemon=True).start()

    def sockets(self) -> list[socket]:
        """The sockets to serve on, which listen already; once."""
        return self._handover.listening()

    def note(self, count: int) -> None:
        """This worker has so many connections."""
        if self._counts is not None and not self._is_leaving:
            self._counts.note(self._handover.number, count)

    def others_have_fewer(self) -> bool:
        """Whether another worker has fewer connections, and should take the next one."""
        return self._counts is not None and self._counts.others_have_fewer(self._handover.number)

    def leave(self) -> None:
        """This worker takes no connections any more."""
        self._is_leaving = True
        if self._counts is not None:
            self._counts.leave(self._handover.number)

    def open(self, loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
        """Hear what the supervisor says on this loop; `stop`, which may be called from any thread, stops the server."""
        self._stop = stop
        self._channel.open(loop)

    def failed(self, error: str) -> None:
        """This worker cannot serve, and is about to end."""
        self._channel.send("failed", error=error[:LONGEST_ERROR])

    def ready(self, failures: Callable[[], list[str]]) -> None:
        """This worker serves. Called on the loop; `failures` are the agent files that it could not load."""
        self._channel.send("ready", failures=failures())
        self._beats = asyncio.get_running_loop().create_task(self._beat(failures), name="signs of life")

    def wake(self, grown: Mapping[str, int]) -> None:
        """Tell the other workers, on the loop, that the logs of these sessions have grown up to these numbers."""
        self._channel.wake(grown)

    async def _beat(self, failures: Callable[[], list[str]]) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._channel.beat(failures=failures())

    def _told(self, message: Message) -> None:
        match message:
            case {"is": "grown", "grown": grown, "more": more}:
                self.on_grown(grown)
                if more:
                    self.on_grown({})
            case {"is": "stop"} if self._stop is not None:
                self._stop()

    def _await_loss(self, copy: int) -> None:
        """In a thread, since the loop may stand still when the supervisor is killed."""
        poll = select.poll()
        poll.register(copy, 0)  # only what is always reported: that the other end is closed
        poll.poll()
        logger.error("The supervisor has ended. This worker stops, too.")
        atexit.register(shutil.rmtree, self._handover.folder, ignore_errors=True)
        if self._stop is not None:
            self._stop()
            time.sleep(self._end_seconds)
        # Nothing is served yet, or it does not end.
        os._exit(LOST_CODE)


def _counts(folder: str) -> ConnectionCounts | None:
    """None when somebody has cleared the folder away; then whoever is fastest takes a connection."""
    try:
        return ConnectionCounts(folder)
    except OSError as error:
        logger.warning("The workers cannot share connections evenly (%s).", error)
        return None


def _unheard(grown: dict[str, int]) -> None:
    """Before the engine listens there is nothing to wake."""


_link: SupervisorLink | None = None


def set_link(link: SupervisorLink) -> None:
    """Remember the link of this process."""
    global _link
    _link = link


def get_link() -> SupervisorLink | None:
    """The link of this process to its supervisor; None when it has none."""
    return _link
