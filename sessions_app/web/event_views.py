"""The log of a session over HTTP: in pages, or live."""

from __future__ import annotations

from http import HTTPStatus

import orjson
from django.http import HttpResponse

from agents.access.asked_language import language_of
from agents.database.threads import in_thread
from agents.web.api_admission import BUSY_SECONDS
from agents.web.api_errors import ApiRefused, for_one_caller
from agents.web.live_answers import answer_live
from myagent.i18n import gettext as _
from myagent.protocol.client_events import UserReconnect
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app import queries
from sessions_app.delivery.error_details import may_read_details, with_details
from sessions_app.services.caller import check_after, facts_if_usable, usable_session
from sessions_app.services.connection_room import why_full
from sessions_app.services.refusals import not_found
from sessions_app.web.api_call import Body, Call
from sessions_app.web.event_stream import EventStream, ServerSentEvents, StreamForm
from sessions_app.web.session_views import number

EVENT_STREAM = "text/event-stream"


async def read_events(call: Call, session_id: str) -> HttpResponse:
    """The events after a cursor: a page of them, or all of them and then those that come."""
    event = call.asked(UserReconnect, session_id=session_id, **_cursor(call))
    facts = await usable_session(call.caller, session_id)
    check_after(facts, event.after)
    if call.request.method == "GET" and EVENT_STREAM in call.request.headers.get("Accept", ""):
        return await stream(call, facts, event.after, ServerSentEvents())
    return await _page(call, facts, event.after)


def _cursor(call: Call) -> Body:
    # A browser that reconnects asks the same address again, and says in the header how far it has got since.
    if last := call.request.headers.get("Last-Event-ID", "").strip():
        return {"last_event_id": last}
    query = call.request.GET
    return {"last_seq": number(query["after"])} if "after" in query else {}


async def stream(call: Call, facts: queries.SessionFacts, after: int, form: StreamForm) -> HttpResponse:
    """The headers of an answer that goes on; what follows them is written in this form."""
    if why_full(call.engine):
        words = _("The server has as many connections as it takes. Please try again in a while.")
        late = {"Retry-After": str(BUSY_SECONDS)}
        raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, ErrorCode.BUSY, words, headers=late)
    following = EventStream(call.engine, call.caller, form, facts, language=language_of(call.request))
    try:
        # Again, attached: a session that was deleted before is not announced to this connection.
        if await facts_if_usable(call.caller, facts.id) is None:
            raise not_found()
    except BaseException:
        following.close()
        raise
    following.begin(after)
    answer_live(call.request, following)
    # nginx collects an answer before it passes it on, unless this header tells it not to.
    headers = {"X-Accel-Buffering": "no"}
    answer = for_one_caller(HttpResponse(content_type=f"{EVENT_STREAM}; charset=utf-8", headers=headers))
    answer.headers["Cache-Control"] = "no-store, no-transform"
    return answer


async def _page(call: Call, facts: queries.SessionFacts, after: int) -> HttpResponse:
    limit = _limit(call)
    page = await in_thread(queries.events_after, facts.id, after, limit + 1)
    try:
        last_seq, run_status = await in_thread(queries.end_of_log, facts.id)
    except queries.SessionGone:
        raise not_found() from None
    frames = [frame for _seq, frame in page[:limit]]
    if may_read_details(call.caller.grant, call.engine.config):
        frames = [await with_details(frame) for frame in frames]
    end: Body = {
        "next": page[limit - 1][0] if len(page) > limit else None,
        "last_seq": last_seq,
        "run_status": run_status,
    }
    # The frames are JSON already.
    body = '{"events":[' + ",".join(frames) + "]," + orjson.dumps(end).decode()[1:]
    return for_one_caller(HttpResponse(body, content_type="application/json"))


def _limit(call: Call) -> int:
    given = number(call.request.GET.get("limit", str(queries.REPLAY_PAGE)))
    if not isinstance(given, int) or not 1 <= given <= queries.REPLAY_PAGE:
        words = _("limit is a whole number from 1 to %(most)d.") % {"most": queries.REPLAY_PAGE}
        raise ProtocolError(ErrorCode.BAD_FIELD, words)
    return given
