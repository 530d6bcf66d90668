"""What goes over the wire to an endpoint, and what comes back, with the package's layers and past them."""

import asyncio
import contextlib
import gzip

import pytest
from openai import APIStatusError

from myagent.llm.http.endpoint import Endpoint
from myagent.llm.http.endpoint_client import EndpointClient
from myagent.llm.http.http_answer import DecodedAnswer, DirectAnswer
from tests.support.patience import WAIT_SECONDS

BODY = b'{"model": "m"}'
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Wire:
    """An endpoint that keeps every request as it comes, and answers with the next of `answers`, or else with `{}`."""

    def __init__(self):
        self.requests, self.answers = [], []
        self.left = asyncio.Event()

    async def serve(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split()[0])
                self.requests.append(head + await reader.readexactly(length))
                writer.write(self.answers.pop(0) if self.answers else WHOLE)
        self.left.set()
        writer.close()


@pytest.fixture
async def wire():
    wire = Wire()
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    async with server:
        yield wire


@pytest.fixture
async def open_client():
    async with contextlib.AsyncExitStack() as opened:

        def open_client(url):
            client = EndpointClient(Endpoint("m", "key-of-a-test", url), timeout=WAIT_SECONDS)
            opened.push_async_callback(client.close)
            return client

        yield open_client


async def body_of(answer):
    pieces = [piece async for piece in _pieces(answer)]
    await answer.close()
    return b"".join(pieces)


async def _pieces(answer):
    while piece := await answer.read():
        yield piece


@pytest.mark.parametrize("url", ["http://{}/v1", "http://user:pass@{}/v1", "http://{}/v1/?api-version=2024-10-21"])
async def test_requests_are_the_same_bytes_with_the_package_and_without(wire, open_client, monkeypatch, url):
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Tenant: 7")
    url = url.format(f"127.0.0.1:{wire.port}")
    direct = open_client(url)
    monkeypatch.setattr("myagent.llm.http.endpoint_client.getproxies", lambda: {"https": "https://for-others.example"})
    by_package = open_client(url)
    for body in (BODY, BODY * 1000):
        for client, kind in ((direct, DirectAnswer), (by_package, DecodedAnswer)):
            answer = await client.post(body)
            assert type(answer) is kind
            assert await body_of(answer) == b"{}"
    assert len(wire.requests) == 4, "looking at what the package writes sends nothing"
    assert wire.requests[0] == wire.requests[1]
    assert wire.requests[2] == wire.requests[3]
    for word in (b"org", b"project", b"x-tenant: 7", b"key-of-a-test" if "@" not in url else b"Basic"):
        assert word.lower() in wire.requests[0].lower()


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_an_error_is_that_of_the_package_after_one_request(wire, open_client, status):
    client = open_client(f"http://127.0.0.1:{wire.port}/v1")
    said = gzip.compress(b'{"error": "no"}')
    head = f"HTTP/1.1 {status} No\r\nretry-after: 7\r\ncontent-encoding: gzip\r\ncontent-length: {len(said)}\r\n\r\n"
    wire.answers.append(head.encode() + said)
    with pytest.raises(APIStatusError) as caught:
        await client.post(BODY)
    assert (caught.value.status_code, caught.value.response.headers["retry-after"]) == (status, "7")
    assert caught.value.response.content == b'{"error": "no"}'
    assert len(wire.requests) == 1
    await body_of(await client.post(BODY))
    assert not wire.left.is_set(), "the connection is used again"


async def test_a_body_that_is_encoded_is_decoded(wire, open_client):
    said = gzip.compress(b"{}" * 1000)
    wire.answers.append(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(said) + said)
    answer = await open_client(f"http://127.0.0.1:{wire.port}/v1").post(BODY)
    assert await body_of(answer) == b"{}" * 1000


async def test_cookies_go_back(wire, open_client):
    """As those of gateways do that keep a client at one machine."""
    client = open_client(f"http://127.0.0.1:{wire.port}/v1")
    wire.answers.append(WHOLE.replace(b"\r\n\r\n", b"\r\nset-cookie: machine=7; path=/\r\n\r\n"))
    await body_of(await client.post(BODY))
    await body_of(await client.post(BODY))
    assert [b"machine=7" in request for request in wire.requests] == [False, True]


async def test_a_redirect_is_followed_by_the_package_from_then_on(wire, open_client):
    client = open_client(f"http://127.0.0.1:{wire.port}/v1")
    moved = b"HTTP/1.1 307 Moved\r\nlocation: /v2/chat/completions\r\ncontent-length: 0\r\n\r\n"
    wire.answers += [moved, moved]
    assert await body_of(await client.post(BODY)) == b"{}"
    wire.answers.append(moved)
    assert await body_of(await client.post(BODY)) == b"{}"
    assert [request.split()[1][:3] for request in wire.requests] == [b"/v1", b"/v1", b"/v2", b"/v1", b"/v2"]


async def test_the_proxy_of_the_environment_is_used(wire, open_client, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{wire.port}")
    assert await body_of(await open_client("http://model.example/v1").post(BODY)) == b"{}"
    (request,) = wire.requests
    assert request.startswith(b"POST http://model.example/v1/chat/completions ")


async def test_the_first_requests_share_their_connections(wire, open_client):
    client = open_client(f"http://127.0.0.1:{wire.port}/v1")
    assert await asyncio.gather(*[_asked(client) for _ in range(8)]) == [b"{}"] * 8
    await client.close()
    await asyncio.wait_for(wire.left.wait(), WAIT_SECONDS)


async def _asked(client):
    return await body_of(await client.post(BODY))
