"""The loop: think, call tools, look at the results, until there is an answer. Messages in, `AgentEvent`s out.

It stores nothing and sends nothing; whoever drives it does. Closing the generator stops the model's stream and the
tools at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial

from myagent.agent_definition import AgentDefinition
from myagent.events import (
    AgentEvent,
    HistorySummarized,
    ModelReplied,
    ReasoningDelta,
    RunFinished,
    StepReset,
    StepStarted,
    TextDelta,
)
from myagent.exceptions import ContextOverflow, LLMError, LLMUnavailable, StreamCut
from myagent.i18n import gettext as _
from myagent.llm import LLM, ReasoningChunk, Reply, TextChunk, ToolSchema, Usage
from myagent.loop.calls import MAX_OUTPUT_BYTES, run_calls
from myagent.loop.checkpoint import START, Checkpoint
from myagent.loop.context_window import estimate_tokens, fit
from myagent.loop.host import Host
from myagent.loop.log_lines import answer_line, question_line
from myagent.loop.prepared_calls import PreparedCall, prepare_calls, still_open
from myagent.loop.summary import as_messages, summarize
from myagent.messages import Message
from myagent.run_context import RunContext
from myagent.tool.terminate import Terminate
from myagent.tracing.opentelemetry import telemetry
from myagent.tracing.spans import UNTRACED, Trace, Watcher

logger = logging.getLogger("myagent.loop")

ATTEMPTS_PER_STEP = 3
DEFAULT_CONTEXT_WINDOW = 100_000
"""Tokens, where neither the agent nor the model says how many."""
SUM_UP_PROMPT = (
    "You have reached the limit of steps, and tools are no longer available. "
    "Answer the user now with what you know, and say what is still missing."
)


def run(
    agent: AgentDefinition,
    history: Sequence[Message],
    *,
    host: Host,
    context: RunContext,
    llm: LLM,
    summary: str = "",
    checkpoint: Checkpoint = START,
    max_output_bytes: int = MAX_OUTPUT_BYTES,
    max_steps: int | None = None,
    watchers: Sequence[Watcher] = (),
) -> AsyncGenerator[AgentEvent]:
    """Answer the last message of `history` (which has no system message), or go on from `checkpoint`.

    `summary` stands for what came before the history. `max_steps` counts where it is less than the agent's own.
    Of a tool's output at most `max_output_bytes` are reported; what the model sees of it, the agent limits.
    When the agent is to be traced, `watchers` are told of its calls, and OpenTelemetry is where it is set up.

    Raises `RunError` when the model cannot be asked; what was yielded until then holds.
    """
    trace = Trace([*watchers, *telemetry(agent, context, llm)]) if agent.enable_tracing else UNTRACED
    loop = _Loop(agent, history, llm, summary, checkpoint.usage, trace=trace, run_id=context.run_id)
    work = partial(run_calls, agent, host=host, context=context, trace=trace, max_output_bytes=max_output_bytes)
    allowed = min(agent.max_steps, max_steps or agent.max_steps)
    steps = _run(agent, loop, work, max_steps=allowed, checkpoint=checkpoint, host=host, context=context)
    return _traced(agent, trace, history, steps) if agent.enable_tracing else steps


async def _traced(
    agent: AgentDefinition, trace: Trace, history: Sequence[Message], steps: AsyncGenerator[AgentEvent]
) -> AsyncGenerator[AgentEvent]:
    with trace.span("run", agent.name, messages=history[-1:]) as span:
        async with aclosing(steps):
            async for event in steps:
                if isinstance(event, RunFinished):
                    span.take_answer(event, trace.spent)
                yield event


async def _run(
    agent: AgentDefinition,
    loop: _Loop,
    work: Callable[[int, Sequence[PreparedCall], list[Message]], AsyncGenerator[AgentEvent]],
    *,
    max_steps: int,
    checkpoint: Checkpoint,
    host: Host,
    context: RunContext,
) -> AsyncGenerator[AgentEvent]:
    said = loop.last_reply() if checkpoint.step else None
    # What was asked for has to be done, also where fewer steps are allowed by now.
    last = max(max_steps, checkpoint.step)
    for step in range(checkpoint.step if said else checkpoint.step + 1, last + 1):
        if said is None:
            async with aclosing(loop.think(step, agent.tools.schemas())) as thoughts:
                async for event in thoughts:
                    yield event
            said = loop.said
            if not said.tool_calls:
                yield RunFinished(step=step, text=said.text, finish="answer", message=said, usage=loop.usage)
                return
            calls = wanted = await prepare_calls(said, agent.tools, step=step, run_id=context.run_id, host=host)
            requested = tuple(call.requested for call in calls)
            yield ModelReplied(step=step, message=said, calls=requested, usage=loop.usage)
            loop.messages.append(said)
        else:
            calls = await prepare_calls(said, agent.tools, step=step, run_id=context.run_id, host=host)
            wanted = still_open(calls, checkpoint.open_calls)
        results: list[Message] = []
        async with aclosing(work(step, wanted, results)) as working:
            async for event in working:
                yield event
        loop.take_results(results, [call.requested.index for call in wanted])
        if ending := _terminated(calls):
            yield _farewell(step, said, ending, loop.usage)
            return
        said = None
    async with aclosing(_sum_up(loop, last + 1)) as summing_up:
        async for event in summing_up:
            yield event


async def _sum_up(loop: _Loop, step: int) -> AsyncGenerator[AgentEvent]:
    """One last call without tools."""
    async with aclosing(loop.think(step, (), note=SUM_UP_PROMPT)) as thoughts:
        async for event in thoughts:
            yield event
    # A model may ask for tools although it was offered none; its text is the answer all the same.
    message = Message.assistant(loop.said.text)
    yield RunFinished(step=step, text=message.text, finish="max_steps", message=message, usage=loop.usage)


def _terminated(calls: Sequence[PreparedCall]) -> PreparedCall | None:
    return next((call for call in calls if isinstance(call.tool, Terminate) and call.problem is None), None)


def _farewell(step: int, message: Message, ending: PreparedCall, usage: Usage) -> RunFinished:
    text = message.text or str(ending.arguments.get("answer") or "") or _("Done.")
    # What the model said beside the call is part of the history already.
    said = None if message.text else Message.assistant(text)
    return RunFinished(step=step, text=text, finish="terminate", message=said, usage=usage)


class _Loop:
    """The growing history of one run, and asking the model with it."""

    def __init__(
        self,
        agent: AgentDefinition,
        history: Sequence[Message],
        llm: LLM,
        summary: str,
        spent: Usage,
        *,
        trace: Trace,
        run_id: str,
    ) -> None:
        self.agent = agent
        self.messages = list(history)
        self.llm = llm
        self.usage = spent
        self.trace = trace
        self.reply: Reply
        self._run_id = run_id
        self._system = [Message.system(agent.system_prompt)] if agent.system_prompt else []
        self._summary = as_messages(summary)
        self._summarizes = agent.compact == "summarize"
        window = agent.context_window or getattr(llm, "context_window", None) or DEFAULT_CONTEXT_WINDOW
        self._budget = window - sum(map(estimate_tokens, self._system))

    @property
    def said(self) -> Message:
        """The message of the last reply."""
        return self.reply.message

    def last_reply(self) -> Message | None:
        """The reply at the end of the history that asked for tools, whether or not they have answered."""
        replies = (message for message in reversed(self.messages) if message.role != "tool")
        newest = next(replies, None)
        return newest if newest is not None and newest.tool_calls else None

    def take_results(self, results: Sequence[Message], indexes: Sequence[int]) -> None:
        """Add the results of the calls with these indexes; those of others may stand behind their reply already."""
        reply = max(at for at, message in enumerate(self.messages) if message.role != "tool")
        known = self.messages[reply + 1 :]
        del self.messages[reply + 1 :]
        others = [index for index in range(len(known) + len(results)) if index not in indexes]
        placed = [*zip(others, known, strict=True), *zip(indexes, results, strict=True)]
        self.messages += [message for _, message in sorted(placed, key=lambda item: item[0])]

    async def think(
        self, step: int, tools: Sequence[ToolSchema], note: str | None = None
    ) -> AsyncGenerator[AgentEvent]:
        """Ask the model once; `said` is its whole message afterwards."""
        yield StepStarted(step=step)
        for attempt in range(1, ATTEMPTS_PER_STEP + 1):
            if self._summarizes and len(self._fitting()) < len(self.messages):
                async with aclosing(self._summarize(step)) as summarizing:
                    async for event in summarizing:
                        yield event
            replied, first = False, None
            prompt, asked = self._prompt(note), time.monotonic()
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug(question_line(self._run_id, step, self.llm.model, prompt, tools))
            try:
                asking = self.trace.ask(self.llm, prompt, "reply", tools, step=step, attempt=attempt)
                async with aclosing(asking) as stream:
                    async for chunk in stream:
                        match chunk:
                            case TextChunk(text):
                                first = first or time.monotonic() - asked
                                yield TextDelta(step=step, text=text)
                            case ReasoningChunk(text):
                                first = first or time.monotonic() - asked
                                yield ReasoningDelta(step=step, text=text)
                            case Reply():
                                replied = True
                                self._take_reply(step, chunk, seconds=time.monotonic() - asked, first=first)
                if not replied:
                    raise StreamCut("the stream ended without a reply")
                return
            except StreamCut as error:
                self.usage += Usage(llm_calls=1)
                if attempt == ATTEMPTS_PER_STEP:
                    raise LLMUnavailable(
                        _("The model's answer broke off %(count)d times. Try again, or look at the model's server.")
                        % {"count": attempt}
                    ) from error
                if first is not None:
                    yield StepReset(step=step, reason=error.code)
            except ContextOverflow:
                if attempt == ATTEMPTS_PER_STEP or not self._forget_half():
                    raise

    def _take_reply(self, step: int, reply: Reply, *, seconds: float, first: float | None) -> None:
        self.reply = reply
        self.usage += reply.usage
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(answer_line(self._run_id, step, self.llm.model, reply, seconds=seconds, first=first))

    async def _summarize(self, step: int) -> AsyncGenerator[AgentEvent]:
        """Let a summary stand for so much of the history that the rest has room to grow; if that fails, it is cut."""
        kept = fit(self.messages, self._room // 2)
        count = len(self.messages) - len(kept)
        earlier = self._summary[-1].text if self._summary else ""
        try:
            told = self.messages[:count]
            reply = await summarize(self.llm, earlier, told, self._budget, trace=self.trace, step=step)
        except (StreamCut, LLMError) as error:
            self._summarizes = False
            self.usage += Usage(llm_calls=int(isinstance(error, StreamCut)))
            logger.warning("%s wrote no summary (%s); older messages are left out.", self.llm.model, error)
            return
        self.usage += reply.usage
        self.messages = kept
        self._summary = as_messages(reply.message.text)
        yield HistorySummarized(count=count, text=reply.message.text, usage=self.usage)

    @property
    def _room(self) -> int:
        """Tokens that the messages may take."""
        return self._budget - sum(map(estimate_tokens, self._summary))

    def _fitting(self) -> list[Message]:
        return fit(self.messages, self._room)

    def _prompt(self, note: str | None) -> list[Message]:
        notes = [text for text in (self.agent.next_step_prompt, note) if text]
        return [*self._system, *self._summary, *self._fitting(), *map(Message.system, notes)]

    def _forget_half(self) -> bool:
        """Make do with half of what was sent; False when that would be the same again."""
        sent = self._fitting()
        self._budget = sum(map(estimate_tokens, [*self._summary, *sent])) // 2
        return len(self._fitting()) < len(sent)
