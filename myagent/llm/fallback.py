"""Several models for one agent: when one cannot answer, the next does.

Only what may pass by itself leads to the next model. A refused key or request is the operator's to see, and would stay
hidden behind a model that answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from myagent.exceptions import (
    ContextOverflow,
    LLMError,
    LLMNotAllowed,
    LLMNotConfigured,
    LLMUnavailable,
    LLMUnreachable,
    StreamCut,
)
from myagent.i18n import gettext as _
from myagent.llm import LLM, Chunk, Reply, ToolSchema, Waiting
from myagent.llm.breaker import Breaker, breaker_of
from myagent.llm.http.connection_error import is_silence
from myagent.llm.wrapped_llm import WrappedLLM
from myagent.messages import Message


@dataclass(frozen=True, slots=True)
class AnsweringModel:
    """Which model of a list a run is answered by: its place in the list, from 0, and its name."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class _Member:
    """A model of the list. `probe` asks it without repeating a request that failed."""

    llm: LLM
    probe: LLM
    breaker: Breaker

    @classmethod
    def of(cls, llm: LLM) -> Self:
        try:
            place = getattr(llm, "address", "")
        except LLMNotConfigured:  # asking it will say so
            place = ""
        breaker = breaker_of(llm.model, place if isinstance(place, str) else "")

        def may_repeat(error: BaseException | None) -> bool:
            return not breaker.is_open and not (error is not None and is_silence(error))

        repeating: Callable[[Callable[..., bool]], LLM] | None = getattr(llm, "repeating_while", None)
        if repeating is None:
            return cls(llm, llm, breaker)
        return cls(repeating(may_repeat), repeating(lambda error: False), breaker)


class FallbackLLM:
    """The models of an agent, in the order in which they are turned to. Satisfies `LLM`, from any event loop.

    `stream` turns to the next one only before anything came. The loop, which can take back what was shown, asks the
    models through `for_run`.
    """

    takes_tool_choice = True

    def __init__(self, models: Sequence[LLM]) -> None:
        self.models = tuple(models)

    @property
    def model(self) -> str:
        """The names of the models, for people."""
        return " → ".join(llm.model for llm in self.models)

    @property
    def context_window(self) -> int | None:
        """That of the first model."""
        return getattr(self.models[0], "context_window", None)

    def for_run(self) -> RunModels:
        """The same models, for one run."""
        return RunModels(self._members)

    @property
    def breakers(self) -> list[Breaker]:
        """What is known of each model, in their order."""
        return [member.breaker for member in self._members]

    @cached_property
    def _members(self) -> tuple[_Member, ...]:
        # Late, as the environment names endpoints, and may not be known yet when an agent is defined.
        return tuple(map(_Member.of, self.models))

    async def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSchema] = (), tool_choice: str | None = None
    ) -> AsyncGenerator[Chunk]:
        """Ask the first model that can be asked; see `ToolChoiceLLM.stream`."""
        models, has_begun = self.for_run(), False
        models.begin()
        while True:
            try:
                async with aclosing(models.stream(messages, tools=tools, tool_choice=tool_choice)) as chunks:
                    async for chunk in chunks:
                        has_begun = has_begun or not isinstance(chunk, Waiting)
                        if isinstance(chunk, Reply):
                            models.answered()
                        yield chunk
                return
            except (LLMError, StreamCut) as error:
                if has_begun or not models.turn(error):
                    raise

    async def aclose(self) -> None:
        """Close the connections that the models hold on the running event loop."""
        for llm in self.models:
            close: Any = getattr(llm, "aclose", None)
            if close is not None:
                await close()


