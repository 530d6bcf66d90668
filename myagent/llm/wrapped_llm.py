"""A model around another one, that steps in before some of its calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from myagent.llm import LLM, Chunk, ToolSchema, ask_for_words
from myagent.messages import Message


class WrappedLLM:
    """A model that says of itself what the model `llm` does, and asks it. Satisfies `ToolChoiceLLM`.

    A subclass overrides `stream` to step in; where there is nothing to do, it returns `super().stream(…)`, the wrapped
    model's own generator: one more around it would cost something for each token.
    """

    takes_tool_choice = True

    def __init__(self, llm: LLM) -> None:
        self._llm = llm

    @property
    def model(self) -> str:
        """The model's name, for people."""
        return self._llm.model

    @property
    def context_window(self) -> int | None:
        """The tokens that it can be sent, as far as it says so."""
        return getattr(self._llm, "context_window", None)

    @property
    def provider(self) -> str | None:
        """The provider, as OpenTelemetry names it, as far as it says so."""
        return getattr(self._llm, "provider", None)

    @property
    def server(self) -> tuple[str, int] | None:
        """The address and port that it asks, as far as it says so."""
        return getattr(self._llm, "server", None)

    @property
    def fallback(self) -> Any:
        """Its `RunModels`, where it is one of several models; else None."""
        return getattr(self._llm, "fallback", None)

    def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSchema] = (), tool_choice: str | None = None
    ) -> AsyncGenerator[Chunk]:
        """Ask the wrapped model; see `ToolChoiceLLM.stream`, which this is also for models that take no choice."""
        if tool_choice == "none":
            return ask_for_words(self._llm, messages, tools)
        return self._llm.stream(messages, tools=tools)
