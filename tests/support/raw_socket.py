"""What a test reads from a socket without a client."""

from __future__ import annotations

import socket

from tests.support.patience import WAIT_SECONDS


def read_to_the_end(sock: socket.socket) -> bytes:
    """All that comes until the other side ends the connection, or breaks it."""
    got = bytearray()
    sock.settimeout(WAIT_SECONDS)
    try:
        while piece := sock.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return bytes(got)
