"""A response as an answer: as a stream of events, or as a whole once it is over. Closing it cancels nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.http import HttpResponse

from agents.web.api_errors import ApiRefused
from myagent.protocol.error_codes import ErrorCode
from sessions_app import queries
from sessions_app.services.heavy_work import written
from sessions_app.services.refusals import try_again
from sessions_app.upkeep.gauges import OPENAI
from sessions_app.web import live_log
from sessions_app.web.api_call import Call
from sessions_app.web.openai_door.error_answers import refusal_answer
from sessions_app.web.openai_door.responses.response_ids import ResponseId
from sessions_app.web.openai_door.responses.response_log import before_first, begun
from sessions_app.web.openai_door.responses.run_response import Event, Frame, RunResponse
from sessions_app.web.run_stream import RunStream, whole_json


async def _as_events(events: Iterable[Event]) -> bytes:
    return b"".join([b"event: %s\ndata: %s\n\n" % (event["type"].encode(), await written(event)) for event in events])


async def _as_nothing(events: Iterable[Event]) -> bytes:
    return b""


def _beside(response: RunResponse) -> Callable[[Frame], list[Event]]:
    def told(frame: Frame) -> list[Event]:
        is_gone = frame["event"] == "agent.session_deleted"
        return response.gone(frame["content"], ErrorCode.SESSION_NOT_FOUND) if is_gone else []

    return told


async def stream(call: Call, facts: queries.SessionFacts, response_id: ResponseId, *, known: int = -1) -> HttpResponse:
    """The events of a response from its beginning, or behind the one with the number `known`."""
    response = await begun(facts, response_id, known=known)
    form = RunStream(OPENAI, response, b":\n\n", encoded=_as_events, beside=_beside(response))
    after = await before_first(facts, response_id.run_id)
    return named(await live_log.stream(call, facts, after, form), response_id, facts)


async def whole(call: Call, facts: queries.SessionFacts, response_id: ResponseId) -> HttpResponse:
    """The response, told once it is over."""
    response = await begun(facts, response_id)
    form = RunStream(OPENAI, response, b"", encoded=_as_nothing, beside=_beside(response))

    async def told(is_whole: bool) -> HttpResponse:
        if not is_whole:
            return refusal_answer(ApiRefused.of(try_again(is_certain=False)), None)
        return await whole_json(response.told())

    after = await before_first(facts, response_id.run_id)
    return named(await live_log.tell_whole(call, facts, after, form, told), response_id, facts)


def named(answer: HttpResponse, response_id: ResponseId, facts: queries.SessionFacts) -> HttpResponse:
    """The answer with headers that say what it is about."""
    answer.headers["X-MyAgent-Session"] = str(facts.id)
    answer.headers["X-Request-Id"] = str(response_id.run_id)
    return answer


async def listed(items: list[dict[str, Any]], *, has_more: bool = False) -> HttpResponse:
    """A list of items."""
    ends = {"first_id": items[0]["id"] if items else None, "last_id": items[-1]["id"] if items else None}
    return await whole_json({"object": "list", "data": items, **ends, "has_more": has_more})
