"""An HTTP server of the Chat Completions API for tests; what it answers is left to a subclass."""

from __future__ import annotations

import asyncio
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import orjson
from aiohttp import web

_MAX_REQUEST_BYTES = 64 * 2**20
DONE = b"data: [DONE]\n\n"


class ChatCompletionsServer(ABC):
    """Listens on this machine, on `port` or any free one. `url` is what OPENAI_BASE_URL should be."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.is_stopping = False

    @abstractmethod
    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; cancelled when its client leaves."""

    @property
    def url(self) -> str:
        """The base URL of the API."""
        return f"http://127.0.0.1:{self.port}/v1"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Answer on the running loop; gives `url`."""
        app = web.Application(client_max_size=_MAX_REQUEST_BYTES)
        app.router.add_post("/v1/chat/completions", self.answer)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
            self.port = listener.getsockname()[1]
            await web.SockSite(runner, listener).start()
            yield self.url
        finally:
            self.is_stopping = True
            await runner.cleanup()

    @contextmanager
    def serving_in_thread(self) -> Iterator[str]:
        """The same on a loop in a thread of its own, for callers without one."""
        started: Future[Callable[[], object]] = Future()

        async def run() -> None:
            loop, stop = asyncio.get_running_loop(), asyncio.Event()
            try:
                async with self.serving():
                    started.set_result(partial(loop.call_soon_threadsafe, stop.set))
                    await stop.wait()
            except OSError as error:
                if started.done():
                    raise
                started.set_exception(error)

        thread = threading.Thread(target=asyncio.run, args=(run(),), name="chat-completions", daemon=True)
        thread.start()
        stop = started.result()
        try:
            yield self.url
        finally:
            stop()
            thread.join()


async def begin_stream(request: web.Request) -> web.StreamResponse:
    """Send the head of a streamed answer."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    return response


def cut(request: web.Request) -> None:
    """Close the connection in the middle of an answer."""
    assert request.transport is not None
    request.transport.close()


def chunk_event(body: Mapping[str, Any], choices: Sequence[Mapping[str, Any]], **more: Any) -> bytes:
    """One event of the stream that answers the request `body`."""
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": body.get("model", "")}
    return event({**chunk, "choices": choices, **more})


def delta_event(body: Mapping[str, Any], delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    """The same with what is new in the one choice."""
    return chunk_event(body, [{"index": 0, "delta": delta, "finish_reason": finish}])


def event(data: Mapping[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + orjson.dumps(data) + b"\n\n"


def error_response(
    status: int, message: str, *, code: str | None, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A refusal in OpenAI's shape."""
    told = orjson.dumps(error_body(message, code))
    return web.Response(status=status, body=told, content_type="application/json", headers=headers)


def error_body(message: str, code: str | None) -> dict[str, Any]:
    """What a refusal says; the same goes into a stream that has begun."""
    return {"error": {"message": message, "type": "error", "param": None, "code": code}}
