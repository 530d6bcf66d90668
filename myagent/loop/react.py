"""The loop: ask the model, run the tools that it calls, show it the results, until there is an answer.

Messages in, `AgentEvent`s out. It stores nothing and sends nothing; its caller does. Closing the generator closes the
model's stream and stops the tools at once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial

from myagent.agent_definition import AgentDefinition
from myagent.events import AgentEvent, ModelReplied, RunFinished
from myagent.i18n import gettext as _
from myagent.llm import LLM
from myagent.llm.fallback import run_models
from myagent.loop.calls import MAX_OUTPUT_BYTES, run_calls
from myagent.loop.checkpoint import START, Checkpoint, OpenCall
from myagent.loop.history import History
from myagent.loop.host import Host
from myagent.loop.model_step import ModelSteps
from myagent.loop.output_reader import OutputReader
from myagent.loop.prepared_calls import PreparedCall, prepare_calls, still_open
from myagent.messages import Message
from myagent.protocol.server_base import Finish
from myagent.run_context import RunContext
from myagent.tool.output_form import OutputForm
from myagent.tool.terminate import Terminate
from myagent.tracing.model_request import ReportRequest, unreported
from myagent.tracing.opentelemetry import telemetry
from myagent.tracing.otel_metrics import genai_metrics
from myagent.tracing.spans import UNTRACED, Trace, Watcher

SUM_UP_PROMPT = (
    "You have reached the limit of steps, and tools are no longer available. "
    "Answer the user now with what you know, and say what is still missing."
)
SUM_UP_OUTPUT = (
    "You have reached the limit of steps, and other tools are no longer available. "
    "Call final_output now with what you know."
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
    report: ReportRequest = unreported,
    traceparent: str = "",
    output: OutputForm | None = None,
) -> AsyncGenerator[AgentEvent]:
    """Answer the last message of `history` (which has no system message), or resume the run from `checkpoint`.

    `summary` stands for what came before the history. `max_steps` applies where it is lower than the agent's own.
    At most `max_output_bytes` of a tool's output are reported; the agent limits what the model sees of it. The spans
    of a traced agent are reported to `watchers`, and to OpenTelemetry where it is set up; every request to the model is
    reported to `report`. `traceparent` is the trace of others that the run is part of (W3C Trace Context). `output` is
    what the answer has to be, in place of the agent's own.

    Raises `RunError` when the model cannot be asked; the events before that remain valid.
    """
    trace = Trace([*watchers, *telemetry(agent, context, llm, traceparent)]) if agent.enable_tracing else UNTRACED
    metrics = genai_metrics(agent, llm, report)
    messages = History(agent, llm, history, summary)
    if checkpoint.answering is not None and (models := run_models(llm)) is not None:
        models.resume(checkpoint.answering)
        messages.take_window_of(models)
    summarizes = agent.compact == "summarize"
    model = ModelSteps(
        llm,
        messages,
        checkpoint.usage,
        trace=trace,
        run_id=context.run_id,
        summarizes=summarizes,
        report=report if metrics is None else metrics.take_request,
    )
    work = partial(run_calls, agent, host=host, context=context, trace=trace, max_output_bytes=max_output_bytes)
    allowed = min(agent.max_steps, max_steps or agent.max_steps)
    form = output or agent.output
    reader = None if form is None else OutputReader(form, messages)
    events = _Run(agent, messages, model, work, host, context.run_id, reader).events(checkpoint, max_steps=allowed)
    events = _traced(agent, trace, history, events) if agent.enable_tracing else events
    return events if metrics is None else metrics.counted(events)


async def _traced(
    agent: AgentDefinition, trace: Trace, history: Sequence[Message], events: AsyncGenerator[AgentEvent]
) -> AsyncGenerator[AgentEvent]:
    with trace.span("run", agent.name, messages=history[-1:]) as span:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, RunFinished):
                    span.take_answer(event, trace.spent)
                yield event


class _Run:
    """The steps of one run: the model's reply, then the tools that it calls."""

    def __init__(
        self,
        agent: AgentDefinition,
        history: History,
        model: ModelSteps,
        work: Callable[[int, Sequence[PreparedCall], dict[int, Message]], AsyncGenerator[AgentEvent]],
        host: Host,
        run_id: str,
        output: OutputReader | None = None,
    ) -> None:
        self._agent = agent
        self._history = history
        self._model = model
        self._work = work
        self._host = host
        self._run_id = run_id
        self._output = output
        self._final: RunFinished | None = None

    async def events(self, checkpoint: Checkpoint, *, max_steps: int) -> AsyncGenerator[AgentEvent]:
        """Complete the step that was interrupted, if there is one, and take others until there is a final answer."""
        step = checkpoint.step
        if step and (reply := self._history.open_reply()) is not None:
            # What the model asked for is done, also where fewer steps are allowed by now.
            async with aclosing(self._resume(reply, step, checkpoint.open_calls)) as working:
                async for event in working:
                    yield event
        if self._output is not None:
            self._output.check_tries()
        while self._final is None and step < max_steps:
            step += 1
            self._history.add(*await self._host.said_meanwhile())
            async with aclosing(self._ask(step)) as asking:
                async for event in asking:
                    yield event
            async with aclosing(self._act_on(self._model.reply, step)) as working:
                async for event in working:
                    yield event
        if self._final is None and self._output is not None:
            async with aclosing(self._sum_up_output(self._output, step)) as asking:
                async for event in asking:
                    yield event
        if self._final is None:
            self._history.add(*await self._host.said_meanwhile())
            schemas = self._agent.tools.schemas()
            async with aclosing(self._model.ask(step + 1, schemas, SUM_UP_PROMPT, may_call=False)) as asking:
                async for event in asking:
                    yield event
            # A model may call tools although it may not; its text is the answer all the same.
            message = Message.assistant(self._model.reply.text)
            finish: Finish = "length" if self._model.is_cut_short else "max_steps"
            self._final = self._finished(step + 1, message.text, finish, message)
        yield self._final

    def _ask(self, step: int) -> AsyncGenerator[AgentEvent]:
        """Ask the model, which may call tools."""
        schemas = self._agent.tools.schemas()
        if self._output is None:
            return self._model.ask(step, schemas)
        return self._output.shown(self._model.ask(step, self._output.schemas(schemas)))

    async def _sum_up_output(self, output: OutputReader, step: int) -> AsyncGenerator[AgentEvent]:
        """Ask for the value alone until there is one."""
        while self._final is None:
            step += 1
            schemas = output.schemas(self._agent.tools.schemas())
            async with aclosing(output.shown(self._model.ask(step, schemas, SUM_UP_OUTPUT))) as asking:
                async for event in asking:
                    yield event
            for event in self._take_output(output, self._model.reply, step, "max_steps"):
                yield event

    def _take_output(self, output: OutputReader, reply: Message, step: int, finish: Finish) -> Iterator[AgentEvent]:
        usage, is_cut_short = self._model.usage, self._model.is_cut_short
        for event in output.take(reply, step=step, usage=usage, finish=finish, is_cut_short=is_cut_short):
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
        if self._output is None and (ending := _terminating(calls)) is not None:
            text = reply.text or str(ending.arguments.get("answer") or "") or _("Done.")
            # The text beside the call is part of the history with the reply.
            self._final = self._finished(step, text, "terminate", None if reply.text else Message.assistant(text))

    async def _prepare(self, reply: Message, step: int) -> list[PreparedCall]:
        return await prepare_calls(reply, self._agent.tools, step=step, run_id=self._run_id, host=self._host)

    def _finished(self, step: int, text: str, finish: Finish, message: Message | None) -> RunFinished:
        return RunFinished(step=step, text=text, finish=finish, message=message, usage=self._model.usage)


def _terminating(calls: Sequence[PreparedCall]) -> PreparedCall | None:
    """The call of the tool `terminate` among `calls`, unless its arguments are wrong."""
    return next((call for call in calls if isinstance(call.tool, Terminate) and call.problem is None), None)
