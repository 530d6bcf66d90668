"""What the doors for other protocols share: the log from its beginning, a run until it ends or asks, answers to it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol

from django.http import HttpResponse

from agents.database.threads import in_thread, in_thread_patiently
from agents.web.api_errors import for_one_caller, json_answer
from myagent.i18n import gettext as _
from myagent.protocol.client_events import UserResponse
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.http_answers import CancelledAnswer
from sessions_app import asked_questions, queries
from sessions_app.delivery import log_pages
from sessions_app.delivery.error_details import may_read_details, with_details
from sessions_app.services import runs
from sessions_app.services.caller import UsableSession
from sessions_app.services.heavy_work import beside_the_loop, is_heavy, loaded
from sessions_app.web.api_call import Call
from sessions_app.web.event_stream import StreamForm
from sessions_app.web.live_log import EVENT_STREAM

ASK_SECONDS = 0.25
"""How long a question waits for those of other calls of the same step."""

Event = dict[str, Any]
Frame = dict[str, Any]


class Telling(Protocol):
    """A run in the events of another protocol."""

    @property
    def run_id(self) -> str: ...

    @property
    def is_over(self) -> bool:
        """Whether its end was told."""
        ...

    @property
    def may_ask_more(self) -> bool:
        """Whether it has open questions and other calls that have neither asked nor a result."""
        ...

    def take(self, frame: Frame) -> list[Event]:
        """What a client is told of a logged event of this run."""
        ...

    def interrupted(self) -> list[Event]:
        """The end of an answer that open questions are; nothing where there are none."""
        ...


class RunStream(StreamForm):
    """The form of an answer that follows a run (`StreamForm`): from the log, and then as it goes on."""

    keep_alive = b":\n\n"

    def __init__(
        self,
        door: str,
        run: Telling,
        beginning: bytes,
        *,
        encoded: Callable[[list[Event]], Awaitable[bytes]],
        beside: Callable[[Frame], list[Event]],
    ) -> None:
        """`encoded` writes the run's events, `beside` tells what is not of the run and not logged."""
        self.door = door
        self.beginning = beginning
        self._run = run
        self._encoded = encoded
        self._beside = beside
        self._is_live = False
        self._is_over = False

    async def written(self, frame: str) -> bytes:
        events = self._events_of(await loaded(frame))
        self._is_over = self._is_over or self._run.is_over
        return await self._encoded(events)

    async def rested(self, is_idle: Callable[[], bool]) -> bytes:
        if not self._is_live:
            return b""
        if self._run.may_ask_more:
            # Calls that run side by side ask one after the other, and the client is to hear of all at once.
            await asyncio.sleep(ASK_SECONDS)
            if not is_idle():
                return b""
        asked = self._run.interrupted()
        return await self._encoded(asked) if asked else b""

    def is_last(self, frame: str) -> bool:
        return self._is_over

    def _events_of(self, frame: Frame) -> list[Event]:
        name, about = frame["event"], frame["metadata"]
        if name == "agent.session_deleted":
            self._is_over = True
            return self._beside(frame)
        if name == "system.notice" and about["action"] == "replay":
            self._is_live = True
            return []
        if name in ("agent.session_updated", "system.notice"):
            return self._beside(frame) if about.get("run_id", self._run.run_id) == self._run.run_id else []
        return self._run.take(frame) if about.get("run_id") == self._run.run_id else []


async def each_frame(
    session_id: uuid.UUID, call: Call | None = None, *, after: int = 0
) -> AsyncIterator[tuple[int, Frame]]:
    """The log with its numbers, with those details of errors that this caller may read."""
    tells_details = call is not None and may_read_details(call.caller.grant, call.engine.config)
    while True:
        page = await in_thread_patiently(log_pages.events_after, session_id, after)
        for after, frame in page.events:
            yield after, await loaded(await with_details(frame) if tells_details else frame)
        if page.is_last:
            return


async def whole_json(body: dict[str, Any]) -> HttpResponse:
    """An answer that may be long."""
    return await beside_the_loop(json_answer, body) if is_heavy(body) else json_answer(body)


def ended(data: bytes) -> HttpResponse:
    """An answer of which all is known."""
    return for_one_caller(HttpResponse(data, content_type=f"{EVENT_STREAM}; charset=utf-8"))


async def has_to_answer_first(session_id: uuid.UUID, message_id: str | None) -> bool:
    """Whether a message is new, and a run of its session waits for an answer."""
    if await in_thread(queries.has_message, session_id, message_id or ""):
        return False
    return await in_thread(asked_questions.has_open_question, session_id)


async def stopped(call: Call, facts: queries.SessionFacts) -> HttpResponse:
    """Cancel what goes on in a session, and tell the ids of the runs that it ended."""
    run_ids = await runs.cancel_runs(call.engine, call.caller, UsableSession(facts.id, facts.agent))
    return json_answer(CancelledAnswer(run_ids=[str(run_id) for run_id in run_ids]).model_dump())


async def answer_questions(
    call: Call, session: UsableSession, answers: Sequence[UserResponse], *, only: uuid.UUID | None = None
) -> str:
    """Store the answers; those that were given before, the same, do no harm. Returns the id of the run that asked last.

    Raises `ProtocolError` where one answers no open question (of `only` this run), or two say different things to the
    same one; then none of them is stored.
    """
    known = await _asked(session, answers, only)
    for answer in _once_each([answer for answer in answers if _is_new(answer, known)]):
        try:
            await runs.answer_confirmation(call.engine, call.caller, session, answer)
        except ProtocolError as error:
            # The same may have come at the same moment.
            if error.code is not ErrorCode.NO_PENDING_CONFIRMATION or _is_new(
                answer, await _asked(session, [answer], only)
            ):
                raise
    return str(known[answers[-1].step_id].run_id)


async def _asked(
    session: UsableSession, answers: Sequence[UserResponse], only: uuid.UUID | None
) -> dict[str, asked_questions.AskedQuestion]:
    """The questions that are answered, those of `only` this run."""
    asked = await in_thread(asked_questions.questions_of, session.id, {answer.step_id for answer in answers})
    return {key: question for key, question in asked.items() if only in (None, question.run_id)}


def _once_each(answers: Sequence[UserResponse]) -> list[UserResponse]:
    found: dict[str, UserResponse] = {}
    for answer in answers:
        if runs.answer_in(found.setdefault(answer.step_id, answer)) != runs.answer_in(answer):
            raise ProtocolError(ErrorCode.BAD_FIELD, _("Two answers to the same question contradict each other."))
    return list(found.values())


def _is_new(answer: UserResponse, known: dict[str, asked_questions.AskedQuestion]) -> bool:
    question = known.get(answer.step_id)
    if question is not None and question.is_open:
        return True
    if question is not None and question.answer == runs.answer_in(answer):
        return False
    raise ProtocolError(ErrorCode.NO_PENDING_CONFIRMATION, _("There is no open question with this id."))
