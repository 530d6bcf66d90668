"""The servers that are measured: starting, pinning, reading what they use, stopping."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from myagent.testing.server_process import START_SECONDS, ServerFailed, ServerProcess

ROOT = Path(__file__).resolve().parent.parent
_OURS = ("OPENAI_", "MYAGENT_", "LLM_", "DATABASE_URL", "REDIS_URL", "ALLOWED_HOSTS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Which cores the measured servers get, and which the model and the client."""

    server: frozenset[int]
    load: frozenset[int]

    @classmethod
    def split(cls, *, pin: bool) -> Cores:
        """The first usable core for the server and the others for the rest; all for everybody without `pin`."""
        if not hasattr(os, "sched_getaffinity"):
            return cls(server=frozenset(), load=frozenset())
        first, *others = sorted(os.sched_getaffinity(0))
        if not pin or not others:
            return cls(server=frozenset({first, *others}), load=frozenset({first, *others}))
        return cls(server=frozenset({first}), load=frozenset(others))


def cpu_seconds(pid: int) -> float:
    """User and system time, all threads, of a process and of those that it started."""
    process = psutil.Process(pid)
    times = [member.cpu_times() for member in (process, *process.children(recursive=True))]
    return float(sum(spent.user + spent.system for spent in times))


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and of those that it started."""
    process = psutil.Process(pid)
    return sum(member.memory_info().rss for member in (process, *process.children(recursive=True)))


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what would lead a server elsewhere (keys, databases, proxies), and `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return kept | {"NO_PROXY": "*", "no_proxy": "*", "PYTHONUNBUFFERED": "1"} | dict(more)


def free_port() -> int:
    """A port on loopback that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pin(pid: int, cores: frozenset[int]) -> None:
    """Keep a process on `cores`, where the system can do that."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(pid, cores)


class MeasuredServer(ServerProcess):
    """A server on a port that was chosen for it, kept on `cores`; it need not say where it listens."""

    def __init__(self, command: Sequence[str], *, port: int, env: Mapping[str, str], cores: frozenset[int]) -> None:
        super().__init__(lambda _port: command, folder=ROOT, environment=environment(env))
        self.port = port
        self._cores = cores

    @property
    def pid(self) -> int:
        """The id of the process that runs."""
        return self._running.pid

    @property
    def last_words(self) -> str:
        """The end of what it wrote."""
        return (self.said + self.log)[-4000:]

    def _listens(self) -> bool:
        pin(self.pid, self._cores)
        deadline = time.monotonic() + START_SECONDS
        while not self.has_ended and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return True
        return False


@contextmanager
def serving(command: Sequence[str], *, port: int, env: Mapping[str, str], cores: frozenset[int]) -> Iterator[int]:
    """Start a server that listens on `port`, yield its process id, stop it at the end.

    Raises `ServerFailed` when it does not listen in time or has ended by itself.
    """
    server = MeasuredServer(command, port=port, env=env, cores=cores)
    try:
        server.start()
        try:
            yield server.pid
        except Exception as error:
            error.add_note(f"Meanwhile {' '.join(command)} said:\n{server.last_words}")
            raise
        if server.has_ended:
            server.wait_exit()
            raise ServerFailed(f"{' '.join(command)} has ended by itself.", server.last_words)
    finally:
        server.stop()
