"""Spans of a run's calls of the model, tools and hooks, reported to watchers. Without watchers they cost nothing."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, aclosing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from myagent.events import AgentEvent, RequestedCall, RunFinished
from myagent.exceptions import MyAgentError, Refuse, RunCancelled, StreamCut, ToolFailed
from myagent.llm import LLM, Chunk, Reply, ToolSchema, Usage, Waiting, ask_for_words
from myagent.messages import Message
from myagent.text import clean, shorten
from myagent.tool.result import ToolResult

logger = logging.getLogger("myagent.tracing")

SpanKind = Literal["run", "reply", "summary", "tool", "hook"]
SpanOutcome = Literal["ok", "failed", "interrupted"]
_LONGEST_ERROR = 2_000


@dataclass(slots=True, kw_only=True)
class TracedSpan:
    """One call of the model (`reply`, `summary`), of a tool or of a hook, or the whole run; filled in when it ends.

    `point` is that of a hook, or the option whose function it is (`system_prompt`, `tools`); `call` what it is about.
    `attempt` counts from 1 within a step. `finish` is the model's own word for why it stopped, or the code of what went
    wrong, which `error` tells people. `retries` are requests that the model's client repeated by itself. Times are in
    milliseconds from `started_at`.
    """

    kind: SpanKind
    name: str
    step: int = 0
    attempt: int = 1
    point: str = ""
    call: RequestedCall | None = None
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    first_token_ms: int | None = None
    duration_ms: int | None = None
    usage: Usage | None = None
    retries: int = 0
    outcome: SpanOutcome | None = None
    finish: str = ""
    error: str = ""
    # What was said, for those who are allowed to keep it.
    messages: Sequence[Message] = ()
    tools: Sequence[ToolSchema] = ()
    arguments: Mapping[str, Any] | None = None
    reply: Reply | None = None
    result: ToolResult | None = None
    _clock: float = field(default_factory=time.monotonic)

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self._clock) * 1000)

    def take_chunk(self, chunk: Chunk) -> None:
        """Record a chunk of the model's stream."""
        if isinstance(chunk, Reply):
            self.reply, self.usage = chunk, chunk.usage
            self.outcome, self.finish, self.retries = "ok", chunk.finish, chunk.retries
        elif self.first_token_ms is None and not isinstance(chunk, Waiting):
            self.first_token_ms = self._elapsed_ms()

    def take_result(self, result: ToolResult) -> None:
        """Record what the tool returned."""
        self.result = result
        if result.error is None:
            self.outcome = "ok"
        else:
            self._failed(ToolFailed.code, result.error)

    def take_refusal(self, refusal: Refuse) -> None:
        """Record that the hook ends the run, which is its task and no failure."""
        self.outcome, self.finish = "ok", refusal.code

    def take_answer(self, answer: RunFinished, spent: Usage) -> None:
        """Record the final answer of the run, for which the model took `spent`."""
        self.outcome, self.finish, self.usage = "ok", answer.finish, spent
        self.reply = Reply(Message.assistant(answer.text), spent)

    def take_error(self, error: BaseException) -> None:
        """Record how it was left by `error`. The text of a tool's bug may hold secrets, so only its class is kept."""
        if self.outcome is not None:
            return  # it had ended already, and only the rest of the stream was not read
        match error:
            case asyncio.CancelledError() | GeneratorExit() | RunCancelled():
                self.outcome = "interrupted"
            case MyAgentError():
                self._failed(error.code, str(error))
            case TimeoutError():
                self._failed("timeout")
            case _:
                self._failed(type(error).__name__)

    def _failed(self, code: str, words: str = "") -> None:
        self.outcome, self.finish = "failed", code
        self.error = shorten(clean(words), _LONGEST_ERROR)[0]

    def end(self) -> None:
        self.duration_ms = self._elapsed_ms()
        self.outcome = self.outcome or "ok"


class Watcher:
    """Receives the spans of one run as they begin and end; must not block."""

    def begun(self, span: TracedSpan) -> None:
        """`span` begins."""

    def ended(self, span: TracedSpan) -> None:
        """`span` is over."""

    def inside(self, span: TracedSpan) -> AbstractContextManager[Any]:
        """A context manager entered around the traced code, for instrumentation that uses context variables."""
        return nullcontext()


class Trace:
    """The spans of one run. `spent` is what its model calls took."""

    def __init__(self, watchers: Sequence[Watcher] = ()) -> None:
        self._watchers = watchers
        self.spent = Usage()

    @contextmanager
    def span(self, kind: SpanKind, name: str, **facts: Any) -> Iterator[TracedSpan]:
        """A span around the block, which tells it what came out. May be left open over a `yield`."""
        span = TracedSpan(kind=kind, name=name, **facts)
        self._report("begun", span)
        try:
            yield span
        except BaseException as error:
            span.take_error(error)
            raise
        finally:
            span.end()
            self._report("ended", span)

    async def run(
        self, agent: str, asked: Sequence[Message], events: AsyncGenerator[AgentEvent]
    ) -> AsyncGenerator[AgentEvent]:
        """The events of the run, in a span of its own; `asked` is the message that it answers."""
        with self.span("run", agent, messages=asked) as span:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, RunFinished):
                        span.take_answer(event, self.spent)
                    yield event

    @contextmanager
    def inside(self, span: TracedSpan) -> Iterator[None]:
        """The code that `span` is about; never left open over a `yield`, which would leak context variables."""
        with ExitStack() as stack:
            for watcher in self._watchers:
                stack.enter_context(watcher.inside(span))
            yield

    def ask(
        self,
        llm: LLM,
        messages: Sequence[Message],
        kind: SpanKind,
        tools: Sequence[ToolSchema] = (),
        *,
        may_call: bool = True,
        **facts: Any,
    ) -> AsyncGenerator[Chunk]:
        """Call `llm.stream` in a span; without `may_call` for a reply in words."""
        stream = llm.stream(messages, tools=tools) if may_call else ask_for_words(llm, messages, tools)
        if not self._watchers:
            return stream
        return self._watched(stream, kind, llm.model, {"messages": messages, "tools": tools, **facts})

    async def _watched(
        self, stream: AsyncGenerator[Chunk], kind: SpanKind, name: str, facts: Mapping[str, Any]
    ) -> AsyncGenerator[Chunk]:
        with self.span(kind, name, **facts) as span:
            async with aclosing(stream):
                with self.inside(span):  # the request is sent before the first chunk comes
                    chunk = await anext(stream, None)
                while chunk is not None:
                    span.take_chunk(chunk)
                    yield chunk
                    chunk = await anext(stream, None)
            if span.reply is None:
                span.take_error(StreamCut("the stream ended without a reply"))
            else:
                self.spent += span.reply.usage

    def _report(self, what: Literal["begun", "ended"], span: TracedSpan) -> None:
        for watcher in self._watchers:
            try:
                getattr(watcher, what)(span)
            except Exception:  # a watcher must not break the run
                logger.exception("A watcher of spans failed.")


UNTRACED = Trace()
"""A trace without watchers."""
