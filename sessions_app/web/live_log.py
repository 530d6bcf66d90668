"""The log of a session from one of its runs on, followed by a door until that run is over: as a stream, or to be told
as a whole. Closing it cancels nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from django.http import HttpResponse

from agents.access.asked_language import language_of
from agents.database.threads import in_thread
from agents.web.api_admission import BUSY_SECONDS
from agents.web.api_errors import ApiRefused, for_one_caller
from agents.web.live_answers import LateAnswer, answer_live, answer_when_made
from myagent.i18n import gettext as _
from myagent.i18n import speaking
from myagent.protocol.error_codes import ErrorCode
from sessions_app import queries
from sessions_app.journal.entries.messages import Posted
from sessions_app.services.caller import facts_if_usable
from sessions_app.services.connection_room import why_full
from sessions_app.services.refusals import not_found
from sessions_app.web.api_call import Call
from sessions_app.web.event_stream import EventStream, StreamForm

EVENT_STREAM = "text/event-stream"


def check_room(call: Call) -> None:
    """Raise `ApiRefused` where this process takes no further connection."""
    if why_full(call.engine):
        words = _("The server has as many connections as it takes. Please try again in a while.")
        late = {"Retry-After": str(BUSY_SECONDS)}
        raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, ErrorCode.BUSY, words, headers=late)


async def before_run(session_id: uuid.UUID, posted: Posted) -> int:
    """The cursor from which on everything is read that belongs to what was posted."""
    if posted.steers:
        return posted.last_seq
    try:
        begin = await in_thread(queries.begin_of_run, session_id, posted.run_id)
        return begin - 1 if begin is not None else (await in_thread(queries.end_of_log, session_id))[0]
    except queries.SessionGone:
        raise not_found() from None


async def stream(call: Call, facts: queries.SessionFacts, after: int, form: StreamForm) -> HttpResponse:
    """The headers of an answer that goes on; what follows them is written in this form."""
    check_room(call)
    if call.request.method != "HEAD":
        answer_live(call.request, await follow(call, facts, after, form))
    # nginx collects an answer before it passes it on, unless this header tells it not to.
    headers = {"X-Accel-Buffering": "no"}
    answer = for_one_caller(HttpResponse(content_type=f"{EVENT_STREAM}; charset=utf-8", headers=headers))
    answer.headers["Cache-Control"] = "no-store, no-transform"
    return answer


async def tell_whole(
    call: Call,
    facts: queries.SessionFacts,
    after: int,
    form: StreamForm,
    told: Callable[[bool], Awaitable[HttpResponse]],
) -> HttpResponse:
    """The headers of an answer that is `told` when the form has seen its last event, or (False) when it never will."""
    check_room(call)
    following = await follow(call, facts, after, form)
    answer_when_made(call.request, _Whole(following, told, language_of(call.request)))
    return for_one_caller(HttpResponse(content_type="application/json"))


async def follow(call: Call, facts: queries.SessionFacts, after: int, form: StreamForm) -> EventStream:
    """A connection by which the caller follows the session, to be run and closed. Raises `ProtocolError`."""
    following = EventStream(call.engine, call.caller, form, facts, language=language_of(call.request))
    try:
        # Again, attached: a session that was deleted before is not announced to this connection.
        if await facts_if_usable(call.caller, facts.id) is None:
            raise not_found()
    except BaseException:
        following.close()
        raise
    following.begin(after)
    return following


class _Whole(LateAnswer):
    def __init__(
        self, following: EventStream, told: Callable[[bool], Awaitable[HttpResponse]], language: str | None
    ) -> None:
        self._following = following
        self._told = told
        self._language = language

    async def made(self) -> HttpResponse:
        is_whole = await self._following.run(nowhere)
        with speaking(self._language):
            return await self._told(is_whole)

    def close(self) -> None:
        self._following.close()


async def nowhere(data: bytes) -> None:
    """A form whose answer is told as a whole writes nothing meanwhile."""
