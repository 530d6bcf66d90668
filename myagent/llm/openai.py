"""The model behind any OpenAI-compatible Chat Completions endpoint.

The `openai` package does authentication, see `endpoint_client`; the stream itself is taken raw and decoded here into
plain dicts, because its typed chunks cost several times as much as everything else a server does per token.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import orjson
from openai import APIConnectionError, APIStatusError

from myagent.exceptions import LLMNotConfigured, LLMRejected, StreamCut
from myagent.llm import Chunk, ToolSchema, Waiting
from myagent.llm.http.clients import Clients
from myagent.llm.http.connection_error import is_permanent
from myagent.llm.http.endpoint import DEFAULT_MODEL, Endpoint, setting, unusable_url
from myagent.llm.http.endpoint_client import EndpointClient
from myagent.llm.http.error_body import read_body
from myagent.llm.http.http_answer import HTTPAnswer
from myagent.llm.http.retries import Retries, is_told
from myagent.llm.http.stream import BROKEN, ResponseBody, unfinished
from myagent.llm.replies.reply import ReplyBuilder
from myagent.llm.replies.text_calls import looks_like_a_call
from myagent.llm.requests.dialect import Dialect, DialectMemory
from myagent.llm.requests.request_forms import ChatRequest, RequestForms
from myagent.messages import Message
from myagent.text import clean_json

_Opening = AsyncGenerator[Waiting | tuple[HTTPAnswer, int]]

logger = logging.getLogger("myagent.model")

_learnt = DialectMemory()
"""What the endpoints of this process refuse, found out by requests that succeeded without it."""


class OpenAILLM:
    """A model behind an OpenAI-compatible Chat Completions endpoint. Satisfies `LLM`, from any number of event loops.

    `model`, `api_key` and `base_url` are read from the environment where they are not given, when they are first
    needed: `LLM_MODEL`, `OPENAI_API_KEY`, `OPENAI_BASE_URL` or `OPENAI_API_BASE`. `timeout` is the longest silence of
    the endpoint in seconds. `max_retries` is how often a request is repeated after 429, 5xx or a refused connection;
    while the model is being loaded it is repeated for `timeout` seconds. `context_window` are the tokens that the model
    can be sent. `extra` is added to every request as it is. `plain_schemas` sends the tools' schemas without references
    and other keywords that Gemini's gateways refuse; without it that is found out by a refusal. `streams=False` asks
    for answers in one piece. `text_tool_calls` runs the tool calls that a model writes into its text, as
    `<tool_call>{…}</tool_call>`.

    Raises `LLMNotConfigured` for a `base_url` that cannot be one; `stream` does when there is no key or no usable URL.
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
        plain_schemas: bool = False,
        streams: bool = True,
        text_tool_calls: bool = False,
    ) -> None:
        if base_url is not None and (problem := unusable_url(base_url, "base_url")) is not None:
            raise LLMNotConfigured(problem)
        self.context_window = context_window
        self._model = model
        self._api_key = api_key
        self._base_url = base_url
        self._timeout = timeout
        self._max_retries = max_retries
        options = {"temperature": temperature, "max_tokens": max_tokens}
        self._options = {name: value for name, value in options.items() if value is not None} | dict(extra or {})
        self._endpoint: Endpoint | None = None
        self._clients = Clients()
        self._forms = RequestForms()
        self._text_tool_calls = text_tool_calls
        self._has_warned = False
        self._dialect = Dialect(streams=streams, plain_schemas=plain_schemas)
        self._may_repeat: Callable[[BaseException | None], bool] | None = None

    @property
    def model(self) -> str:
        """The model's name, for people."""
        return self._model or setting("LLM_MODEL") or DEFAULT_MODEL

    @property
    def address(self) -> str:
        """Where it is asked, for people. Raises `LLMNotConfigured`."""
        return self._resolved().shown

    @property
    def server(self) -> tuple[str, int] | None:
        """The host and port of the endpoint, None before the first request."""
        return self._endpoint.server if self._endpoint is not None else None

    takes_tool_choice = True

    async def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSchema] = (), tool_choice: str | None = None
    ) -> AsyncGenerator[Chunk]:
        """Ask the model; see `myagent.llm.LLM.stream`. With `tool_choice="none"` it may not call the `tools`."""
        endpoint = self._resolved()
        endpoint.check_allowed()
        request = ChatRequest(
            messages=messages,
            tools=tools,
            may_call=tool_choice != "none",
            endpoint=endpoint.shown,
            model=endpoint.model,
            extra=self._options,
        )
        async with aclosing(self._ask(endpoint, request)) as opening:
            async for opened in opening:
                if isinstance(opened, Waiting):
                    yield opened
                else:
                    answer, retries = opened
        names = {tool["function"]["name"] for tool in tools} if request.may_call else set()
        builder = ReplyBuilder(names, runs_text_calls=self._text_tool_calls and bool(names))
        body = ResponseBody(answer, endpoint)
        try:
            while (chunks := await body.read()) is not None:
                for item in builder.add(*chunks):
                    yield item
        except StreamCut:
            if not builder.finished:  # a connection that breaks after the end loses nothing
                raise
        finally:
            await body.close()
        if builder.error is not None:
            raise unfinished(endpoint.refused(None, builder.error))
        for item in builder.close():
            yield item
        reply = builder.reply(is_whole=body.is_whole, retries=retries)
        if names and not self._text_tool_calls and looks_like_a_call(reply.message.text):
            self._warn_of_text_calls()
        data = builder.provider_data(endpoint=endpoint.shown, model=endpoint.model)
        yield reply if data is None else replace(reply, message=replace(reply.message, provider_data=data))

    def in_one_piece(self) -> OpenAILLM:
        """This model, with the same connections, asked without streaming."""
        other = copy.copy(self)
        other._dialect = replace(self._dialect, streams=False)
        return other

    def repeating_while(self, may_repeat: Callable[[BaseException | None], bool]) -> OpenAILLM:
        """This model, with the same connections, for where others can answer in its place.

        Before a request is repeated `may_repeat` is asked, with the error that it failed with and, after the wait, with
        None. That the endpoint loads the model is nothing to wait for.
        """
        other = copy.copy(self)
        other._may_repeat = may_repeat
        return other

    @property
    def dialect(self) -> Dialect:
        """What is known of how the endpoint wants its requests."""
        if self._endpoint is None:
            return self._dialect
        return _learnt.recall((self._endpoint.completions, self._endpoint.model), self._dialect)

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

    def _resolved(self) -> Endpoint:
        self._endpoint = self._endpoint or Endpoint.resolve(self.model, self._api_key, self._base_url)
        return self._endpoint

    async def _ask(self, endpoint: Endpoint, request: ChatRequest) -> _Opening:
        """The same as `_open`, for the first form of the request that the endpoint takes."""
        refusal: LLMRejected | None = None
        for form in self._forms.to_try(request):
            if refusal is not None and not self._forms.may_help(form, refusal):
                continue
            try:
                async with aclosing(self._open(endpoint, request.body(form))) as opening:
                    async for item in opening:
                        yield item
            except LLMRejected as error:
                refusal = refusal or error
            else:
                if refusal is not None:
                    self._forms.learn(form, refusal)
                return
        assert refusal is not None
        try:
            raise refusal
        finally:
            del refusal  # its traceback holds this frame, and with it the connection

    async def _open(self, endpoint: Endpoint, request: dict[str, Any]) -> _Opening:
        """Waits, and in the end the answer with its body unread and the number of repetitions.

        Asks in another form where something is refused that can be left out, and once more where waiting helps.
        """
        client = await self._clients.get(lambda: EndpointClient(endpoint, self._timeout))
        dialect = self.dialect
        retries = Retries(self._max_retries, self._timeout if self._may_repeat is None else 0.0)
        while True:
            logger.debug("POST %s for %s", endpoint.shown, endpoint.model)
            try:
                answer = await client.post(_encoded(dialect.write(request)))
            except APIStatusError as error:
                content = error.response.content
                other = (
                    dialect.after_refusal(content.decode(errors="replace").lower(), request) if _blames(error) else None
                )
                if other is not None:
                    dialect = other
                    continue
                said = read_body(content)
                seconds = retries.after_refusal(error.status_code, error.response.headers, said)
                if seconds is None or not self._repeats_after(error):
                    # Not chained: the package's text may hold the key, and ours says the rest.
                    raise endpoint.refused(error.status_code, said) from None
            except (APIConnectionError, *BROKEN) as error:
                seconds = None if is_permanent(error) else retries.after_break()
                if seconds is None or not self._repeats_after(error):
                    raise endpoint.unreachable(error) from error
            else:
                self._remember(endpoint, dialect)
                yield answer, retries.count
                return
            if is_told(seconds):
                yield Waiting(seconds)
            await asyncio.sleep(seconds)
            if not self._repeats_after(None):
                raise endpoint.given_up()

    def _repeats_after(self, error: BaseException | None) -> bool:
        return self._may_repeat is None or self._may_repeat(error)

    def _remember(self, endpoint: Endpoint, dialect: Dialect) -> None:
        self._dialect = dialect
        _learnt.keep((endpoint.completions, endpoint.model), dialect)


def _encoded(request: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(request)
    except TypeError:  # lone surrogates, or integers of more than 64 bits
        return clean_json(json.dumps(request)).encode()


def _blames(error: APIStatusError) -> bool:
    """Whether a refusal blames the request, so that another one may get around it."""
    return error.status_code in (400, 422)
