"""What a forked child of the server must not keep: its port, the connections of its clients, its handlers of signals.

Programs that are started with exec inherit none of it. A fork has all of it, and would keep the port taken and clients
waiting after the server has ended.
"""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress

_ports: set[int] = set()


def keep_from_forks(port: int) -> None:
    """From now on no fork keeps a socket with this local port."""
    if not _ports:
        os.register_at_fork(after_in_child=_let_go)
    _ports.add(port)


def _let_go() -> None:
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in map(int, os.listdir("/dev/fd")):
        if _local_port(number) in _ports:
            # The number stays taken: the objects that know it would close what gets it next.
            os.dup2(nothing, number, inheritable=False)
    os.close(nothing)


def _local_port(number: int) -> int | None:
    """The local port of a file, if it is a socket that has one."""
    with suppress(OSError):
        sock = socket.socket(fileno=number)
        try:
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                return int(sock.getsockname()[1])
        finally:
            sock.detach()
    return None
