"""The model behind any OpenAI-compatible Chat Completions endpoint. The only module that imports `openai`.

The package keeps authentication, retries and timeouts; the stream itself is taken raw and decoded here into plain
dicts, because its typed chunks cost several times as much as everything else a server does per token.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import httpx2
import orjson
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, DefaultAioHttpClient

from myagent.exceptions import StreamCut
from myagent.llm import Chunk, ToolSchema
from myagent.llm.endpoint import DEFAULT_MODEL, Endpoint, setting
from myagent.llm.reply import ReplyBuilder, joined
from myagent.llm.stream import BROKEN, ResponseBody, unfinished
from myagent.llm.text_calls import looks_like_a_call
from myagent.messages import Message
from myagent.text import clean_json

logger = logging.getLogger("myagent.model")

_CONNECT_SECONDS = 10.0
# One connection per answer being streamed. Idle ones live longer than httpx's 5 s, so that a chat finds its own again.
_LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=60.0)
_ABOUT_USAGE = re.compile(r"\bstream_options|\binclude_usage")
_ABOUT_STREAM = re.compile(r"\bstream")


class OpenAILLM:
    """A model behind an OpenAI-compatible Chat Completions endpoint. Satisfies `LLM`, from any number of event loops.

    `model`, `api_key` and `base_url` are read from the environment where they are not given, when they are first
    needed: `LLM_MODEL`, `OPENAI_API_KEY`, `OPENAI_BASE_URL` or `OPENAI_API_BASE`. `timeout` is the longest silence of
    the endpoint in seconds. `max_retries` is how often a request is repeated after 429, 5xx or a refused connection.
    `context_window` are the tokens that the model can be sent. `extra` is added to every request as it is.
    `text_tool_calls` runs the tool calls that a model writes into its text, as `<tool_call>{…}</tool_call>`.

    `stream` raises `LLMNotConfigured` when there is no key or no usable URL.
    """

    provider = "openai"
    """The protocol, for traces."""

    def __init__(
        self,
        model: str | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        timeout: float = 300.0,
        max_retries: int = 2,
        context_window: int | None = None,
        extra: Mapping[str, Any] | None = None,
        text_tool_calls: bool = False,
    ) -> None:
        self.context_window = context_window
        self._model = model
        self._api_key = api_key
        self._base_url = base_url
        self._timeout = timeout
        self._max_retries = max_retries
        options = {"temperature": temperature, "max_tokens": max_tokens}
        self._options = {name: value for name, value in options.items() if value is not None} | dict(extra or {})
        self._endpoint: Endpoint | None = None
        self._clients = _Clients()
        self._text_tool_calls = text_tool_calls
        self._has_warned = False
        # What the endpoint refuses, found out by requests that succeeded without it.
        self._streams = True
        self._reports_usage = True

    @property
    def model(self) -> str:
        """The model's name, for people."""
        return self._model or setting("LLM_MODEL") or DEFAULT_MODEL

    @property
    def server(self) -> tuple[str, int] | None:
        """The host and port of the endpoint, None before the first request."""
        return self._endpoint.server if self._endpoint is not None else None

    async def stream(self, messages: Sequence[Message], *, tools: Sequence[ToolSchema] = ()) -> AsyncGenerator[Chunk]:
        """Ask the model; see `myagent.llm.LLM.stream`."""
        endpoint = self._endpoint = self._endpoint or Endpoint.resolve(self.model, self._api_key, self._base_url)
        endpoint.check_allowed()
        request: dict[str, Any] = {"model": endpoint.model, "messages": [message.to_openai() for message in messages]}
        if tools:
            request["tools"] = list(tools)
        response = await self._open(endpoint, request | self._options)
        body = ResponseBody(response, endpoint)
        names = {tool["function"]["name"] for tool in tools}
        builder = ReplyBuilder(names, runs_text_calls=self._text_tool_calls and bool(tools))
        try:
            async with aclosing(body.bursts()) as arriving:
                async for chunks in arriving:
                    for item in joined(item for chunk in chunks for item in builder.add(chunk)):
                        yield item
        except StreamCut:
            if not builder.finished:  # a connection that breaks after the end loses nothing
                raise
        finally:
            await response.aclose()
        if builder.error is not None:
            raise unfinished(endpoint.refused(None, builder.error))
        for item in joined(builder.close()):
            yield item
        reply = builder.reply(is_whole=body.is_whole, retries=_retries_of(response))
        if tools and not self._text_tool_calls and looks_like_a_call(reply.message.text):
            self._warn_of_text_calls()
        yield reply

    async def aclose(self) -> None:
        """Close the connections of the running event loop; those of other loops are closed when they shut down."""
        await self._clients.close()

    def _warn_of_text_calls(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%s writes tool calls into its text as <tool_call>{…}</tool_call>, which do not run. Start its server "
                "with a parser for tool calls, or give the agent OpenAILLM(text_tool_calls=True).",
                self.model,
            )

    def _connect(self, endpoint: Endpoint) -> AsyncOpenAI:
        return AsyncOpenAI(
            api_key=endpoint.key,
            base_url=endpoint.address,
            default_headers=endpoint.headers,
            timeout=httpx2.Timeout(self._timeout, connect=_CONNECT_SECONDS),
            max_retries=self._max_retries,
            http_client=DefaultAioHttpClient(limits=_LIMITS),
        )

    async def _open(self, endpoint: Endpoint, request: dict[str, Any]) -> httpx2.Response:
        """The response with its body unread. Asks without streaming, or without usage, where these are refused."""
        client = await self._clients.get(lambda: self._connect(endpoint))
        streams, reports_usage = self._streams, self._reports_usage
        while True:
            asked = dict(request)
            if streams:
                asked["stream"] = True
                if reports_usage:
                    asked.setdefault("stream_options", {"include_usage": True})
            try:
                logger.debug("POST %s/chat/completions for %s", endpoint.shown.rstrip("/"), endpoint.model)
                response = await _post(client, asked)
            except APIStatusError as error:
                words = _refusal_words(error)
                if streams and reports_usage and _ABOUT_USAGE.search(words):
                    reports_usage = False
                elif streams and _ABOUT_STREAM.search(words):
                    streams = False
                else:
                    # Not chained: the package's text may hold the key, and ours says the rest.
                    raise endpoint.refused(error.status_code, error.body) from None
            except (APIConnectionError, *BROKEN) as error:
                raise endpoint.unreachable(error) from error
            else:
                self._streams, self._reports_usage = streams, reports_usage
                return response


