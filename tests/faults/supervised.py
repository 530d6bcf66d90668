"""A server of several workers, and what can be done to it: as a whole, to its supervisor, to one worker."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from random import Random
from typing import Any

from tests.support.agent_server import AgentServer
from tests.support.worker_pids import ServerInSession, is_gone, wait_gone, workers_of

END_SECONDS = 60.0
"""For workers that end in order, on a busy machine."""
REPLACED = re.compile(r"All \d+ workers were replaced\.|(\d+) of \d+ workers were replaced, the others stay")


class SupervisedServer(ServerInSession):
    """`runagent --workers N`. To be killed or paused means: all of its processes, as if their machine were."""

    def __init__(self, *arguments: Any, workers: int, **more: Any) -> None:
        super().__init__(*arguments, options=["--workers", str(workers)], **more)
        self.workers = workers

    def kill(self) -> None:
        self._running.kill()
        while members := self._members():
            for pid in members:
                _signal(pid, signal.SIGKILL)
            wait_gone(*members)
        self.wait_exit()

    def kill_supervisor(self) -> None:
        """End it alone; its workers have to end by themselves and let go of the port."""
        self._running.kill()
        wait_gone(*self._members(), seconds=END_SECONDS)
        self.wait_exit()

    def pause(self) -> None:
        for pid in (self._running.pid, *self._members()):
            _signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self._members():
            _signal(pid, signal.SIGCONT)

    def replace_workers(self) -> None:
        """Ask for new workers."""
        self._running.send_signal(signal.SIGHUP)

    @property
    def replacements(self) -> list[str]:
        """How the requests for new workers ended, until now."""
        return [found[0] for found in REPLACED.finditer(self.log)]

    def one_worker(self, random: Random) -> int | None:
        """The id of one of its workers; None when there is none just now."""
        with suppress(OSError):
            if workers := sorted(pid for pid in workers_of(self) if not is_gone(pid)):
                return random.choice(workers)
        return None

    @property
    def peak_mib(self) -> float:
        """That of the process that had most."""
        return max((AgentServer.peak_of(pid) for pid in self._members()), default=0.0)

    def _members(self) -> set[int]:
        """The processes of its session: the supervisor, its workers, and those that have lost it."""
        found = set()
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with suppress(OSError):
                if os.getsid(int(name)) == self._running.pid and not is_gone(int(name)):
                    found.add(int(name))
        return found


def _signal(pid: int, signum: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signum)
