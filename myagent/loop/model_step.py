"""Asks the model for the reply of one step: streams it, and asks again when it breaks off, is empty or was sent too
much.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from myagent.events import (
    AgentEvent,
    HistorySummarized,
    ModelWaiting,
    ReasoningDelta,
    StepReset,
    StepStarted,
    TextDelta,
)
from myagent.exceptions import ContextOverflow, EmptyReply, LLMError, LLMUnavailable, StreamCut
from myagent.i18n import gettext as _
from myagent.llm import LLM, Chunk, Reply, TextChunk, TextWasReasoning, ToolSchema, Usage, Waiting
from myagent.llm.fallback import run_models
from myagent.llm.replies.finish import Ending, ending
from myagent.loop.history import History
from myagent.loop.log_lines import answer_line, question_line
from myagent.loop.model_turns import in_turn
from myagent.loop.summary import summarize
from myagent.messages import Message
from myagent.text import short_id
from myagent.tracing.model_request import OK, ModelRequest, ReportRequest, outcome_of, unreported
from myagent.tracing.spans import Trace

logger = logging.getLogger("myagent.loop")

ATTEMPTS_PER_STEP = 3
EMPTY_REPLY_NOTE = "Your last reply was empty. Answer the user in words now, or call a tool."
EMPTY_SUM_UP_NOTE = "Your last reply was empty. Answer the user in words now."


class ModelSteps:
    """Asks the model, step by step. `usage` is what the run has spent on it so far."""

    def __init__(
        self,
        llm: LLM,
        history: History,
        usage: Usage,
        *,
        trace: Trace,
        run_id: str,
        summarizes: bool,
        report: ReportRequest = unreported,
        before: Callable[[list[Message]], Awaitable[list[Message]]] | None = None,
    ) -> None:
        self.usage = usage
        self.reply: Message
        """The model's message in the step before."""
        self.is_cut_short = False
        """Whether that message ended at the model's length limit."""
        self._llm = llm
        self._models = run_models(llm)
        self._history = history
        self._trace = trace
        self._run_id = run_id
        self._summarizes = summarizes
        self._report = report
        self._before = before

    def ask(
        self, step: int, tools: Sequence[ToolSchema], note: str | None = None, *, may_call: bool = True
    ) -> AsyncGenerator[AgentEvent]:
        """Ask until there is a whole reply; it is in `reply` afterwards. `note` is added to the prompt.

        Without `may_call` the model is asked for a reply in words: one that has only tool calls is empty then.

        Raises `LLMError` when there is none after `ATTEMPTS_PER_STEP` attempts, or a second empty one. Where there are
        several models, each has so many.
        """
        if self._models is None:
            return self._ask(step, tools, note, may_call=may_call)
        ask = partial(self._ask, step, tools, note, may_call=may_call)
        return in_turn(self._models, ask, history=self._history, step=step, run_id=self._run_id)

    def pass_on(self, seconds: float) -> None:
        """Nothing came within these seconds, and there is no more time: where there is another model, it is next."""
        if self._models is not None:
            self._models.pass_on(seconds)

    async def _ask(
        self, step: int, tools: Sequence[ToolSchema], note: str | None, *, may_call: bool
    ) -> AsyncGenerator[AgentEvent]:
        yield StepStarted(step=step)
        was_empty = False
        for number in range(1, ATTEMPTS_PER_STEP + 1):
            if self._summarizes and self._history.is_too_long and (summarized := await self._summarize(step)):
                yield summarized
            added = _with_empty_note(note, may_call=may_call) if was_empty else note
            prompt = self._history.prompt(added)
            if self._before is not None:
                prompt = await self._before(prompt)
            async with self._attempt(step, number, tools, prompt, may_call=may_call) as attempt:
                async for chunk in attempt.stream:
                    if isinstance(chunk, TextWasReasoning):
                        yield StepReset(step=step, reason="reasoning")
                    if (event := attempt.take(chunk)) is not None:
                        yield event
            if attempt.error is None:
                self._accept(step, attempt)
                if not _is_empty(self.reply, may_call=may_call):
                    return
                if was_empty or number == ATTEMPTS_PER_STEP:
                    raise EmptyReply(_("The model answered with nothing, also when it was asked once more."))
                was_empty = True
                if attempt.has_shown:
                    yield StepReset(step=step, reason="empty_reply")
            elif (reset := self._prepare_retry(step, attempt)) is not None:
                yield reset

    def _attempt(
        self, step: int, number: int, tools: Sequence[ToolSchema], prompt: list[Message], *, may_call: bool
    ) -> _Attempt:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(question_line(self._run_id, step, self._llm.model, prompt, tools))
        stream = self._trace.ask(self._llm, prompt, "reply", tools, may_call=may_call, step=step, attempt=number)
        return _Attempt(stream, self._llm.model, step=step, number=number, report=self._report)

    def _accept(self, step: int, attempt: _Attempt) -> None:
        reply = attempt.reply
        self.reply = reply.message
        self.is_cut_short = ending(reply.finish) is Ending.CUT_SHORT
        self.usage += reply.usage
        if self._models is not None:
            self._models.answered(attempt.first_seconds)
        if self.is_cut_short:
            words = "run=%s: %s reached its length limit, so its answer is cut short; max_tokens may be too low."
            logger.warning(words, short_id(self._run_id), self._llm.model)
        if logger.isEnabledFor(logging.DEBUG):
            line = answer_line(
                self._run_id, step, self._llm.model, reply, seconds=attempt.seconds, first=attempt.first_seconds
            )
            logger.debug(line)

    def _prepare_retry(self, step: int, attempt: _Attempt) -> StepReset | None:
        """Make another attempt possible, or raise why there is none. Returns what makes the text shown so far void."""
        is_last = attempt.number == ATTEMPTS_PER_STEP or self._gives_up(attempt.error)
        match attempt.error:
            case StreamCut() as error:
                self.usage += Usage(llm_calls=1)
                if is_last and isinstance(error.__cause__, LLMError):
                    raise error.__cause__  # the endpoint has said why
                if is_last:
                    words = _("The model's answer broke off %(count)d times. Try again, or look at the model's server.")
                    raise LLMUnavailable(words % {"count": attempt.number}) from error
                return StepReset(step=step, reason=error.code) if attempt.has_shown else None
            case ContextOverflow() as error if is_last or not self._history.send_less(error.limit):
                raise error
        return None

    def _gives_up(self, error: BaseException | None) -> bool:
        """Whether another model is to be asked rather than this one once more."""
        return self._models is not None and error is not None and self._models.gives_up(error)

    async def _summarize(self, step: int) -> HistorySummarized | None:
        """Replace the oldest messages by a summary; if the model writes none, they are left out from now on."""
        history, oldest = self._history, self._history.oldest()
        try:
            reply = await summarize(
                self._llm,
                history.summary,
                oldest,
                history.budget,
                trace=self._trace,
                step=step,
                report=self._report,
            )
        except (StreamCut, LLMError) as error:
            if self._gives_up(error):
                raise error if isinstance(error, LLMError) else LLMUnavailable(str(error)) from error
            self._summarizes = False
            self.usage += Usage(llm_calls=int(isinstance(error, StreamCut)))
            logger.warning("%s wrote no summary (%s); older messages are left out.", self._llm.model, error)
            return None
        self.usage += reply.usage
        history.replace_oldest(len(oldest), reply.message.text)
        return HistorySummarized(count=len(oldest), text=reply.message.text, usage=self.usage)


