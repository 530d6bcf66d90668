"""A port of loopback that belongs to this process until it is given back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from agents.hosting.sockets import bind


@contextmanager
def held_port() -> Iterator[int]:
    """A port on which a program may listen that is told its number, also when it is started again.

    It stays bound without anybody listening there, so that the system gives it to no other program in between: neither
    before the first start nor while nothing runs. Until something listens, connections are refused.
    """
    sockets = bind("localhost", 0)
    port = int(sockets[0].getsockname()[1])
    try:
        if sys.platform != "linux":  # elsewhere such a socket is in the way of who wants to listen
            for sock in sockets:
                sock.close()
        yield port
    finally:
        for sock in sockets:
            sock.close()
