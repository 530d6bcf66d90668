"""The log of a session over HTTP: in pages, or live."""

from __future__ import annotations

import orjson
from django.http import HttpResponse

from agents.database.threads import in_thread
from agents.web.api_errors import for_one_caller
from myagent.i18n import gettext as _
from myagent.protocol.client_events import UserReconnect
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app import queries
from sessions_app.delivery.error_details import may_read_details, with_details
from sessions_app.delivery.log_pages import PAGE_EVENTS, events_after
from sessions_app.services.caller import check_after, usable_session
from sessions_app.services.refusals import not_found
from sessions_app.web.api_call import Body, Call
from sessions_app.web.event_stream import ServerSentEvents
from sessions_app.web.live_log import EVENT_STREAM, stream
from sessions_app.web.session_views import number


async def read_events(call: Call, session_id: str) -> HttpResponse:
    """The events after a cursor: a page of them, or all of them and then those that come."""
    event = call.asked(UserReconnect, session_id=session_id, **_cursor(call))
    facts = await usable_session(call.caller, session_id)
    check_after(facts, event.after)
    if EVENT_STREAM in call.request.headers.get("Accept", ""):
        return await stream(call, facts, event.after, ServerSentEvents())
    return await _page(call, facts, event.after)


def _cursor(call: Call) -> Body:
    # A browser that reconnects asks the same address again, and says in the header how far it has got since.
    if last := call.request.headers.get("Last-Event-ID", "").strip():
        return {"last_event_id": last}
    query = call.request.GET
    return {"last_seq": number(query["after"])} if "after" in query else {}


async def _page(call: Call, facts: queries.SessionFacts, after: int) -> HttpResponse:
    limit = _limit(call)
    try:
        # Before the events: whoever reads that no run goes on has read how the last one ended.
        last_seq, run_status = await in_thread(queries.end_of_log, facts.id)
    except queries.SessionGone:
        raise not_found() from None
    page = await in_thread(events_after, facts.id, after, limit)
    frames = [frame for _seq, frame in page.events]
    if may_read_details(call.caller.grant, call.engine.config):
        frames = [await with_details(frame) for frame in frames]
    end: Body = {
        "next": None if page.is_last else page.events[-1][0],
        "last_seq": max(last_seq, page.events[-1][0] if page.events else 0),
        "run_status": run_status,
    }
    # The frames are JSON already.
    body = '{"events":[' + ",".join(frames) + "]," + orjson.dumps(end).decode()[1:]
    return for_one_caller(HttpResponse(body, content_type="application/json"))


def _limit(call: Call) -> int:
    given = number(call.request.GET.get("limit", str(PAGE_EVENTS)))
    if not isinstance(given, int) or not 1 <= given <= PAGE_EVENTS:
        words = _("limit is a whole number from 1 to %(most)d.") % {"most": PAGE_EVENTS}
        raise ProtocolError(ErrorCode.BAD_FIELD, words)
    return given
