"""One worker, as its supervisor sees it."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Self

from agents.supervisor.control_channel import ControlChannel, Message
from agents.supervisor.handover import Handover

Relay = Callable[["WorkerProcess", Mapping[str, int], bool], None]
"""Hands on which logs a worker has written to, and whether there were more than it could name."""


class WorkerProcess:
    """A fresh interpreter with the same command line as this one, which finds in its environment what it is."""

    def __init__(self, number: int, process: asyncio.subprocess.Process, sock: socket.socket, *, relay: Relay) -> None:
        self.number = number
        self.pid = process.pid
        self.heard_at = time.monotonic()
        self.failures: list[str] = []
        """The agent files that it could not load."""
        self.failure = ""
        """Why it could not serve, if it said so."""
        self._ready_at: float | None = None
        self._ready = asyncio.Event()
        self._process = process
        self._relay = relay
        self.channel = ControlChannel(sock, self._told)
        self.channel.open(asyncio.get_running_loop())
        self.ended: asyncio.Task[int] = asyncio.create_task(self._wait())
        """The exit code; negative for a signal, as in `subprocess`."""

    @classmethod
    async def start(
        cls,
        handover: Handover,
        *,
        environment: Mapping[str, str],
        relay: Relay,
    ) -> Self:
        """Start a worker, which is handed a channel of its own. Raises `OSError` when the system does not."""
        ours, theirs = socket.socketpair()
        with theirs:
            handover = replace(handover, channel=theirs.fileno())
            try:
                process = await asyncio.create_subprocess_exec(
                    *[sys.executable, *sys.orig_argv[1:]],
                    stdin=subprocess.DEVNULL,
                    env={**environment, **handover.environment()},
                    pass_fds=handover.files,
                    # Ctrl-C is for the supervisor, which passes it on once.
                    process_group=0,
                )
            except BaseException:
                ours.close()
                raise
        return cls(handover.number, process, ours, relay=relay)

    async def comes_up(self) -> bool:
        """Wait until it serves, or has ended; whether it serves."""
        ready = asyncio.ensure_future(self._ready.wait())
        try:
            await asyncio.wait({ready, self.ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        return self.is_ready

    @property
    def is_ready(self) -> bool:
        """Whether it serves, or has served."""
        return self._ready_at is not None

    @property
    def seconds_served(self) -> float:
        """For how long it has been serving; 0 for one that does not."""
        return time.monotonic() - self._ready_at if self._ready_at is not None else 0.0

    def stop(self) -> None:
        """Let it end in order; may be called again."""
        if self.is_ready:
            self.channel.send("stop")  # a second signal would end it at once, and others may send the first
        else:
            self.signal(signal.SIGTERM)

    def signal(self, signum: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signum)

    def _told(self, message: Message) -> None:
        self.heard_at = time.monotonic()
        match message:
            case {"is": "ready", "failures": failures}:
                self.failures = failures
                self._ready_at = time.monotonic()
                self._ready.set()
            case {"is": "alive", "failures": failures}:
                self.failures = failures
            case {"is": "failed", "error": error}:
                self.failure = str(error)
            case {"is": "grown", "grown": grown, "more": more}:
                self._relay(self, grown, more)

    async def _wait(self) -> int:
        code = await self._process.wait()
        self.channel.close()
        return code


def describe_end(code: int) -> str:
    """How a process ended, for the log."""
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def exit_code(code: int) -> int:
    """The exit code of a program that ends as this child did, as shells put it."""
    return code if code >= 0 else 128 - code
