"""The processes of a server under a supervisor, as the system shows them."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from tests.support.agent_server import AgentServer
from tests.support.patience import WAIT_SECONDS


class ServerInSession(AgentServer):
    """As a service runs: no terminal controls it."""

    def _line(self, port: int) -> list[str]:
        return ["setsid", *super()._line(port)]


def supervisor_of(server: AgentServer) -> int:
    """The id of the server's first process."""
    return server._running.pid


def workers_of(server: AgentServer) -> set[int]:
    """The ids of the processes that its supervisor has started."""
    pid = supervisor_of(server)
    found = set()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            found |= set(map(int, (thread / "children").read_text().split()))
    return found


def is_gone(pid: int) -> bool:
    """Whether no such process is left; a dead one that nobody has waited for yet counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_gone(*pids: int, seconds: float = WAIT_SECONDS) -> None:
    """Wait until these processes have ended, which are not ours to wait for."""
    until = time.monotonic() + seconds
    while left := [pid for pid in pids if not is_gone(pid)]:
        assert time.monotonic() < until, f"{left} are still there"
        time.sleep(0.02)
