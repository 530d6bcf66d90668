"""`LLM`, the protocol between the loop and a language model, and what a model's stream consists of.

One module per provider: `openai` for Chat Completions endpoints, `demo` for the demo model.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from myagent.messages import Message

NANOS = 1_000_000_000
"""Billionths in one unit of a currency. Whole numbers of them add up exactly, in every database."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and model calls that were spent, and what they cost where that is known; can be added.

    A sum has one currency, that of its first part: what others cost is not added, so that its tokens have no price.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    llm_calls: int = 0
    cached_input_tokens: int = 0
    """Of the input, what the endpoint had in its cache."""
    cache_write_tokens: int = 0
    """Of the input, what the endpoint put into its cache."""
    reasoning_tokens: int = 0
    """Of the output, what the model thought."""
    cost_nanos: int = 0
    """What `priced_tokens` cost, in billionths of `currency`."""
    priced_tokens: int = 0
    """Of the input and the output, the tokens whose price is known."""
    currency: str = ""
    """ISO 4217, such as `EUR`; empty while nothing has a price."""

    def __add__(self, other: Usage) -> Usage:
        is_one_currency = not self.currency or other.currency in ("", self.currency)
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.llm_calls + other.llm_calls,
            self.cached_input_tokens + other.cached_input_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.cost_nanos + other.cost_nanos * is_one_currency,
            self.priced_tokens + other.priced_tokens * is_one_currency,
            self.currency or other.currency,
        )

    @property
    def is_any(self) -> bool:
        """Whether anything was spent."""
        return bool(self.input_tokens or self.output_tokens or self.llm_calls)

    @property
    def cost(self) -> Decimal | None:
        """What it cost, in `currency`; None unless the price of all its tokens is known."""
        if not self.priced_tokens or self.priced_tokens != self.input_tokens + self.output_tokens:
            return None
        return Decimal(self.cost_nanos) / NANOS


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A piece of the answer's text, as it is streamed."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningChunk:
    """A piece of the model's reasoning, as it is streamed. It is shown, and never sent back to the model."""

    text: str


@dataclass(frozen=True, slots=True)
class TextWasReasoning:
    """Says that `text`, all the text that was streamed so far, was reasoning and is no part of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """The endpoint makes us wait before it can be asked once more; may come before everything else of a stream."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """The last item of a stream, exactly once: the whole message, and what it cost. The other fields are for traces."""

    message: Message
    """The assistant's message, with all tool calls."""
    usage: Usage
    """The tokens of this request, and 1 call."""
    finish: str = ""
    """Why the model stopped, in the endpoint's word (`stop`, `length`, …); empty when unknown."""
    model: str = ""
    """The model that answered, as the endpoint names it; empty when unknown."""
    retries: int = 0
    """How often the request was repeated before it succeeded."""


Chunk = TextChunk | ReasoningChunk | TextWasReasoning | Waiting | Reply
ToolSchema = dict[str, Any]


class LLM(Protocol):
    """A language model that can call tools; any object with these two members is one.

    Optional attributes: `context_window: int`, the tokens that it can be sent, for agents that set none; and for traces
    `provider: str`, as OpenTelemetry names it, and `server: tuple[str, int]`, the host and port of the endpoint.

    `LLM(…)` itself is `OpenAILLM(…)`, with the same options.
    """

    if not TYPE_CHECKING:

        def __new__(cls, *args, **options):
            if cls is not LLM:
                return super().__new__(cls)
            # By name, as it knows this module; and late, as the openai package takes about a second.
            return import_module("myagent.llm.config_section").make_llm(*args, **options)

    @property
    def model(self) -> str:
        """The model's name, for people."""
        ...

    def stream(self, messages: Sequence[Message], *, tools: Sequence[ToolSchema] = ()) -> AsyncGenerator[Chunk]:
        """Send the messages and stream the reply: `TextChunk` and `ReasoningChunk` items, and one `Reply` at the end.

        A model that learns too late that its text was reasoning yields `TextWasReasoning` between them. `Waiting` says,
        before all of them, that nothing is to be expected for a while.

        `tools` are Chat Completions tool objects (`{"type": "function", "function": {…}}`). Closing the generator
        closes the connection to the model at once.

        Raises `StreamCut` when the stream breaks off after it has begun (the loop asks again), `ContextOverflow` when
        the messages are too long (the loop sends fewer), and another `LLMError` when the model cannot be asked.
        """
        ...


class ToolChoiceLLM(LLM, Protocol):
    """A model that can be told not to use the tools it knows; one whose `takes_tool_choice` is true."""

    takes_tool_choice: bool

    def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSchema] = (), tool_choice: str | None = None
    ) -> AsyncGenerator[Chunk]:
        """See `LLM.stream`. With `tool_choice="none"` the model may not call the `tools`."""
        ...


def ask_for_words(llm: LLM, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> AsyncGenerator[Chunk]:
    """`llm.stream` for a reply without calls.

    The `tools` stay declared where that is possible: some endpoints refuse messages with calls of undeclared tools.
    """
    if getattr(llm, "takes_tool_choice", False):
        return cast(ToolChoiceLLM, llm).stream(messages, tools=tools, tool_choice="none")
    return llm.stream(messages)