class RunModels(WrappedLLM):
    """The models of one run, and which of them it is at: says of itself what that one does, and asks it.

    A run stays with the model that it has turned to. Before each step `begin` is called, and when a request has failed
    for good `turn`, until it returns False.
    """

    def __init__(self, members: Sequence[_Member]) -> None:
        super().__init__(members[0].llm)
        self._members = members
        self._number = 0
        self._tried: set[int] = set()
        self._is_probe = False
        self._has_passed = False

    @property
    def fallback(self) -> RunModels:
        """This, also of a model around it."""
        return self

    @property
    def answering(self) -> AnsweringModel:
        """The model that the run is at."""
        return AnsweringModel(self._number, self.model)

    def resume(self, answering: AnsweringModel) -> None:
        """Go on with the model that the run was at in another process, as far as it is still one of these."""
        names = [member.llm.model for member in self._members]
        if answering.number < len(names) and names[answering.number] == answering.name:
            self._use(answering.number)
        elif answering.name in names:
            self._use(names.index(answering.name))

    def begin(self) -> bool:
        """Choose the model for a step: the one before, or another one if that is known to be dead.

        Returns whether it is another one. Raises `LLMUnavailable` when all are dead and none may be asked yet.
        """
        self._tried.clear()
        before, has_passed = self._number, self._has_passed
        self._has_passed = False
        if not self._choose(self._in_order(before)):
            seconds = min(member.breaker.seconds_left for member in self._members)
            words = _("None of the models %(names)s answers; they are asked again in %(seconds)d s.")
            names = ", ".join(dict.fromkeys(member.llm.model for member in self._members))
            raise LLMUnavailable(
                words % {"names": names, "seconds": round(seconds) + 1},
                public=_("The model is not available at the moment. Please try again later."),
            )
        return self._number != before or has_passed

    def pass_on(self, seconds: float) -> None:
        """Turn to the next model for the steps that follow, as nothing came of this one until the run's time was over.

        Not where `seconds`, which it had for that, are what it needs to begin. It need not be dead: calls of tools are
        not shown before they are whole.
        """
        self._tried.add(self._number)
        self._has_passed = seconds > self._breaker.slowest and self._choose(self._in_order(self._number))

    def gives_up(self, error: BaseException) -> bool:
        """Whether asking the same model once more after `error` is not worth it."""
        match error:
            case ContextOverflow():
                return any(True for _number in self._larger(error))
            case StreamCut():
                return self._is_probe or self._breaker.is_open or is_silence(error)
        return isinstance(error, LLMUnreachable | LLMUnavailable)

    def turn(self, error: LLMError | StreamCut) -> bool:
        """Turn to the next model after `error`, if that is one for which there is another model to ask."""
        self._tried.add(self._number)
        match error:
            case LLMUnreachable() | LLMUnavailable() | StreamCut():
                self._breaker.failed()
                return self._choose(self._in_order(self._number))
            case LLMNotConfigured() | LLMNotAllowed():
                return False  # it was not asked
            case ContextOverflow():
                self.answered()
                return self._choose(self._larger(error))
        self.answered()
        return False

    def answered(self, first_seconds: float | None = None) -> None:
        """The model did answer; `first_seconds` is how long it took to begin."""
        self._is_probe = False
        self._llm = self._members[self._number].llm
        self._breaker.answered(first_seconds)

    def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSchema] = (), tool_choice: str | None = None
    ) -> AsyncGenerator[Chunk]:
        """Ask the model that the run is at."""
        stream = super().stream(messages, tools=tools, tool_choice=tool_choice)
        return _begun_within(self._breaker.patience, stream, self.model) if self._is_probe else stream

    @property
    def _breaker(self) -> Breaker:
        return self._members[self._number].breaker

    def _use(self, number: int) -> None:
        member = self._members[number]
        self._number = number
        self._is_probe = member.breaker.is_open
        self._llm = member.probe if self._is_probe else member.llm

    def _choose(self, numbers: Iterator[int]) -> bool:
        """Use the first of these models that may be asked."""
        for number in numbers:
            if self._members[number].breaker.admit():
                self._use(number)
                return True
        return False

    def _in_order(self, first: int) -> Iterator[int]:
        """The models that were not tried in this step, from `first` on and around."""
        count = len(self._members)
        return (number % count for number in range(first, first + count) if number % count not in self._tried)

    def _larger(self, error: ContextOverflow) -> Iterator[int]:
        """Those of them that can read more than the one for which it was too long."""
        read = error.limit or self.context_window or 0
        windows = [getattr(member.llm, "context_window", None) or 0 for member in self._members]
        return (
            number
            for number in self._in_order(self._number)
            if number != self._number and windows[number] > max(read, windows[self._number])
        )


def run_models(llm: LLM) -> RunModels | None:
    """The models of the run that `llm` is asked for; None where there is only one."""
    models: RunModels | None = getattr(llm, "fallback", None)
    return models


def for_run(llm: LLM) -> LLM:
    """`llm` as one run asks it: several models are a run's own choice."""
    return llm.for_run() if isinstance(llm, FallbackLLM) else llm


async def _begun_within(seconds: float, stream: AsyncGenerator[Chunk], model: str) -> AsyncGenerator[Chunk]:
    """`stream`, which is given up when nothing comes for so long."""
    async with aclosing(stream):
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(stream, None)
        except TimeoutError as error:
            raise LLMUnreachable(
                _("%(model)s did not answer within %(seconds)d s.") % {"model": model, "seconds": seconds},
                public=_("The model cannot be reached at the moment. Please try again later."),
            ) from error
        while chunk is not None:
            yield chunk
            chunk = await anext(stream, None)
