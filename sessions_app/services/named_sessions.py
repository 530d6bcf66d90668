"""Conversations that clients of other protocols name themselves: the threads of AG-UI, the chats of the AI SDK.

The name is one of its user and its agent: others who say the same name have a thread of their own. The id of a session
is a name, too, so that a conversation which began at another door goes on here. One that was deleted does not begin
anew under its name: its client still shows what was said in it, and the agent would know nothing of that.
"""

from __future__ import annotations

import uuid
from contextlib import suppress

from django.db import IntegrityError

from agents.access.request_count import sharer_of
from agents.budgets.shares import shares_of
from agents.database.threads import in_thread
from agents.loading.registry import LoadedAgent
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app import queries
from sessions_app.engine import Engine
from sessions_app.journal.entries.sessions import OpenThread
from sessions_app.models.deleted_thread import thread_of
from sessions_app.services.caller import Caller, record
from sessions_app.services.refusals import not_found


async def session_of_thread(caller: Caller, agent: str, name: str) -> queries.SessionFacts:
    """The session that this caller means. Raises `ProtocolError` when there is none."""
    facts = await _facts(caller, agent, name)
    if facts is None or not caller.grant.allows(facts.agent):
        raise not_found()
    return facts


async def open_thread(engine: Engine, caller: Caller, agent: LoadedAgent, name: str) -> queries.SessionFacts:
    """The session that this caller means, made where there is none. Raises `ProtocolError`, also for a deleted one."""
    if (facts := await _facts(caller, agent.name, name)) is not None:
        return facts
    if await in_thread(queries.was_deleted, _keys(caller, agent.name, name)):
        words = _("This conversation was deleted. Begin another one, under a name of its own.")
        raise ProtocolError(ErrorCode.SESSION_NOT_FOUND, words)
    if caller.grant.user_id is None and _as_id(name) is None:
        words = _("Without a user a conversation is named by a UUID, which nobody can guess.")
        raise ProtocolError(ErrorCode.BAD_FIELD, words)
    entry = OpenThread(
        session_id=uuid.uuid4(),
        agent=agent.name,
        user_id=caller.grant.user_id,
        connection_id=caller.connection_id,
        visitor=sharer_of(caller.grant).visitor,
        shares=shares_of(engine.config),
        thread=_key(caller, agent.name, name),
    )
    with suppress(IntegrityError):  # another process has made it at the same moment: it is found now
        await record(engine, entry)
    return await session_of_thread(caller, agent.name, name)


async def _facts(caller: Caller, agent: str, name: str) -> queries.SessionFacts | None:
    key, user_id = _key(caller, agent, name), caller.grant.user_id
    return await in_thread(queries.facts_of_thread, key, _as_id(name), agent, user_id)


def _key(caller: Caller, agent: str, name: str) -> str:
    return thread_of(caller.grant.user_id, agent, name)


def _keys(caller: Caller, agent: str, name: str) -> set[str]:
    """What the session may have been found by: one without a user is used by whoever knows its id."""
    return {_key(caller, agent, name)} | (set() if _as_id(name) is None else {thread_of(None, agent, name)})


def _as_id(name: str) -> uuid.UUID | None:
    try:
        parsed = uuid.UUID(name)
    except ValueError:
        return None
    return parsed if str(parsed) == name else None
