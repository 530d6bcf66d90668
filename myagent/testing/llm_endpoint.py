"""A Chat Completions endpoint on this machine that answers with a model of ours, for servers under test.

So a `ScriptedLLM` stays in the test, and the server asks it in the way it asks any other model.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from myagent.exceptions import ContextOverflow, LLMAuthError, LLMError, LLMNotFound, LLMRejected, StreamCut
from myagent.llm import LLM, Chunk, ReasoningChunk, Reply, TextChunk
from myagent.messages import Message, ToolCall

_MAX_REQUEST_BYTES = 64 * 2**20
_STATUS = {LLMAuthError: 401, LLMNotFound: 404, LLMRejected: 400, ContextOverflow: 413}


class LLMEndpoint:
    """Answers requests with `llm`. `failures` are the errors of the test itself, such as a script that has run out."""

    def __init__(self, llm: LLM) -> None:
        self.failures: list[BaseException] = []
        self._llm = llm

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Answer on the running loop; gives what OPENAI_BASE_URL should be."""
        app = web.Application(client_max_size=_MAX_REQUEST_BYTES)
        app.router.add_post("/v1/chat/completions", self._answer)
        # A client that leaves closes the stream of the model.
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            listener = socket.create_server(("127.0.0.1", 0))
            await web.SockSite(runner, listener).start()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            await runner.cleanup()

    @contextmanager
    def serving_in_thread(self) -> Iterator[str]:
        """The same on a loop in a thread of its own, for callers without one."""
        started: Future[tuple[str, Callable[[], object]]] = Future()

        async def run() -> None:
            loop, stop = asyncio.get_running_loop(), asyncio.Event()
            try:
                async with self.serving() as url:
                    started.set_result((url, partial(loop.call_soon_threadsafe, stop.set)))
                    await stop.wait()
            except OSError as error:
                if started.done():
                    raise
                started.set_exception(error)

        thread = threading.Thread(target=asyncio.run, args=(run(),), name="llm-endpoint", daemon=True)
        thread.start()
        url, stop = started.result()
        try:
            yield url
        finally:
            stop()
            thread.join()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        messages = [_message(wire) for wire in body["messages"]]
        response: web.StreamResponse | None = None
        try:
            async with aclosing(self._llm.stream(messages, tools=body.get("tools") or ())) as stream:
                async for chunk in stream:
                    response = response or await _begun(request)
                    await response.write(b"".join(_events(chunk, body)))
        except StreamCut:
            response = response or await _begun(request)
            assert request.transport is not None
            request.transport.close()
            return response
        except Exception as error:  # noqa: BLE001 - of whatever kind, the server has to get an answer
            return await self._refuse(error, response)
        if response is None:
            raise AssertionError(f"{self._llm!r} ended its stream without a Reply")
        await response.write_eof()
        return response

    async def _refuse(self, error: Exception, response: web.StreamResponse | None) -> web.StreamResponse:
        if not isinstance(error, LLMError):
            self.failures.append(error)
        told = orjson.dumps({"error": {"message": str(error), "type": "scripted", "code": _code(error)}})
        if response is not None:
            await response.write(_event(told))
            await response.write_eof()
            return response
        status = next((number for kind, number in _STATUS.items() if isinstance(error, kind)), 503)
        # The client would ask again by itself, and take the script's next reply for the answer to the same request.
        headers = {"x-should-retry": "false"}
        return web.Response(status=status, body=told, content_type="application/json", headers=headers)


async def _begun(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    await response.write(b": begun\n\n")
    return response


def _code(error: Exception) -> str:
    return "context_length_exceeded" if isinstance(error, ContextOverflow) else getattr(error, "code", "test_failed")


def _event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def _events(chunk: Chunk, body: Mapping[str, Any]) -> Iterator[bytes]:
    """The events of a stream that say what `chunk` says; text was said already when the whole reply comes."""
    match chunk:
        case TextChunk(text=text):
            yield _delta({"content": text}, body)
        case ReasoningChunk(text=text):
            yield _delta({"reasoning_content": text}, body)
        case Reply(message=message, usage=usage):
            for index, call in enumerate(message.to_openai().get("tool_calls", ())):
                yield _delta({"tool_calls": [{"index": index, **call}]}, body)
            yield _delta({}, body, finish="tool_calls" if message.tool_calls else "stop")
            tokens = {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens}
            yield _event(orjson.dumps({"choices": [], "model": body.get("model", ""), "usage": tokens}))
            yield _event(b"[DONE]")


def _delta(delta: Mapping[str, Any], body: Mapping[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"object": "chat.completion.chunk", "model": body.get("model", ""), "choices": [choice]}
    return _event(orjson.dumps(chunk))


def _message(wire: Mapping[str, Any]) -> Message:
    """A message of a request; the opposite of `Message.to_openai`."""
    calls = [
        ToolCall(id=call["id"], name=call["function"]["name"], arguments=call["function"]["arguments"])
        for call in wire.get("tool_calls") or ()
    ]
    return Message(
        role=wire["role"],
        content=wire.get("content") or "",
        tool_calls=tuple(calls),
        tool_call_id=wire.get("tool_call_id"),
    )