def _is_empty(reply: Message, *, may_call: bool) -> bool:
    return not reply.text.strip() and not (may_call and reply.tool_calls)


def _with_empty_note(note: str | None, *, may_call: bool) -> str:
    return "\n\n".join(filter(None, (note, EMPTY_REPLY_NOTE if may_call else EMPTY_SUM_UP_NOTE)))


class _Attempt:
    """One request to the model and its stream, as a context manager that closes the stream.

    It suppresses the errors after which another attempt may help and keeps them in `error`. Without an error there is
    a `reply`.
    """

    def __init__(
        self, stream: AsyncGenerator[Chunk], model: str, *, step: int, number: int, report: ReportRequest = unreported
    ) -> None:
        self.stream = stream
        self.number = number
        self.error: StreamCut | ContextOverflow | None = None
        self.reply: Reply
        self.first_seconds: float | None = None
        """Seconds until the first text, None before that."""
        self.seconds = 0.0
        """Seconds until the reply was whole."""
        self._model = model
        self._step = step
        self._has_replied = False
        self._began = time.monotonic()
        self._report = report

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        await self.stream.aclose()
        if isinstance(error, StreamCut | ContextOverflow):
            self.error = error
        elif error is None and not self._has_replied:
            self.error = StreamCut("the stream ended without a reply")
        self._report(self._request(error or self.error))
        return self.error is not None

    def _request(self, error: BaseException | None) -> ModelRequest:
        """What this was, for those who count."""
        first, number = self.first_seconds, self.number
        if not self._has_replied:
            seconds = time.monotonic() - self._began
            return ModelRequest(
                model=self._model, outcome=outcome_of(error), seconds=seconds, first_seconds=first, attempt=number
            )
        reply = self.reply  # what went wrong behind it was not the model
        return ModelRequest(
            model=self._model,
            outcome=OK,
            seconds=self.seconds,
            first_seconds=first,
            attempt=number,
            retries=reply.retries,
            usage=reply.usage,
            response_model=reply.model,
        )

    @property
    def has_shown(self) -> bool:
        """Whether a part of the answer was reported."""
        return self.first_seconds is not None

    def take(self, chunk: Chunk) -> TextDelta | ReasoningDelta | ModelWaiting | None:
        """The event that reports `chunk`, None for the reply at the end."""
        if isinstance(chunk, Waiting):
            return ModelWaiting(step=self._step, seconds=chunk.seconds)
        if isinstance(chunk, Reply):
            self.reply, self._has_replied = chunk, True
            self.seconds = time.monotonic() - self._began
            return None
        if self.first_seconds is None:
            self.first_seconds = time.monotonic() - self._began
        # Text that turned out to be reasoning comes again as such.
        kind = TextDelta if isinstance(chunk, TextChunk) else ReasoningDelta
        return kind(step=self._step, text=chunk.text)
