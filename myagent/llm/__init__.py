"""What the loop asks of a language model. One module per provider satisfies it: `openai_llm`, `demo_llm`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from myagent.messages import Message


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and calls that were spent. Adds up."""

    input_tokens: int = 0
    output_tokens: int = 0
    llm_calls: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.llm_calls + other.llm_calls,
        )


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A piece of the answer's text, as it comes."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningChunk:
    """A piece of the model's reasoning, as it comes; shown, never fed back."""

    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The end of a stream: the whole message, and what it cost. Always the last item, exactly once.

    The rest is for traces, as far as it is known: `finish`, why the model stopped, in its own word; `model`, as the
    endpoint names it; `retries`, how often the request was repeated before it went through.
    """

    message: Message
    usage: Usage
    finish: str = ""
    model: str = ""
    retries: int = 0


Chunk = TextChunk | ReasoningChunk | Reply
ToolSchema = dict[str, Any]


class LLM(Protocol):
    """A language model that can call tools.

    It may also have `context_window`, the tokens that it can be sent, for agents that do not say it themselves, and for
    traces `provider`, by the name that OpenTelemetry has for it, and `server`, the address and port that it asks.
    """

    @property
    def model(self) -> str:
        """The model's name, for people."""
        ...

    def stream(self, messages: Sequence[Message], *, tools: Sequence[ToolSchema] = ()) -> AsyncGenerator[Chunk]:
        """Ask the model; `tools` are Chat Completions tool objects (`{"type": "function", "function": {…}}`).

        Closing the generator closes the connection to the model at once.

        Raises `StreamCut` when the stream broke off after it had begun, `LLMError` when it could not be asked.
        """
        ...
