"""One run in this process: drives the loop, records what it reports, and is its host."""

from __future__ import annotations

import asyncio
import copy
import logging
import time
import uuid
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from agents.loading.registry import LoadedAgent
from agents.tool_runner.tool_runner import ToolRunner
from myagent.events import (
    AgentEvent,
    HistorySummarized,
    ModelReplied,
    ModelWaiting,
    ReasoningDelta,
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
from myagent.llm import LLM
from myagent.loop import react
from myagent.loop.checkpoint import START
from myagent.loop.host import ConfirmationRequest, Decision
from myagent.messages import Message
from myagent.protocol.error_codes import ErrorCode
from myagent.protocol.server_base import ServerEvent
from myagent.run_context import RunContext
from myagent.text import clean
from myagent.tool.base_tool import BaseTool
from sessions_app.journal.batch import Refused
from sessions_app.journal.entries.recovery import Recovered
from sessions_app.journal.entries.runs import (
    Ended,
    EndRun,
    FinishCall,
    LogDeltas,
    LogEvents,
    StartCall,
    StoreReply,
    StoreSummary,
)
from sessions_app.journal.entry import Entry, RunRef
from sessions_app.journal.run_log import RunEnd, log_end
from sessions_app.journal.writer import Journal, JournalClosed
from sessions_app.models import Run
from sessions_app.queries import Conversation, SessionGone
from sessions_app.runs.deltas import DeltaSender
from sessions_app.runs.history_cache import RecentConversations
from sessions_app.runs.pacer import DeltaPacer
from sessions_app.runs.questions import Questions
from sessions_app.runs.span_recorder import SpanRecorder
from sessions_app.runs.translate import Translator

logger = logging.getLogger("myagent.runner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What every driver of this process works with. `delta_interval` is in seconds."""

    journal: Journal
    tool_runner: ToolRunner
    recent: RecentConversations
    delta_interval: float
    max_output_bytes: int
    tell: Callable[[uuid.UUID, ServerEvent], None] = lambda _session_id, _event: None
    """Sends an event that is not logged to the connections that follow a session."""


class RunDriver:
    """Works on one run until it ends, is cancelled, or turns out to be somebody else's.

    `message` is the one to answer, where it is at hand; `recovered` tells where a run that was taken over stands.
    """

    def __init__(
        self,
        ref: RunRef,
        loaded: LoadedAgent,
        llm: LLM,
        equipment: Equipment,
        *,
        message: Message | None = None,
        recovered: Recovered | None = None,
        max_steps: int | None = None,
    ) -> None:
        recovered = recovered or Recovered(ref=ref, checkpoint=START)
        self.ref = ref
        self.agent = loaded.agent
        self._version = loaded.version
        self._max_steps = max_steps
        self._mine: dict[str, Any] = {"session_id": ref.session_id, "of_run": ref.run_id, "epoch": ref.epoch}
        self.has_more = False
        """Whether the session has further messages to answer; known at the end."""
        self._llm = llm
        self._journal = equipment.journal
        self._tool_runner = equipment.tool_runner
        self._recent = equipment.recent
        self._max_output_bytes = equipment.max_output_bytes
        self._tell = equipment.tell
        self._message = message
        self._conversation = Conversation([], {}, None)
        self._results: dict[int, Message] = {}
        self._translate = Translator(ref.run_id)
        self._deltas = DeltaSender(
            DeltaPacer(ref.run_id, epoch=ref.epoch, interval=equipment.delta_interval), self._offer_deltas
        )
        self._unconfirmed: list[asyncio.Future[Any]] = []
        self._questions = Questions(self._record, self._mine, self._translate)
        self._questions.take_over(recovered.questions)
        self._checkpoint = recovered.checkpoint
        self._first_result = recovered.first_result
        self._step = recovered.checkpoint.step
        self._usage = recovered.checkpoint.usage
        self._tool_calls = recovered.tool_calls
        self._begun = time.monotonic() - recovered.age

    @property
    def is_waiting(self) -> bool:
        """Whether the run waits for a person."""
        return self._questions.are_open

    def answered(self, step_id: str, answer: dict[str, Any]) -> None:
        """A person answered a confirmation; the answer is on record already."""
        self._questions.answered(step_id, answer)

    async def drive(self) -> None:
        """Work on the run to its end. Raises nothing; whoever cancels it has put the run's end on record before."""
        try:
            await self._drive()
        except (Refused, JournalClosed, RunCancelled, SessionGone) as error:
            logger.info("Run %s is not ours any more (%s).", self.ref.run_id, error)
        except RunError as error:
            await self._fail(error.code, error.public, detail=clean(str(error)), **error.details)
        except Exception:
            logger.exception("Run %s of agent %r failed.", self.ref.run_id, self.agent.name)
            await self._fail(ErrorCode.INTERNAL_ERROR, _("The server made a mistake; its log has the details."))
        finally:
            self._deltas.stop()

    async def _drive(self) -> None:
        conversation = self._conversation = await self._recent.conversation(
            self.ref, self._message, summarized=self.agent.compact == "summarize"
        )
        context = RunContext(
            session_id=str(self.ref.session_id),
            run_id=str(self.ref.run_id),
            agent=self.agent.name,
            user=conversation.username,
            state=copy.deepcopy(conversation.state),
        )
        history = list(conversation.messages)
        run = react.run(
            self.agent,
            history,
            host=self,
            context=context,
            llm=self._llm,
            summary=conversation.summary,
            checkpoint=self._checkpoint,
            max_output_bytes=self._max_output_bytes,
            max_steps=self._max_steps,
            watchers=[SpanRecorder(self._journal, self._mine)],
        )
        async with aclosing(run) as events:
            async for event in events:
                await self._take(event)

    async def _take(self, event: AgentEvent) -> None:
        match event:
            case TextDelta(text=text):
                self._deltas.add_text(text)
            case ReasoningDelta(text=text):
                self._deltas.add_reasoning(text)
            case StepStarted(step=step):
                self._step = step
                self._deltas.begin(step)
                await self._log(self._translate.step_started(event))
            case ModelWaiting():
                self._tell(self.ref.session_id, self._translate.waiting(event))
            case StepReset(step=step):
                self._deltas.begin(step)
                await self._log(self._translate.step_reset(event))
            case HistorySummarized():
                self._usage = event.usage
                after = self._conversation.starts_after
                upto = await self._record(StoreSummary(**self._mine, summarized=event, after=after))
                self._conversation.take_summary(event.text, event.count, upto)
            case ModelReplied():
                self._usage = event.usage
                self._tool_calls += len(event.calls)
                self._keep_results()
                entry = StoreReply(
                    **self._mine, reply=event, events=(*self._deltas.finish(), *self._translate.tool_calls(event))
                )
                self._first_result = await self._record(entry)
                self._conversation.messages.append(event.message)
            case ToolStarted():
                await self._record(StartCall(**self._mine, step_id=event.call.step_id, arguments=event.arguments))
            case ToolProgress():
                await self._record(LogEvents(**self._mine, events=(self._translate.tool_progress(event),)))
            case ToolFinished():
                self._results[event.call.index] = event.message
                if event.state is not None:
                    self._conversation.state = event.state
                position = self._first_result + event.call.index
                events = (self._translate.tool_finished(event),)
                await self._submit(FinishCall(**self._mine, finished=event, position=position, events=events))
            case RunFinished():
                await self._finish(event)

    async def _log(self, *events: ServerEvent) -> None:
        await self._submit(LogEvents(**self._mine, events=events))

    def _offer_deltas(self, events: tuple[ServerEvent, ...]) -> asyncio.Future[Any]:
        return self._noted(self._journal.offer(LogDeltas(**self._mine, events=events)))

    async def _submit(self, entry: Entry) -> None:
        """Queue an entry without waiting for its commit; `_record` raises what became of it."""
        self._noted(await self._journal.submit(entry))

    def _noted(self, outcome: asyncio.Future[Any]) -> asyncio.Future[Any]:
        self._unconfirmed = [earlier for earlier in self._unconfirmed if not earlier.done() or earlier.exception()]
        self._unconfirmed.append(outcome)
        return outcome

    async def _record(self, entry: Entry) -> Any:
        """Commit an entry behind all that were submitted. Raises `Refused`, or why one of them was not stored."""
        outcome = await self._journal.submit(entry)
        # As they are now: what calls that run side by side submit meanwhile is behind this entry.
        before = tuple(self._unconfirmed)
        # Waited for and not awaited: a tool that is cancelled in here must not cancel what others wait for, too.
        await asyncio.wait([*before, outcome])
        for earlier in before:
            earlier.result()
        return outcome.result()

    def _keep_results(self) -> None:
        """Results come as they are ready, and stand in the history in the order of their calls."""
        self._conversation.messages += [message for _, message in sorted(self._results.items())]
        self._results = {}

    # --- the end ---

    async def _finish(self, event: RunFinished) -> None:
        self._usage = event.usage
        duration_ms = round((time.monotonic() - self._begun) * 1000)
        answer = self._translate.final_answer(event, duration_ms=duration_ms)
        ended = await self._end(
            EndRun(
                **self._mine,
                status=Run.Status.SUCCEEDED,
                message=event.message,
                steps=event.step,
                usage=event.usage,
                events=(*self._deltas.finish(), answer),
            ),
            event.finish,
        )
        self._keep_results()
        if event.message is not None:
            self._conversation.messages.append(event.message)
        if not self._checkpoint.step:  # else results stand here in another order than in the database
            self._recent.remember(self.ref.session_id, ended.history_end, self._conversation)

    async def _fail(self, code: str, message: str, *, detail: str = "", **more: Any) -> None:
        """End the run with an error: `message` for everybody on the session, `detail` for those who run the server."""
        self._unconfirmed.clear()
        error = self._translate.error(code, message, **more)
        detail = "" if detail == message else detail
        if detail:
            logger.warning("Run %s of agent %r failed (%s): %s", self.ref.run_id, self.agent.name, code, detail)
        entry = EndRun(
            **self._mine,
            status=Run.Status.FAILED,
            steps=self._step,
            usage=self._usage,
            error_code=code,
            error_detail=detail,
            # What is held back of the text belongs before the error, so that the log holds all that was said.
            events=(*self._deltas.rest(), error),
        )
        try:
            await self._end(entry, "error", code)
        except (Refused, JournalClosed) as refusal:
            logger.info("Run %s is not ours any more (%s).", self.ref.run_id, refusal)

    async def _end(self, entry: EndRun, outcome: str, reason: str = "") -> Ended:
        ended: Ended = await self._record(entry)
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
            seconds=time.monotonic() - self._begun,
        )
        log_end(end, model=self._llm.model)
        return ended

    # --- Host ---

    async def execute(self, tool: BaseTool, call: Callable[[], Any]) -> Any:
        return await self._tool_runner.execute(self.agent.name, tool, call, version=self._version)

    async def confirm(self, request: ConfirmationRequest) -> Decision:
        return await self._questions.ask(request)
