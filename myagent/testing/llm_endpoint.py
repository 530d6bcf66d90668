"""A Chat Completions endpoint on this machine that answers with a model of ours, for servers under test.

So a `ScriptedLLM` stays in the test, and the server asks it in the way it asks any other model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import aclosing
from typing import Any

import orjson
from aiohttp import web

from myagent.exceptions import ContextOverflow, LLMAuthError, LLMError, LLMNotFound, LLMRejected, StreamCut
from myagent.llm import LLM, Chunk, ReasoningChunk, Reply, TextChunk, TextWasReasoning, Usage
from myagent.messages import Message, ToolCall
from myagent.testing.chat_completions import (
    DONE,
    ChatCompletionsServer,
    begin_stream,
    chunk_event,
    cut,
    delta_event,
    error_body,
    error_response,
    event,
)

_STATUS = {LLMAuthError: 401, LLMNotFound: 404, LLMRejected: 400, ContextOverflow: 413}


class LLMEndpoint(ChatCompletionsServer):
    """Answers requests with `llm`. `failures` are the errors of the test itself, such as a script that has run out."""

    def __init__(self, llm: LLM) -> None:
        super().__init__()
        self.failures: list[BaseException] = []
        self._llm = llm

    async def answer(self, request: web.Request) -> web.StreamResponse:
        # When the client leaves, the stream of the model is closed.
        body = orjson.loads(await request.read())
        messages = [_message(wire) for wire in body["messages"]]
        # Declared as in the history's calls, but not to be used.
        tools = body.get("tools") or () if body.get("tool_choice") != "none" else ()
        response: web.StreamResponse | None = None
        try:
            async with aclosing(self._llm.stream(messages, tools=tools)) as stream:
                async for chunk in stream:
                    response = response or await _begun(request)
                    await response.write(b"".join(_events(chunk, body)))
        except StreamCut:
            response = response or await _begun(request)
            cut(request)
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
        code = (
            "context_length_exceeded" if isinstance(error, ContextOverflow) else getattr(error, "code", "test_failed")
        )
        if response is not None:
            await response.write(event(error_body(str(error), code)))
            await response.write_eof()
            return response
        status = next((number for kind, number in _STATUS.items() if isinstance(error, kind)), 503)
        # The client would ask again by itself, and take the script's next reply for the answer to the same request.
        return error_response(status, str(error), code=code, headers={"x-should-retry": "false"})


async def _begun(request: web.Request) -> web.StreamResponse:
    response = await begin_stream(request)
    await response.write(b": begun\n\n")
    return response


def _events(chunk: Chunk, body: Mapping[str, Any]) -> Iterator[bytes]:
    """The events of a stream that say what `chunk` says; text was said already when the whole reply comes."""
    match chunk:
        case TextChunk(text=text):
            yield delta_event(body, {"content": text})
        case ReasoningChunk(text=text):
            yield delta_event(body, {"reasoning_content": text})
        case TextWasReasoning():
            yield delta_event(body, {"content": "</think>"})
        case Reply(message=message, usage=usage, finish=finish):
            for index, call in enumerate(message.to_openai().get("tool_calls", ())):
                yield delta_event(body, {"tool_calls": [{"index": index, **call}]})
            yield delta_event(body, {}, finish or ("tool_calls" if message.tool_calls else "stop"))
            yield chunk_event(body, [], usage=_told(usage))
            yield DONE


def _told(usage: Usage) -> dict[str, Any]:
    of_input = {"cached_tokens": usage.cached_input_tokens, "cache_write_tokens": usage.cache_write_tokens}
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "prompt_tokens_details": of_input,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


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
