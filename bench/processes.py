"""The servers that are measured: starting, pinning, reading what they use, stopping."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
STOP_SECONDS = 30
_OURS = ("OPENAI_", "MYAGENT_", "LLM_", "DATABASE_URL", "REDIS_URL", "ALLOWED_HOSTS")


class ServerFailed(Exception):
    """A server did not start or ended too early; the text holds the end of its output."""


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


def pin(process: subprocess.Popen[bytes], cores: frozenset[int]) -> None:
    """Keep a process on `cores`, where the system can do that."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, cores)


@contextmanager
def serving(command: Sequence[str], *, port: int, env: Mapping[str, str], cores: frozenset[int]) -> Iterator[int]:
    """Start a server that listens on `port`, yield its process id, stop it at the end.

    Raises `ServerFailed` when it does not listen within `START_SECONDS` or has ended by itself.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(env), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            pin(process, cores)
            if not _listens(process, port):
                raise ServerFailed(f"It does not serve.\n{_story(command, output.fileno())}")
            try:
                yield process.pid
            except Exception as error:
                error.add_note(f"Meanwhile:\n{_story(command, output.fileno())}")
                raise
            if process.poll() is not None:
                raise ServerFailed(f"It has ended by itself.\n{_story(command, output.fileno())}")
        finally:
            _stop(process)


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def _story(command: Sequence[str], output: int) -> str:
    """What a server said last."""
    size = os.fstat(output).st_size
    end = os.pread(output, 4000, max(0, size - 4000)).decode(errors="replace").strip()
    return f"The last words of {' '.join(command)}:\n{end or '(none)'}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
