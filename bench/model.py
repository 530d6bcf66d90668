"""A fake model that costs next to nothing: an OpenAI-compatible server that streams prebuilt bytes.

The first request of a turn is answered with one tool call, its arguments in several deltas; the request that ends in
a tool result with 50 tokens of text. Every delta is an SSE event and an HTTP chunk of its own, as real servers send
them. `POST /delay-ms/N` sets the pause between deltas; with 0 they all leave in one write.

It shares no code with `myagent.testing.chat_completions`: a reply of 53 chunks costs 12 µs of CPU here and 138 µs with
aiohttp, which on one machine would be measured along with the server.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from itertools import count
from typing import Any

import orjson

CITIES = ("Beijing", "Bergen", "Cairo", "Havana", "Lagos", "Lima", "Oslo", "Quito")
TOKENS = 50
_REST = (
    "today: the sky is clear, a light breeze comes from the sea, and the temperature is 21 degrees; tonight it gets "
    "cooler, so take a jacket along if you mean to stay out late, and tomorrow looks much the same, with a little "
    "wind in the afternoon."
)
_CALL_ID = "call_0000000000000000"
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-store\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_END = b"0\r\n\r\n"


def tokens(city: str) -> list[str]:
    """The answer about `city`, token by token."""
    return ["Weather", " in", f" {city}", *(f" {word}" for word in _REST.split())]


def answer(city: str) -> str:
    """The whole answer about `city`."""
    return "".join(tokens(city))


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _sse(choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> bytes:
    body = {
        "id": "chatcmpl-0123456789abcdef0123456789",
        "object": "chat.completion.chunk",
        "created": 1_780_000_000,
        "model": "bench",
        "system_fingerprint": "fp_0123456789",
        "choices": choices,
        "usage": usage,
    }
    return _http_chunk(b"data: %b\n\n" % orjson.dumps(body))


def _delta(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return _sse([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}])


def _ending(finish: str, completion_tokens: int) -> bytes:
    usage = {"prompt_tokens": 60, "completion_tokens": completion_tokens, "total_tokens": 60 + completion_tokens}
    return _delta({}, finish) + _sse([], usage) + _http_chunk(b"data: [DONE]\n\n") + _END


def _call(city: str) -> tuple[bytes, ...]:
    """The pieces of a streamed tool call, each to be written on its own."""

    def part(function: dict[str, str], **more: str) -> bytes:
        return _delta({"tool_calls": [{"index": 0, **more, "function": function}]})

    begin = {"role": "assistant", "content": None}
    arguments = ('{"', "city", '":"', city, '"}')
    return (
        _HEAD + _delta(begin),
        part({"name": "get_weather", "arguments": ""}, id=_CALL_ID, type="function"),
        *(part({"arguments": piece}) for piece in arguments),
        _ending("tool_calls", 7),
    )


def _text(city: str) -> tuple[bytes, ...]:
    """The pieces of a streamed answer."""
    begin = {"role": "assistant", "content": "", "refusal": None}
    deltas = (_delta({"content": token}) for token in tokens(city))
    return (_HEAD + _delta(begin), *deltas, _ending("stop", TOKENS))


CALLS = {city: _call(city) for city in CITIES}
ANSWERS = {city: _text(city) for city in CITIES}


class Model:
    """What all connections share: the pause between deltas in seconds, and the ids of tool calls."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self._numbers = count(1)

    def reply(self, body: bytes) -> tuple[bytes, ...] | str:
        """The pieces that answer a request, or what is wrong with it."""
        last = orjson.loads(body)["messages"][-1]
        city = next((city for city in CITIES if city in str(last["content"])), None)
        if city is None:
            return f"The last message names none of {CITIES}."
        if last["role"] == "tool":
            return ANSWERS[city]
        head, first, *rest = CALLS[city]
        # Same length, so the size of the HTTP chunk stays true.
        return head, first.replace(_CALL_ID.encode(), b"call_%016d" % next(self._numbers)), *rest


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests are answered one after the other."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._serve()

    def _serve(self) -> None:
        while self._timer is None and (request := self._next_request()) is not None:
            self._answer(*request)

    def _next_request(self) -> tuple[bytes, bytes] | None:
        """Take the next complete request off the buffer: its request line and its body."""
        head, end, _ = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        line, *headers = head.split(b"\r\n")
        length = next((int(h[15:]) for h in headers if h[:15].lower() == b"content-length:"), 0)
        size = len(head) + 4 + length
        if len(self._buffer) < size:
            return None
        body = bytes(self._buffer[size - length : size])
        del self._buffer[:size]
        return bytes(line), body

    def _answer(self, line: bytes, body: bytes) -> None:
        method, path, _ = line.split(b" ")
        if method == b"POST" and path.endswith(b"/chat/completions"):
            reply = self._model.reply(body)
            if isinstance(reply, str):
                self._refuse(HTTPStatus.BAD_REQUEST, reply)
            elif self._model.delay:
                self._write_paced(reply, 0, self._loop.time())
            else:
                self._transport.write(b"".join(reply))
        elif method == b"POST" and path.startswith(b"/delay-ms/"):
            self._model.delay = int(path.removeprefix(b"/delay-ms/")) / 1000
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            self._refuse(HTTPStatus.NOT_FOUND, f"{line.decode()} is not served here.")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        body = orjson.dumps({"error": {"message": message, "type": "invalid_request_error"}})
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        self._transport.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)

    def _write_paced(self, pieces: Sequence[bytes], index: int, due: float) -> None:
        """Write one piece now and the next when it is due; what is late is not made later still."""
        self._timer = None
        self._transport.write(pieces[index])
        if index + 1 == len(pieces):
            self._serve()
            return
        due += self._model.delay
        self._timer = self._loop.call_at(due, self._write_paced, pieces, index + 1, due)


async def serve(port: int, delay: float) -> None:
    """Serve on loopback until cancelled; `delay` is in seconds."""
    model = Model(delay)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(model), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay-ms", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.delay_ms / 1000))