async def _post(client: AsyncOpenAI, request: dict[str, Any]) -> httpx2.Response:
    try:
        content = orjson.dumps(request)
    except TypeError:  # lone surrogates, or integers of more than 64 bits
        content = clean_json(json.dumps(request)).encode()
    # With `httpx2.Response` to cast to, `stream=True` hands the response over untouched.
    # The whole URL, because the package takes its time to put one together from parts.
    return await client.post(
        f"{client.base_url}chat/completions",
        cast_to=httpx2.Response,
        content=content,
        options={"headers": {"Content-Type": "application/json"}},
        stream=True,
    )


def _retries_of(response: httpx2.Response) -> int:
    """How often the package repeated the request; it says so in a header of its own."""
    count = response.request.headers.get("x-stainless-retry-count", "")
    return int(count) if count.isdigit() else 0


def _refusal_words(error: APIStatusError) -> str:
    """What a refusal says, when it is one that another request may get around."""
    return f"{error.message} {error.body}".lower() if error.status_code in (400, 422) else ""


class _Clients:
    """One client per event loop, because connections belong to the loop that opened them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[asyncio.AbstractEventLoop, tuple[AsyncOpenAI, AsyncGenerator[None]]] = {}

    async def get(self, connect: Callable[[], AsyncOpenAI]) -> AsyncOpenAI:
        """The running loop's client; `connect` makes one when there is none yet."""
        loop = asyncio.get_running_loop()
        if kept := self._kept.get(loop):
            return kept[0]
        client = connect()
        keeper = _keep(client)
        await anext(keeper)
        with self._lock:
            # A client refers to its loop, so weak keys would not let go of it: forget closed loops here instead.
            for gone in [old for old in self._kept if old.is_closed()]:
                del self._kept[gone]
            self._kept[loop] = (client, keeper)
        return client

    async def close(self) -> None:
        """Close the running loop's client, if there is one; the next `get` makes a new one."""
        with self._lock:
            kept = self._kept.pop(asyncio.get_running_loop(), None)
        if kept is not None:
            await kept[1].aclose()


async def _keep(client: AsyncOpenAI) -> AsyncGenerator[None]:
    """Closes `client` when it is closed itself, which a loop does with every async generator as it shuts down."""
    try:
        yield
    finally:
        await client.close()
