"""One run in this process: drives the loop, and stores what it reports."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from functools import partial
from typing import Any

from agents.loading.registry import LoadedAgent
from agents.log_context import log_ids
from myagent.events import (
    AgentEvent,
    HistorySummarized,
    LimitNear,
    ModelReplied,
    ModelWaiting,
    ReasoningDelta,
    ReplyRejected,
    RunFinished,
    StepReset,
    StepStarted,
    TextDelta,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)
from myagent.exceptions import RunCancelled, RunError
from myagent.i18n import gettext as _
from myagent.i18n import speak
from myagent.llm import LLM
from myagent.loop import react
from myagent.loop.checkpoint import START
from myagent.loop.run_limits import NO_CEILINGS, Ceilings
from myagent.messages import Message
from myagent.protocol.error_codes import ErrorCode
from myagent.protocol.server_base import ServerEvent
from myagent.text import clean, short_id
from sessions_app.journal.entries.recovery import Recovered
from sessions_app.journal.entries.rejected_reply import StoreRejected
from sessions_app.journal.entries.runs import (
    BeginStep,
    Ended,
    EndRun,
    FinishCall,
    LogDeltas,
    LogEvents,
    StartCall,
    StoreReply,
    StoreSummary,
)
from sessions_app.journal.entry import RunRef
from sessions_app.journal.refusal import Refused
from sessions_app.journal.run_log import RunEnd, log_end
from sessions_app.journal.writer import JournalClosed
from sessions_app.models import Run
from sessions_app.queries import Conversation, SessionGone
from sessions_app.runs.context_of_run import context_of_run
from sessions_app.runs.deltas import DeltaPacer, DeltaSender
from sessions_app.runs.driver_dependencies import DriverDependencies
from sessions_app.runs.run_fallback import answering_model, with_answering_model
from sessions_app.runs.run_host import RunHost
from sessions_app.runs.run_meter import RunMeter
from sessions_app.runs.run_model import priced_model
from sessions_app.runs.run_output import output_of_run
from sessions_app.runs.run_trace import traceparent_of_run
from sessions_app.runs.run_writer import RunWriter
from sessions_app.runs.span_recorder import SpanRecorder
from sessions_app.runs.translate import final_answer, notice_of, run_failed, to_wire

logger = logging.getLogger("myagent.runner")


class RunDriver:
    """Works on one run until it ends, is cancelled, or is found to have another owner.

    `message` is the one to answer, if it need not be read first; `recovered` is where a run that was taken over stands.
    """

    def __init__(
        self,
        ref: RunRef,
        loaded: LoadedAgent,
        llm: LLM,
        dependencies: DriverDependencies,
        *,
        message: Message | None = None,
        recovered: Recovered | None = None,
        ceilings: Ceilings = NO_CEILINGS,
    ) -> None:
        is_takeover = recovered is not None
        self._meter = RunMeter(loaded.agent, waited=ref.waited, is_takeover=is_takeover)
        recovered = recovered or Recovered(ref=ref, checkpoint=START)
        self.ref = ref
        self.agent = loaded.agent
        self._ceilings = ceilings
        self.has_more = False
        """Whether the session has further messages to answer; known at the end."""
        self._llm = llm
        self._shared = dependencies
        self._run_id = str(ref.run_id)
        self._writer = RunWriter(dependencies.journal, ref)
        self._fields = self._writer.fields
        self._message = message
        self._conversation = Conversation([], {}, None)
        self._results: dict[int, Message] = {}
        pacer = DeltaPacer(ref.run_id, epoch=ref.epoch, interval=dependencies.delta_interval)
        self._deltas = DeltaSender(pacer, self._offer_deltas)
        parts = (ref, loaded, dependencies.tool_runner, self._writer, self._meter)
        asked_before = recovered.questions if is_takeover else None
        self.host = RunHost(*parts, asked_before=asked_before, heard=self._heard)
        self._checkpoint = recovered.checkpoint
        self._first_result = recovered.first_result
        self._step, self._usage = recovered.checkpoint.step, recovered.checkpoint.usage
        self._tool_calls = recovered.tool_calls
        self._started_at = time.monotonic() - recovered.age

    @property
    def is_waiting(self) -> bool:
        """Whether the run waits for a person, and so takes no place."""
        return self.host.questions.are_open

    def answered(self, step_id: str, answer: dict[str, Any]) -> None:
        """A person answered a confirmation; the answer is already stored."""
        self.host.questions.answered(step_id, answer)

    async def drive(self) -> None:
        """Work on the run to its end. Raises nothing; the run's end is stored before this is cancelled."""
        # Its connection may have asked for another language; what is stored is in the server's.
        speak(None)
        log_ids(session=short_id(self.ref.session_id), run=self._run_id, user_id=self.ref.user_id)
        try:
            await self._drive()
        except (Refused, JournalClosed, RunCancelled, SessionGone) as error:
            logger.info("Run %s is no longer ours (%s).", self.ref.run_id, error)
        except RunError as error:
            await self._fail(error.code, error.public, detail=clean(str(error)), **error.details)
        except BaseException as error:
            # Only a cancel of this task is one: a model's code may raise anything, and still the run has to end.
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            logger.exception("Run %s of agent %r failed.", self.ref.run_id, self.agent.name)
            await self._fail(ErrorCode.INTERNAL_ERROR, _("The server made a mistake; its log has the details."))
        finally:
            self._deltas.stop()

    async def _drive(self) -> None:
        conversation = self._conversation = await self._shared.recent.conversation(
            self.ref, self._message, summarized=self.agent.compact == "summarize"
        )
        context = await context_of_run(self.ref, self.agent.name, conversation, self.host.files)
        history = list(conversation.messages)
        run = react.run(
            self.agent,
            history,
            host=self.host,
            context=context,
            llm=self._llm,
            summary=conversation.summary,
            checkpoint=await with_answering_model(self._checkpoint, self._llm, self.ref),
            max_output_bytes=self._shared.max_output_bytes,
            ceilings=self._ceilings,
            watchers=[SpanRecorder(self._shared.journal, self._fields)],
            report=self._meter.model_asked,
            output=await output_of_run(self.agent, self.ref.run_id),
            traceparent=await traceparent_of_run(self.agent, self.ref.run_id),
        )
        async with aclosing(run) as events:
            async for event in events:
                await self._take(event)

    async def _take(self, event: AgentEvent) -> None:
        match event:
            case TextDelta(text=text):
                if not self._meter.has_text:
                    self._meter.first_text()
                self._deltas.add_text(text)
            case ReasoningDelta(text=text):
                self._deltas.add_reasoning(text)
            case StepStarted(step=step) | StepReset(step=step):
                self._step = step
                self._meter.take(event)
                self._deltas.begin(step)
                shown, model = to_wire(event, self._run_id), priced_model(self._llm)
                await self._writer.submit(BeginStep(**self._fields, events=shown, model=model))
            case ModelWaiting() | LimitNear():
                self._shared.tell(self.ref.session_id, partial(notice_of, event, self._run_id))
            case HistorySummarized():
                self._usage = event.usage
                after = self._conversation.starts_after
                upto = await self._writer.record(StoreSummary(**self._fields, summarized=event, after=after))
                self._conversation.take_summary(event.text, event.count, upto)
            case ModelReplied():
                self._usage = event.usage
                self._tool_calls += len(event.calls)
                self._keep_results()
                events = (*self._deltas.finish(), *to_wire(event, self._run_id))
                self._first_result = await self._writer.record(StoreReply(**self._fields, reply=event, events=events))
                self._conversation.messages.append(event.message)
            case ReplyRejected():
                self._usage = event.usage
                self._keep_results()
                entry = StoreRejected(**self._fields, rejected=event, events=self._deltas.finish())
                await self._writer.record(entry)
                self._conversation.messages += event.messages
            case ToolStarted(call=call, arguments=arguments):
                await self._writer.record(StartCall(**self._fields, step_id=call.step_id, arguments=arguments))
            case ToolProgress():
                await self._writer.record(LogEvents(**self._fields, events=to_wire(event, self._run_id)))
            case ToolFinished():
                self._meter.take(event)
                self._results[event.call.index] = event.message
                if event.state is not None:
                    self._conversation.state = event.state
                position = self._first_result + event.call.index
                events = to_wire(event, self._run_id)
                await self._writer.submit(FinishCall(**self._fields, finished=event, position=position, events=events))
            case RunFinished():
                await self._finish(event)

    def _offer_deltas(self, events: tuple[ServerEvent, ...], is_beginning: bool) -> asyncio.Future[Any]:
        kind = LogEvents if is_beginning else LogDeltas
        return self._writer.offer(kind(**self._fields, events=events))

    def _keep_results(self) -> None:
        """Add the results so far, which came as they were ready, to the history in the order of their calls."""
        self._conversation.messages += [message for _, message in sorted(self._results.items())]
        self._results = {}

    def _heard(self, messages: list[Message]) -> None:
        self._keep_results()
        self._conversation.messages += messages

    # --- the end ---

    async def _finish(self, event: RunFinished) -> None:
        self._usage = event.usage
        duration_ms = round((time.monotonic() - self._started_at) * 1000)
        answer = final_answer(event, self._run_id, duration_ms=duration_ms, model=answering_model(self._llm))
        ended = await self._end(
            EndRun(
                **self._fields,
                status=Run.Status.SUCCEEDED,
                message=event.message,
                steps=event.step,
                usage=event.usage,
                events=(*self._deltas.finish(), answer),
                may_have_open_calls=event.finish == "refused",
            ),
            event.finish,
        )
        self._keep_results()
        if event.message is not None:
            self._conversation.messages.append(event.message)
        if not self._checkpoint.step:  # a resumed run has its results in another order than the database
            self._shared.recent.remember(self.ref.session_id, ended.history_end, self._conversation)

    async def _fail(self, code: str, message: str, *, detail: str = "", **more: Any) -> None:
        """End the run with an error: `message` for everybody on the session, `detail` for those who run the server."""
        self._writer.forget_unconfirmed()
        error = run_failed(self._run_id, code, message, **more)
        detail = "" if detail == message else detail
        if detail:
            logger.warning("Run %s of agent %r failed (%s): %s", self._run_id, self.agent.name, code, detail)
        entry = EndRun(
            **self._fields,
            status=Run.Status.FAILED,
            steps=self._step,
            usage=self._usage,
            error_code=code,
            error_detail=detail,
            # Held pieces of text come before the error, so that the log has all of it.
            events=(*self._deltas.rest(), error),
        )
        try:
            await self._end(entry, "error", code)
        except (Refused, JournalClosed) as refusal:
            logger.info("Run %s is no longer ours (%s).", self.ref.run_id, refusal)

    async def _end(self, entry: EndRun, outcome: str, reason: str = "") -> Ended:
        ended: Ended = await self._writer.record(entry)
        self.has_more = ended.has_more
        end = RunEnd(
            session_id=self.ref.session_id,
            run_id=self.ref.run_id,
            agent=self.agent.name,
            user=self._conversation.username,
            outcome=outcome,
            reason=reason,
            steps=entry.steps,
            tool_calls=self._tool_calls,
            usage=entry.usage,
            seconds=time.monotonic() - self._started_at,
        )
        log_end(end, model=self._llm.model)
        return ended
