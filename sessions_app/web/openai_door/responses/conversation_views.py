"""`/v1/conversations`: sessions, for clients of OpenAI's Responses API."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse

from agents.database.threads import in_thread
from agents.loading.registry import LoadedAgent
from agents.web.api_errors import json_answer
from myagent.i18n import gettext as _
from myagent.messages import Message
from myagent.protocol.client_events import UserCreateSession, UserUpdateSession
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.text import clean
from sessions_app import session_list
from sessions_app.services import named_sessions, sessions
from sessions_app.services.caller import UsableSession, default_agent, usable_agent, usable_session
from sessions_app.services.named_sessions import Beginning
from sessions_app.services.refusals import not_found
from sessions_app.web.api_call import Body, Call
from sessions_app.web.openai_door.asked_message import bad_field, optional
from sessions_app.web.openai_door.asked_session import DOOR, request_name, storable
from sessions_app.web.openai_door.door_view import asked_by, door_view
from sessions_app.web.openai_door.responses.conversation_items import DEFAULT, MOST, page_of
from sessions_app.web.openai_door.responses.input_items import read_history
from sessions_app.web.openai_door.responses.response_stream import listed


@door_view("POST")
async def create_conversation(request: HttpRequest) -> HttpResponse:
    """A session of the agent that `metadata.model` names, else of the one that is meant where none is named."""
    call = await Call.admitted(request)
    metadata, history = await asked_by(call, _beginning)
    event = call.asked(UserCreateSession, content={"metadata": metadata})
    agent = usable_agent(call.caller, metadata.get("model") or default_agent(call.caller.grant))
    beginning = await _storable(event.session_metadata, history, agent)
    opened = await named_sessions.open_thread(call.engine, call.caller, agent, request_name(call), beginning)
    return json_answer(await _shown(opened.facts.id))


def _beginning(body: Body) -> tuple[Body, tuple[Message, ...]]:
    metadata = optional(body, "metadata", dict, {})
    if not isinstance(metadata.get("model", ""), str):
        raise bad_field("metadata.model", _("the name of an agent"))
    return metadata, read_history(optional(body, "items", list, []), "items")


async def _storable(metadata: Body, history: tuple[Message, ...], agent: LoadedAgent) -> Beginning:
    messages = [await storable(message, agent) for message in history]
    return Beginning(door=DOOR, history=messages, metadata=metadata)


async def _shown(session_id: uuid.UUID) -> dict[str, Any]:
    facts = await in_thread(session_list.summary_of, session_id)
    if facts is None:
        raise not_found()
    created_at = int(datetime.fromisoformat(facts["created_at"]).timestamp())
    metadata = {**facts["metadata"], "model": facts["agent"]}
    return {"id": str(session_id), "object": "conversation", "created_at": created_at, "metadata": metadata}


@door_view("GET", "HEAD", "POST", "DELETE")
async def one_conversation(request: HttpRequest, name: str) -> HttpResponse:
    """A session: shown, with other metadata, or deleted."""
    call = await Call.admitted(request)
    facts = await usable_session(call.caller, clean(name))
    session = UsableSession(facts.id, facts.agent)
    if request.method == "DELETE":
        await sessions.delete_session(call.engine, session)
        return json_answer({"id": str(facts.id), "object": "conversation.deleted", "deleted": True})
    if request.method == "POST":
        event = await call.read(
            UserUpdateSession,
            lambda body: {"session_id": str(facts.id), "content": {"metadata": body.get("metadata")}},
        )
        await sessions.update_session(call.engine, session, event)
    return json_answer(await _shown(facts.id))


@door_view("GET", "HEAD", "POST")
async def conversation_items(request: HttpRequest, name: str) -> HttpResponse:
    """What was said, and what came of it. What is said is said by a request for a response."""
    call = await Call.admitted(request)
    facts = await usable_session(call.caller, clean(name))
    if request.method == "POST":
        words = _("A conversation grows by what is said in it: POST /v1/responses with conversation.")
        raise ProtocolError(ErrorCode.NOT_SUPPORTED, words)
    query = request.GET
    after, is_rising = query.get("after", ""), query.get("order") == "asc"
    page, has_more = await page_of(call, facts, after=after, limit=_limit(query), is_rising=is_rising)
    return await listed(page, has_more=has_more)


def _limit(query: Any) -> int:
    text = query.get("limit", str(DEFAULT))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= MOST):
        raise bad_field("limit", _("a whole number from 1 to %(limit)d") % {"limit": MOST})
    return int(text)
