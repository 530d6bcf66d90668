"""The loop: ask the model, run the tools that it calls, show it the results, until there is an answer.

Messages in, `AgentEvent`s out. It stores nothing and sends nothing; its caller does. Closing the generator closes the
model's stream and stops the tools at once.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from myagent.agent_definition import AgentDefinition
from myagent.events import AgentEvent, LimitNear, LimitUse, ModelReplied, RunFinished
from myagent.i18n import gettext as _
from myagent.llm import LLM, ToolSchema
from myagent.llm.fallback import run_models
from myagent.loop.call_order import line_up
from myagent.loop.calls import MAX_OUTPUT_BYTES, run_calls
from myagent.loop.checkpoint import START, Checkpoint, OpenCall
from myagent.loop.history import History
from myagent.loop.host import Host
from myagent.loop.limited_model import LimitedModel
from myagent.loop.model_step import ModelSteps
from myagent.loop.output_reader import OutputReader
from myagent.loop.prepared_calls import PreparedCall, prepare_calls, still_open
from myagent.loop.run_clock import ClockedHost
from myagent.loop.run_hooks import RunHooks
from myagent.loop.run_limits import NO_CEILINGS, Ceilings, RunLimits
from myagent.loop.run_setup import RunSetup
from myagent.messages import Message
from myagent.protocol.server_base import Finish
from myagent.run_context import RunContext
from myagent.tool.output_form import OutputForm
from myagent.tool.terminate import Terminate
from myagent.tracing.model_request import ReportRequest, unreported
from myagent.tracing.opentelemetry import telemetry
from myagent.tracing.otel_metrics import genai_metrics
from myagent.tracing.spans import UNTRACED, Trace, Watcher


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
    ceilings: Ceilings = NO_CEILINGS,
    watchers: Sequence[Watcher] = (),
    report: ReportRequest = unreported,
    traceparent: str = "",
    output: OutputForm | None = None,
) -> AsyncGenerator[AgentEvent]:
    """Answer the last message of `history` (which has no system message), or resume the run from `checkpoint`.

    `summary` stands for what came before the history. The `ceilings` apply where they are lower than the agent's own.
    At most `max_output_bytes` of a tool's output are reported; the agent limits what the model sees of it. The spans
    of a traced agent are reported to `watchers`, and to OpenTelemetry where it is set up; every request to the model is
    reported to `report`. `traceparent` is the trace of others that the run is part of (W3C Trace Context). `output` is
    what the answer has to be, in place of the agent's own.

    Raises `RunError` when the model cannot be asked; the events before that remain valid.
    """
    if agent.tools.function is not None:
        agent = copy.copy(agent)  # it is given the tools of this run
    trace = Trace([*watchers, *telemetry(agent, context, llm, traceparent)]) if agent.enable_tracing else UNTRACED
    metrics = genai_metrics(agent, llm, report)
    messages = History(agent, llm, history, summary)
    if checkpoint.answering is not None and (models := run_models(llm)) is not None:
        models.resume(checkpoint.answering)
        messages.take_window_of(models)
    summarizes = agent.compact == "summarize"
    limits = RunLimits(agent, ceilings, checkpoint)
    host = host if limits.seconds_left() is None else ClockedHost(host, limits.clock)
    hooks = None
    if len(agent.hooks):
        hooks = RunHooks(agent, messages, checkpoint, host=host, context=context, trace=trace)
    model = ModelSteps(
        llm,
        messages,
        checkpoint.usage,
        trace=trace,
        run_id=context.run_id,
        summarizes=summarizes,
        report=report if metrics is None else metrics.take_request,
        before=None if hooks is None else hooks.before_model,
    )
    work = partial(
        run_calls,
        agent,
        host=host,
        context=context,
        trace=trace,
        max_output_bytes=max_output_bytes,
        seconds_left=limits.seconds_left,
        hooks=hooks,
    )
    form = output or agent.output
    reader = None if form is None else OutputReader(form, messages)
    events = _Run(agent, messages, model, work, host, limits, context.run_id, reader, hooks).events(checkpoint)
    if hooks is not None:
        events = hooks.guarded(events, lambda: model.usage)
    if callable(agent.system_prompt) or agent.tools.function is not None:
        setup = RunSetup(agent, messages, host=host, context=context, trace=trace, step=checkpoint.step)
        events = setup.before(events, checkpoint.usage, has_output=form is not None)
    events = trace.run(agent.name, history[-1:], events) if agent.enable_tracing else events
    return events if metrics is None else metrics.counted(events)


class _Run:
    """The steps of one run: the model's reply, then the tools that it calls."""

    def __init__(
        self,
        agent: AgentDefinition,
        history: History,
        model: ModelSteps,
        work: Callable[[int, Sequence[PreparedCall], dict[int, Message]], AsyncGenerator[AgentEvent]],
        host: Host,
        limits: RunLimits,
        run_id: str,
        output: OutputReader | None = None,
        hooks: RunHooks | None = None,
    ) -> None:
        self._hooks = hooks
        self._limits = limits
        self._limited = LimitedModel(model, history, limits)
        self._agent = agent
        self._history = history
        self._model = model
        self._work = work
        self._host = host
        self._run_id = run_id
        self._output = output
        self._final: RunFinished | None = None

    async def events(self, checkpoint: Checkpoint) -> AsyncGenerator[AgentEvent]:
        """Complete the step that was interrupted, if there is one, and take others until there is a final answer."""
        step = checkpoint.step
        if step and (reply := self._open_reply()) is not None:
            # What the model asked for is done, also where fewer steps are allowed by now.
            async with aclosing(self._resume(reply, step, checkpoint.open_calls)) as working:
                async for event in working:
                    yield event
        else:
            self._limits.count_newest()
        if self._output is not None:
            self._output.check_tries()
        reached = None
        while self._final is None and (reached := self._limits.reached(step, self._model.usage)) is None:
            for use in self._limits.newly_near(step, self._model.usage):
                yield LimitNear(use=use)
            await self._listen()
            asked = self._limited.ask(step + 1, self._schemas())
            async with aclosing(self._shown(asked, step + 1)) as asking:
                async for event in asking:
                    yield event
            if self._limited.was_stopped:
                reached = self._limits.use_of_time()
                break
            step += 1
            async with aclosing(self._act_on(self._model.reply, step)) as working:
                async for event in working:
                    yield event
        if reached is not None:
            async with aclosing(self._sum_up(step, reached)) as asking:
                async for event in asking:
                    yield event
        if self._final is not None:
            yield self._final

    def _open_reply(self) -> Message | None:
        """The reply that the run stopped at; a value that was rejected is complete."""
        reply = self._history.open_reply()
        return reply if reply is None or self._output is None else self._output.calls_of_tools(reply)

    def _schemas(self) -> Sequence[ToolSchema]:
        schemas = self._agent.tools.schemas()
        return schemas if self._output is None else self._output.schemas(schemas)

    async def _listen(self) -> None:
        said = await self._host.said_meanwhile()
        self._history.add(*(said if self._hooks is None else [await self._hooks.read(message) for message in said]))

    def _shown(self, asking: AsyncGenerator[AgentEvent], step: int) -> AsyncGenerator[AgentEvent]:
        if self._hooks is not None:
            asking = self._hooks.asked(asking, step, self._limited)
        return asking if self._output is None else self._output.shown(asking)

    async def _sum_up(self, step: int, reached: LimitUse) -> AsyncGenerator[AgentEvent]:
        """Ask once for an answer without tools, or for its value alone; raises `OutputInvalid` if it does not fit."""
        # A message that no call of the model would follow is not read, and the last calls are not begun anew for one.
        self._limits.check_affordable(self._model.usage)
        await self._listen()
        step, finish = step + 1, _finish_at(reached)
        summing = self._limited.sum_up(step, self._schemas(), reached, is_value=self._output is not None)
        async with aclosing(self._shown(summing, step)) as asking:
            async for event in asking:
                yield event
        if self._output is not None:
            for event in self._take_output(self._output, self._model.reply, step, finish, is_last=True):
                yield event
        else:
            # A model may call tools although it may not; its text is the answer all the same.
            message = Message.assistant(self._model.reply.text)
            self._final = self._finished(step, message.text, "length" if self._model.is_cut_short else finish, message)
        if self._final is not None:
            self._final = replace(self._final, limit=reached)

    def _take_output(
        self, output: OutputReader, reply: Message, step: int, finish: Finish, *, is_last: bool = False
    ) -> Iterator[AgentEvent]:
        usage, is_cut_short = self._model.usage, self._model.is_cut_short
        taking = output.take(reply, step=step, usage=usage, finish=finish, is_cut_short=is_cut_short, is_last=is_last)
        for event in taking:
            if isinstance(event, RunFinished):
                self._final = event
            else:
                yield event

    async def _act_on(self, reply: Message, step: int) -> AsyncGenerator[AgentEvent]:
        """Run the tools that a new reply calls; without any it is the final answer."""
        if self._output is not None:
            if (with_calls := self._output.calls_of_tools(reply)) is None:
                for event in self._take_output(self._output, reply, step, "answer"):
                    yield event
                return
            reply = with_calls
        if not reply.tool_calls:
            self._final = self._finished(step, reply.text, "length" if self._model.is_cut_short else "answer", reply)
            return
        calls = await self._prepare(reply, step)
        yield ModelReplied(
            step=step, message=reply, calls=tuple(call.requested for call in calls), usage=self._model.usage
        )
        self._history.add(reply)
        async with aclosing(self._call_tools(reply, step, calls, calls, {})) as working:
            async for event in working:
                yield event

    async def _resume(
        self, reply: Message, step: int, open_calls: Mapping[int, OpenCall]
    ) -> AsyncGenerator[AgentEvent]:
        """Run the tools of a reply that is part of the history, as far as their results are not."""
        calls = await self._prepare(reply, step)
        finished = [call.requested.index for call in calls if call.requested.index not in open_calls]
        results = dict(zip(finished, self._history.take_results(), strict=True))
        async with aclosing(self._call_tools(reply, step, calls, still_open(calls, open_calls), results)) as working:
            async for event in working:
                yield event

    async def _call_tools(
        self,
        reply: Message,
        step: int,
        calls: Sequence[PreparedCall],
        open_calls: Sequence[PreparedCall],
        results: dict[int, Message],
    ) -> AsyncGenerator[AgentEvent]:
        """Run `open_calls` of the reply's `calls`; `results` are those of the others."""
        async with aclosing(self._work(step, open_calls, results)) as working:
            async for event in working:
                yield event
        self._history.add_results(results)
        if self._hooks is not None and self._hooks.refusal is not None:
            raise self._hooks.refusal
        if self._output is None and (ending := _terminating(calls)) is not None:
            text = reply.text or str(ending.arguments.get("answer") or "") or _("Done.")
            # The text beside the call is part of the history with the reply.
            self._final = self._finished(step, text, "terminate", None if reply.text else Message.assistant(text))

    async def _prepare(self, reply: Message, step: int) -> list[PreparedCall]:
        calls = await prepare_calls(reply, self._agent.tools, step=step, run_id=self._run_id, host=self._host)
        calls = line_up(self._limits.take(calls), self._agent.max_parallel_tools)
        return calls if self._hooks is None else self._hooks.before_start(calls)

    def _finished(self, step: int, text: str, finish: Finish, message: Message | None) -> RunFinished:
        return RunFinished(step=step, text=text, finish=finish, message=message, usage=self._model.usage)


def _finish_at(limit: LimitUse) -> Finish:
    """How a run ends that was summed up at this limit; that of steps has a word of its own."""
    return "max_steps" if limit.which == "max_steps" else "limit"


def _terminating(calls: Sequence[PreparedCall]) -> PreparedCall | None:
    """The call of the tool `terminate` among `calls`, unless its arguments are wrong."""
    return next((call for call in calls if isinstance(call.tool, Terminate) and call.problem is None), None)
