"""What a client may say when it connects, beyond what most do."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

SERVER = {"options": ("--require-auth",)}


async def first_frame(server, *subprotocols, path=""):
    """The subprotocol that was answered and the first frame, or the code of the close frame."""
    async with connect(server.url + path, subprotocols=subprotocols or None) as websocket:
        try:
            return websocket.subprotocol, (await websocket.recv())[:28]
        except ConnectionClosed as closed:
            return websocket.subprotocol, closed.rcvd.code


async def test_a_token_comes_as_a_subprotocol(server):
    token = (await asyncio.to_thread(server.manage, "createtoken", "local")).strip()
    connected = '{"event":"system.connected",'
    assert await first_frame(server, "bearer", token) == ("bearer", connected)
    assert await first_frame(server, "chat.v1", "bearer", token) == ("bearer", connected)
    assert await first_frame(server, "bearer", "mya_of-nobody-at-all") == ("bearer", 4401)
    assert await first_frame(server, "chat.v1", path=f"?token={token}") == ("chat.v1", connected)
    assert await first_frame(server, "chat.v1", path=f"nowhere/?token={token}") == ("chat.v1", 4404)
    assert token not in server.log and "of-nobody" not in server.log


def ask(server, data):
    """What comes back for these bytes, until the server has ended its side."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(data)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return answer


GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (GET + b"Cookie: " + b"a" * 8_000 + b"\r\n\r\n", b"200"),
        (GET + b"Cookie: " + b"a" * 20_000 + b"\r\n\r\n", b"431"),
        (GET + b"Cookie: " + b"a" * 3_000_000 + b"\r\n\r\n", b"431"),
        (GET + b"".join(b"X-%d: %s\r\n" % (number, b"y" * 100) for number in range(400)) + b"\r\n", b"431"),
        (GET + b"".join(b"X-%d: y\r\n" % number for number in range(900)) + b"\r\n", b"431"),
        (GET.replace(b"healthz", b"a" * 20_000) + b"\r\n", b"414"),
        (GET + b"no colon\r\n\r\n", b"400"),
    ],
    ids=["fits", "long", "very long", "large", "many", "path", "bad"],
)
def test_headers_that_are_too_large(server, data, status):
    answer = ask(server, data)
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
    assert answer.count(b"HTTP/1.1") == 1
    is_refused = status in (b"431", b"414")
    assert server.log.count("Refused a request from 127.0.0.1") == is_refused
    assert "aaaa" not in server.log


POST = b"POST /login/ HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "data",
    [
        POST + b"Content-Length: 20000000\r\n\r\n",
        POST + b"Content-Length: 20000000\r\nExpect: 100-continue\r\n\r\n",
        POST + b"Content-Length: 20000000\r\n\r\n" + bytes(3_000_000),
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + (b"100000\r\n" + bytes(0x100000) + b"\r\n") * 17,
    ],
    ids=["nothing sent", "asked before", "a part sent", "without a length"],
)
def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server, data):
    answer = ask(server, data)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ") and answer.count(b"HTTP/1.1") == 1
    assert json.loads(body)["code"] == "too_large" and json.loads(body)["message"]
