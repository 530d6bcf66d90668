"""`/v1/responses`: the door for clients of OpenAI's Responses API."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse

from myagent.i18n import gettext as _
from myagent.protocol.client_events import UserResponse
from myagent.protocol.client_fields import MAX_SEQ
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.text import clean
from sessions_app import queries
from sessions_app.services import runs
from sessions_app.services.caller import UsableSession, check_after
from sessions_app.services.refusals import not_found
from sessions_app.web import live_log
from sessions_app.web.api_call import Call
from sessions_app.web.openai_door.asked_message import bad_field
from sessions_app.web.openai_door.asked_session import check_model, say
from sessions_app.web.openai_door.door_view import asked_by, door_view
from sessions_app.web.openai_door.responses.branch import asked_target
from sessions_app.web.openai_door.responses.input_items import Approval
from sessions_app.web.openai_door.responses.response_ids import EVENTS_OF_ONE, ResponseId, seq_of
from sessions_app.web.openai_door.responses.response_log import answered_by, newest_of, read_response, session_of
from sessions_app.web.openai_door.responses.response_request import ResponseRequest
from sessions_app.web.openai_door.responses.response_stream import listed, named, stream, whole
from sessions_app.web.run_stream import answer_questions, whole_json

FLAGS = {"true": True, "false": False}


@door_view("POST")
async def create_response(request: HttpRequest) -> HttpResponse:
    """Say something, or answer questions; tell the response as it comes, as a whole, or as it begins."""
    call = await Call.admitted(request)
    asked = await asked_by(call, ResponseRequest.read)
    live_log.check_room(call)
    facts, response_id = await (_answered(call, asked) if asked.approvals else _said(call, asked))
    if asked.stream:
        return await stream(call, facts, response_id)
    if asked.background:
        return await _shown(call, facts, response_id)
    return await whole(call, facts, response_id)


async def _said(call: Call, asked: ResponseRequest) -> tuple[queries.SessionFacts, ResponseId]:
    facts, posted = await say(call, asked, await asked_target(call, asked), after_answers=True)
    if posted.steers:
        return facts, (await newest_of(call, facts, posted.run_id))[0]
    return facts, ResponseId(posted.run_id, 1)


async def _answered(call: Call, asked: ResponseRequest) -> tuple[queries.SessionFacts, ResponseId]:
    facts = (await asked_target(call, asked)).facts
    if facts is None:
        raise not_found()
    check_model(facts, asked.model)
    answers = [_response_of(call, approval, str(facts.id)) for approval in asked.approvals]
    only = asked.previous.run_id if asked.previous is not None else None
    run_id = uuid.UUID(await answer_questions(call, UsableSession(facts.id, facts.agent), answers, only=only))
    return facts, await answered_by(call, facts, run_id, {answer.step_id for answer in answers})


def _response_of(call: Call, approval: Approval, session_id: str) -> UserResponse:
    content = {"confirmed": approval.approve} | ({} if approval.reason is None else {"reason": approval.reason})
    return call.asked(UserResponse, session_id=session_id, step_id=approval.step_id, content=content)


async def _shown(call: Call, facts: queries.SessionFacts, response_id: ResponseId) -> HttpResponse:
    response = await read_response(call, facts, response_id)
    return named(await whole_json(response.told()), response_id, facts)


@door_view("GET", "HEAD", "DELETE")
async def one_response(request: HttpRequest, name: str) -> HttpResponse:
    """A response as it stands, or its events from one on."""
    call = await Call.admitted(request)
    response_id = ResponseId.parse(clean(name))
    facts = await session_of(call, response_id)
    if request.method == "DELETE":
        words = _("A response is part of the log of its conversation, of which nothing is cut out: delete that.")
        raise ProtocolError(ErrorCode.NOT_SUPPORTED, words)
    known = _starting_after(request)
    if not FLAGS.get(request.GET.get("stream", "false").lower(), False):
        return await _shown(call, facts, response_id)
    check_after(facts, seq_of(known))
    if response_id.part > 1:
        await read_response(call, facts, response_id)
    return await stream(call, facts, response_id, known=known)


def _starting_after(request: HttpRequest) -> int:
    text = request.GET.get("starting_after", "-1")
    is_number = text.removeprefix("-").isdecimal() and text.isascii() and len(text) < 25
    if not is_number or not -1 <= int(text) <= MAX_SEQ * EVENTS_OF_ONE:
        raise bad_field("starting_after", _("a sequence number is a whole number from 0"))
    return int(text)


@door_view("POST")
async def cancel_response(request: HttpRequest, name: str) -> HttpResponse:
    """Cancel the run of a response. One that has ended, stays as it is."""
    call = await Call.admitted(request)
    response_id = ResponseId.parse(clean(name))
    facts = await session_of(call, response_id)
    session = UsableSession(facts.id, facts.agent)
    if await runs.cancel_runs(call.engine, call.caller, session, only=response_id.run_id):
        # While it waits for an answer, this is what comes behind the response that asks.
        response_id = (await newest_of(call, facts, response_id.run_id))[0]
    return await _shown(call, facts, response_id)


@door_view("GET", "HEAD")
async def input_items(request: HttpRequest, name: str) -> HttpResponse:
    """What was said to have a response."""
    call = await Call.admitted(request)
    response_id = ResponseId.parse(clean(name))
    response = await read_response(call, await session_of(call, response_id), response_id)
    found: list[dict[str, Any]] = response.input
    return await listed(found if request.GET.get("order") == "asc" else found[::-1])
