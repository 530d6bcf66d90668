"""What a call of a tool begins: it says something to an agent, or joins the run that answers just that already."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import orjson

from agents.database.threads import in_thread
from agents.loading.registry import LoadedAgent, get_registry
from myagent.i18n import gettext as _
from myagent.protocol.client_events import UserCreateSession
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.message_events import UserMessage
from myagent.text import clean
from sessions_app import queries
from sessions_app.journal.entries.messages import Posted
from sessions_app.services import messages, sessions
from sessions_app.services.caller import Caller, UsableSession, facts_if_usable, parse_session_id, usable_session
from sessions_app.services.refusals import blank_message
from sessions_app.web import live_log
from sessions_app.web.api_call import Call
from sessions_app.web.mcp_door import run_lookup
from sessions_app.web.mcp_door.tool_names import tool_name

_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
"""So that of two equal calls at once the second finds the run of the first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedRun:
    """A run whose result is wanted, and after which event of its session it begins."""

    id: uuid.UUID
    session_id: uuid.UUID
    agent: str
    after: int


def asked_agent(caller: Caller, tool: str) -> LoadedAgent | None:
    """The agent that this tool asks; None for one that there is not, or that the caller may not use."""
    return next(
        (loaded for loaded in get_registry().usable(caller.grant.allows) if tool_name(loaded.name) == tool), None
    )


async def say(call: Call, agent: LoadedAgent, arguments: Mapping[str, Any]) -> AskedRun:
    """Store what a call says, or find the run that answers the same already. Raises `ProtocolError`."""
    text, named = _text(arguments, "message"), _text(arguments, "session_id", needed=False)
    if not text.strip():
        raise blank_message()
    session_id = parse_session_id(named) if named else None
    begins = _print_of(agent.name, named, text)
    turn = _turns.setdefault(f"{call.caller.grant.user_id} {begins}", asyncio.Lock())
    async with turn:
        return await _say(call, agent, session_id, text, begins)


async def _say(call: Call, agent: LoadedAgent, session_id: uuid.UUID | None, text: str, begins: str) -> AskedRun:
    if session_id is not None:
        facts = await usable_session(call.caller, str(session_id))
        if facts.agent != agent.name:
            words = _("This session is one of the agent %(agent)s; call the tool of that one.")
            raise ProtocolError(ErrorCode.BAD_FIELD, words % {"agent": facts.agent})
    before = await _said_before(call.caller, agent.name, session_id, begins)
    if before is not None:
        session_id = before.session_id
    message_id = before.message_id if before is not None else begins + secrets.token_hex(8)
    begun = None
    if session_id is None:
        begun = session_id = uuid.uuid4()
        made = call.asked(UserCreateSession)
        await sessions.create_session(call.engine, call.caller, agent, session_id, made)
    session = UsableSession(session_id, agent.name)
    try:
        posted = await messages.post_message(
            call.engine, call.caller, session, _message(call, agent, session, text, message_id)
        )
    except ProtocolError as error:
        if begun is not None and not error.data.get("maybe_stored"):
            await sessions.delete_session(call.engine, session)  # what is refused leaves nothing
        raise
    return await asked_run(posted, session)


def _message(call: Call, agent: LoadedAgent, session: UsableSession, text: str, message_id: str) -> UserMessage:
    about = {"message_id": message_id}
    modes = agent.agent.modes_when_busy
    if modes[0] == "steer" and "queue" in modes:
        about["when_busy"] = "queue"  # each call has a result of its own
    return call.asked(UserMessage, session_id=str(session.id), content=text, metadata=about)


async def asked_run(posted: Posted, session: UsableSession) -> AskedRun:
    """The run that answers a stored message."""
    after = await live_log.before_run(session.id, posted)
    return AskedRun(id=posted.run_id, session_id=session.id, agent=session.agent, after=after)


async def _said_before(caller: Caller, agent: str, session_id: uuid.UUID | None, begins: str) -> run_lookup.Said | None:
    user_id = caller.grant.user_id
    if user_id is None and session_id is None:
        return None  # nothing tells one anonymous caller from the other
    return await in_thread(run_lookup.said_before, begins, agent, user_id, session_id)


def _print_of(agent: str, session_id: str, text: str) -> str:
    """What the id of the message begins with: the same for the same call."""
    said = orjson.dumps([agent, session_id, text])
    return f"mcp-{hashlib.sha256(said).hexdigest()[:32]}-"


async def run_named(caller: Caller, run_id: str) -> run_lookup.RunFacts | None:
    """The run of this id; None where there is none in a session that the caller may use."""
    try:
        parsed = uuid.UUID(run_id)
    except ValueError:
        return None
    # Only as the server spells it, as ids of sessions.
    if str(parsed) != run_id:
        return None
    facts = await in_thread(run_lookup.run_facts, parsed, caller.grant.user_id)
    return facts if facts is not None and caller.grant.allows(facts.agent) else None


async def run_to_wait_for(caller: Caller, arguments: Mapping[str, Any]) -> AskedRun:
    """The run that is named by its own id and that of its session. Raises `ProtocolError`."""
    session_id, run_id = _text(arguments, "session_id"), _text(arguments, "run_id")
    facts = await usable_session(caller, session_id)
    run = await run_named(caller, run_id)
    if run is None or run.session_id != facts.id:
        raise no_such_run()
    return await going_on(run)


async def going_on(run: run_lookup.RunFacts) -> AskedRun:
    """A run that was begun before."""
    return await asked_run(Posted(run.id, "", 0, duplicate=True), UsableSession(run.session_id, run.agent))


def no_such_run() -> ProtocolError:
    """The error for a run that the session does not have."""
    return ProtocolError(ErrorCode.RUN_NOT_FOUND, _("There is no run with this id in this session."))


async def facts_of(call: Call, run: AskedRun) -> queries.SessionFacts:
    """The session of a run. Raises `ProtocolError` where it was deleted meanwhile."""
    facts = await facts_if_usable(call.caller, run.session_id)
    if facts is None:
        raise no_such_run()
    return facts


def _text(arguments: Mapping[str, Any], name: str, *, needed: bool = True) -> str:
    value = arguments.get(name)
    if value is None and not needed:
        return ""
    if value is None:
        raise ProtocolError(ErrorCode.MISSING_FIELD, _("The field %(field)r is missing.") % {"field": name})
    if not isinstance(value, str):
        words = _("The field %(field)r is not as it should be: %(problem)s.")
        raise ProtocolError(ErrorCode.BAD_FIELD, words % {"field": name, "problem": _("a text")})
    return clean(value)
