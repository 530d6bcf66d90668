"""A deterministic OpenAI-compatible model: real HTTP, real streaming, failures on demand.

    with ModelServer() as server:
        server.script(Status(429, headers={"Retry-After": "0"}), Text("hello"))
        ...  # OPENAI_BASE_URL=server.url
        assert server.requests[0].body["stream"] is True

Each request takes the next behaviour of the script, or the default one (`smart`) when the script is over. A request
that the `guard` refuses takes none; `refused` are those. It runs in a thread of its own, so that tests may use any loop
or process; whatever they wait for is a `threading.Event`.
`python -m tests.support.model_server PORT` runs it alone.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from myagent.testing.chat_completions import (
    DONE,
    ChatCompletionsServer,
    begin_stream,
    chunk_event,
    cut,
    delta_event,
    error_response,
)
from tests.support.model_replies import (
    Behaviour,
    Choose,
    NoStreaming,
    NoStreamOptions,
    Raw,
    Reply,
    Silence,
    Status,
    smart,
    text,
    tools,
)
from tests.support.patience import WAIT_SECONDS

__all__ = [
    "ModelServer",
    "NoStreamOptions",
    "NoStreaming",
    "Raw",
    "Reply",
    "Request",
    "Silence",
    "Status",
    "smart",
    "text",
    "tools",
]

Guard = Callable[[dict[str, Any]], Status | None]


@dataclass
class Request:
    """A request the model got. `finished` is set when it was answered, `disconnected` when the client left before."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    peer: tuple[str, int]
    finished: threading.Event = field(default_factory=threading.Event)
    disconnected: threading.Event = field(default_factory=threading.Event)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of the conversation."""
        return list(self.body["messages"])

    @property
    def tool_names(self) -> list[str]:
        """The names of the tools that were offered."""
        return [tool["function"]["name"] for tool in self.body.get("tools", ())]


class ModelServer(ChatCompletionsServer):
    """The server; a context manager."""

    def __init__(self, port: int = 0, *, default: Choose = smart) -> None:
        super().__init__(port)
        self.default = default
        self.guard: Guard | None = None
        self.requests: list[Request] = []
        self.refused: list[Request] = []
        self._script: deque[Behaviour | Choose] = deque()
        self._changed = threading.Condition()
        self._resources = ExitStack()

    def script(self, *behaviours: Behaviour | Choose) -> None:
        """Add behaviours for the next requests, in their order."""
        with self._changed:
            self._script.extend(behaviours)

    def reset(self) -> None:
        """Forget the script and the requests."""
        with self._changed:
            self.guard = None
            self._script.clear()
            self.requests.clear()
            self.refused.clear()

    def request(self, number: int = 1) -> Request:
        """The request with that number, from 1; waits until it has come."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= number, WAIT_SECONDS):
                raise AssertionError(f"only {len(self.requests)} of {number} requests came")
            return self.requests[number - 1]

    def __enter__(self) -> ModelServer:
        self._resources.enter_context(self.serving_in_thread())
        return self

    def __exit__(self, *_error: object) -> None:
        self._resources.close()

    async def answer(self, http: web.Request) -> web.StreamResponse:
        assert http.transport is not None
        peer = http.transport.get_extra_info("peername")[:2]
        request = Request(http.path, http.headers.copy(), await http.json(), peer)
        refusal = self.guard(request.body) if self.guard is not None else None
        with self._changed:
            (self.requests if refusal is None else self.refused).append(request)
            behaviour = refusal or (self._script.popleft() if self._script else self.default)
            self._changed.notify_all()
        if callable(behaviour):
            behaviour = behaviour(request.body)
        try:
            response = await self._behave(behaviour, http, request)
        except (asyncio.CancelledError, ConnectionResetError):
            if not self.is_stopping:
                request.disconnected.set()
            raise
        request.finished.set()
        return response

    async def _behave(self, behaviour: Behaviour, http: web.Request, request: Request) -> web.StreamResponse:
        match behaviour:
            case Reply():
                return await self._reply(behaviour, http, request.body)
            case NoStreaming() if request.body.get("stream"):
                return _error(Status(400, "This model does not support streaming.", "unsupported_value"))
            case NoStreamOptions() if "stream_options" in request.body:
                return _error(Status(400, "Unrecognized request argument supplied: stream_options"))
            case NoStreaming() | NoStreamOptions():
                return await self._reply(behaviour.reply, http, request.body)
            case Status():
                return _error(behaviour)
            case Raw():
                return web.Response(body=behaviour.body, content_type=behaviour.content_type)
            case Silence():
                await behaviour.gate.wait()
                return _error(Status(503, "released"))

    async def _reply(self, reply: Reply, http: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        usage = {"prompt_tokens": 7, "completion_tokens": len(reply.tokens) + len(reply.calls)} if reply.usage else None
        if not (reply.streams and body.get("stream")):
            choice = {"index": 0, "message": reply.message(), "finish_reason": reply.finish_reason}
            return web.json_response({"object": "chat.completion", "choices": [choice], "usage": usage})
        response = await begin_stream(http)
        for number, delta in enumerate(reply.deltas()):
            await self._pause(reply, number)
            if number == reply.cut:
                cut(http)
                return response
            await response.write(delta_event(body, delta))
        await self._pause(reply, sum(1 for _delta in reply.deltas()), last=True)
        ending = b""
        if reply.finish_reason is not None:
            ending += delta_event(body, {}, reply.finish_reason)
            if usage and body.get("stream_options", {}).get("include_usage"):
                ending += chunk_event(body, [], usage=usage)
            ending += DONE
        await response.write(ending)
        await response.write_eof()
        return response

    async def _pause(self, reply: Reply, number: int, *, last: bool = False) -> None:
        if number == reply.hang or (last and reply.hang is not None and reply.hang > number):
            await reply.gate.wait()
        if reply.delay and not last:
            await asyncio.sleep(reply.delay)


def _error(status: Status) -> web.Response:
    if status.body is None:
        return error_response(status.status, status.message, code=status.code, headers=status.headers)
    kind = "application/json" if status.body.startswith(("{", "[")) else "text/html"
    return web.Response(status=status.status, text=status.body, content_type=kind, headers=dict(status.headers))


def main() -> None:
    """Serve until the process is ended."""
    with ModelServer(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
