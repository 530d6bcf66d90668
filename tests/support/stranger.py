"""What a client without credentials gets: `python stranger.py ADDRESS PORT HOST`, with Python alone.

Prints the status and code of the API, and the first event, close reason or status of a WebSocket.
"""

from __future__ import annotations

import json
import re
import socket
import sys

SECONDS = 20


def answer(address: str, port: int, host: str, *lines: str) -> bytes:
    """What comes back on one connection until it is closed, or until the first frame of a WebSocket."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(SECONDS)
        sock.connect((address, port))
        sock.sendall("\r\n".join([*lines, f"Host: {host}:{port}", "", ""]).encode())
        got = bytearray()
        while piece := sock.recv(65536):
            got += piece
            head, _, body = got.partition(b"\r\n\r\n")
            if head.startswith(b"HTTP/1.1 101") and len(body) > 3:
                break
        return bytes(got)


def api(address: str, port: int, host: str) -> str:
    got = answer(address, port, host, "GET /api/agents/ HTTP/1.1", "Connection: close")
    head, _, _body = got.partition(b"\r\n\r\n")
    code = re.search(rb'"code": "(\w+)"', got)
    return f"{int(head.split()[1])} {code[1].decode() if code else 'agents'}"


def socket_of(address: str, port: int, host: str) -> str:
    upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    head, _, frame = answer(address, port, host, "GET /ws/ HTTP/1.1", *upgrade, key).partition(b"\r\n\r\n")
    if b" 101 " not in head.splitlines()[0]:
        return head.split()[1].decode()
    if frame[0] & 15 == 8:
        return f"{int.from_bytes(frame[2:4])} {frame[4 : 2 + frame[1]].decode()}"
    event = re.search(rb'"event":"([^"]+)"', frame)
    return event[1].decode() if event else repr(frame)


if __name__ == "__main__":
    address, port, host = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    sys.stdout.write(json.dumps({"api": api(address, port, host), "socket": socket_of(address, port, host)}))
