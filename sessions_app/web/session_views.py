"""Sessions over HTTP: list, create, show, change, delete, fork, export and restore them."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse

from agents.database.threads import in_thread
from agents.web.api_errors import json_answer, no_content
from myagent.protocol import client_events as events
from myagent.protocol.fork_events import UserFeedback, UserFork
from myagent.protocol.http_answers import ForkedAnswer, RestoredAnswer
from sessions_app import session_list
from sessions_app.services import forks, saved_states, sessions
from sessions_app.services.caller import default_agent, facts_if_usable, usable_agent
from sessions_app.services.refusals import not_found
from sessions_app.web.api_call import Body, Call
from sessions_app.web.run_views import accepted, with_message_id

FLAGS = {"true": True, "1": True, "false": False, "0": False}


async def list_sessions(call: Call) -> HttpResponse:
    """The caller's sessions, newest first."""
    query = call.request.GET
    asked: Body = {name: query[name] for name in ("agent", "query", "family_id", "before") if name in query}
    if "families" in query:
        asked["families"] = FLAGS.get(query["families"].lower(), query["families"])
    if "limit" in query:
        asked["limit"] = number(query["limit"])
    event = call.asked(events.UserListSessions, **asked)
    page, mark = await sessions.page_of_sessions(call.caller, event)
    return json_answer({"sessions": page, "next": mark})


def number(text: str) -> int | str:
    """What a parameter of an address says, as the number that it is."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text


async def create_session(call: Call) -> HttpResponse:
    """Begin a conversation."""
    event = await call.read(events.UserCreateSession, lambda body: {"content": body})
    agent = usable_agent(call.caller, event.agent or default_agent(call.caller.grant))
    session_id = uuid.uuid4()
    await sessions.create_session(call.engine, call.caller, agent, session_id, event)
    return await _created(call, session_id, await _shown(session_id))


async def _created(call: Call, session_id: uuid.UUID, body: Body) -> HttpResponse:
    answer = json_answer(body, status=HTTPStatus.CREATED)
    answer.headers["Location"] = f"{call.request.META.get('SCRIPT_NAME', '')}/api/sessions/{session_id}/"
    return answer


async def show_session(call: Call, session_id: str) -> HttpResponse:
    """One session."""
    session = await call.session(session_id)
    return json_answer(await _shown(session.id))


async def _shown(session_id: uuid.UUID) -> Body:
    facts = await in_thread(session_list.summary_of, session_id)
    if facts is None:
        raise not_found()
    return facts


async def change_session(call: Call, session_id: str) -> HttpResponse:
    """Change its title or metadata."""
    event = await call.read(events.UserUpdateSession, lambda body: {"session_id": session_id, "content": body})
    session = await call.session(session_id)
    await sessions.update_session(call.engine, session, event)
    return json_answer(await _shown(session.id))


async def delete_session(call: Call, session_id: str) -> HttpResponse:
    """Delete it with all that is stored of it."""
    await sessions.delete_session(call.engine, await call.session(session_id))
    return no_content()


async def close_session(call: Call, session_id: str) -> HttpResponse:
    """End it: nothing more can be said in it, everything stays readable."""
    session = await call.session(session_id)
    await sessions.close_session(call.engine, call.caller, session)
    return json_answer(await _shown(session.id))


async def fork_session(call: Call, session_id: str) -> HttpResponse:
    """Continue it in a new session."""
    key = call.request.headers.get("Idempotency-Key")
    event = await call.read(UserFork, lambda body: {**with_message_id(body, key), "session_id": session_id})
    source = await call.session(session_id)
    agent, new_id = forks.forkable(source, event), uuid.uuid4()
    forked = await forks.fork_session(call.engine, call.caller, event, agent, source.id, new_id)
    said = accepted(forked.posted) if forked.posted is not None else None
    answer = ForkedAnswer(session_id=str(new_id), message=said, has_state=forked.has_state)
    return await _created(call, new_id, answer.model_dump(exclude_none=True))


async def rate_run(call: Call, session_id: str, run_id: str) -> HttpResponse:
    """Say what the user thinks of an answer."""

    def shape(body: Body) -> Body:
        return {"session_id": session_id, "content": {**body, "run_id": run_id}}

    event = await call.read(UserFeedback, shape)
    await sessions.rate(call.engine, await call.session(session_id), event)
    return no_content()


async def export_state(call: Call, session_id: str) -> HttpResponse:
    """The session as a sealed state, to be continued here or elsewhere."""
    exported = await saved_states.export_state(call.caller, await call.session(session_id))
    return json_answer(exported.model_dump(exclude_none=True))


async def restore_session(call: Call) -> HttpResponse:
    """Continue an exported state: in its session where that is here, else in a new one made from it."""
    event = await call.read(events.UserReconnectWithState, _only_state)
    saved = await saved_states.unsealed(call.caller, event)
    facts = await facts_if_usable(call.caller, saved.session_id)
    if facts is not None:
        told = await saved_states.found_again(call.caller, facts)
        return json_answer(_restored(facts.id, told.model_dump()))
    agent, session_id = usable_agent(call.caller, saved.agent), uuid.uuid4()
    told = await saved_states.restore_session(call.engine, call.caller, agent, session_id, saved)
    return await _created(call, session_id, _restored(session_id, told.model_dump()))


def _only_state(body: Body) -> Body:
    return {"signed_state": body["signed_state"]} if "signed_state" in body else {}


def _restored(session_id: uuid.UUID, told: dict[str, Any]) -> Body:
    return RestoredAnswer(session_id=str(session_id), **told).model_dump(exclude_none=True)
