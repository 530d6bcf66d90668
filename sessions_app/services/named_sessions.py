"""Conversations that clients of other protocols name themselves: the threads of AG-UI, the chats of the AI SDK, those
that the user interfaces have which speak OpenAI's API.

The name is one of its user and its agent: others who say the same name have a thread of their own. The id of a session
is a name, too, so that a conversation which began at another door goes on here. One that is new may begin with a
history that its client brings along. One that was deleted does not begin anew under its name: its client still shows
what was said in it, and the agent would know nothing of that.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError

from agents.access.request_count import sharer_of
from agents.budgets.shares import shares_of
from agents.database.threads import in_thread
from agents.loading.registry import LoadedAgent
from myagent.i18n import gettext as _
from myagent.messages import Message
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app import queries
from sessions_app.engine import Engine
from sessions_app.journal.entries.restore import OpenThread
from sessions_app.models.deleted_thread import thread_of
from sessions_app.services.caller import Caller, facts_if_usable, record, usable_agent
from sessions_app.services.refusals import not_found


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a new session begins with. Its metadata say that, and by which `door`, the history came: nobody here has
    said or answered it.
    """

    door: str = ""
    history: Sequence[Message] = ()
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def all_metadata(self) -> dict[str, Any]:
        """Those of the session."""
        imported = {"imported": {"door": self.door, "messages": len(self.history)}} if self.history else {}
        return self.metadata | imported


NOTHING = Beginning()


@dataclass(frozen=True, slots=True)
class Opened:
    """A session, and whether it was made for this request."""

    facts: queries.SessionFacts
    is_new: bool


async def session_of_thread(caller: Caller, agent: str, name: str) -> queries.SessionFacts:
    """The session that this caller means. Raises `ProtocolError` when there is none."""
    facts = await thread_if_any(caller, agent, name)
    if facts is None:
        raise not_found()
    return facts


async def thread_if_any(caller: Caller, agent: str, name: str) -> queries.SessionFacts | None:
    """The session that this caller means, None when there is none."""
    key, user_id = thread_key(caller, agent, name), caller.grant.user_id
    facts = await in_thread(queries.facts_of_thread, key, _as_id(name), agent, user_id)
    return facts if facts is not None and caller.grant.allows(facts.agent) else None


async def thread_to_join(caller: Caller, agent: str, name: str) -> queries.SessionFacts | None:
    """The session that this caller means, None when it has not begun: pages join before anything is said.

    Raises `ProtocolError` for a deleted one, and for an agent that the caller may not use.
    """
    facts = await thread_if_any(caller, agent, name)
    if facts is None:
        await check_not_deleted(caller, usable_agent(caller, agent).name, name)
    return facts


async def open_thread(
    engine: Engine, caller: Caller, agent: LoadedAgent, name: str | None, beginning: Beginning = NOTHING
) -> Opened:
    """The session that this caller means, made where there is none; always a new one without a name.

    Raises `ProtocolError`, also for a deleted one.
    """
    if name is None:
        return await _made(engine, caller, agent, None, beginning)
    if (facts := await thread_if_any(caller, agent.name, name)) is not None:
        return Opened(facts, is_new=False)
    await check_not_deleted(caller, agent.name, name)
    if caller.grant.user_id is None and _as_id(name) is None:
        words = _("Without a user a conversation is named by a UUID, which nobody can guess.")
        raise ProtocolError(ErrorCode.BAD_FIELD, words)
    try:
        return await _made(engine, caller, agent, thread_key(caller, agent.name, name), beginning)
    except IntegrityError:  # another process has made it at the same moment: it is found now
        return Opened(await session_of_thread(caller, agent.name, name), is_new=False)


async def check_not_deleted(caller: Caller, agent: str, name: str) -> None:
    """Raise `ProtocolError` where the conversation of this name was deleted."""
    if await in_thread(queries.was_deleted, _names(caller, agent, name)):
        words = _("This conversation was deleted. Begin another one, under a name of its own.")
        raise ProtocolError(ErrorCode.SESSION_NOT_FOUND, words)


async def _made(engine: Engine, caller: Caller, agent: LoadedAgent, thread: str | None, beginning: Beginning) -> Opened:
    entry = OpenThread(
        session_id=uuid.uuid4(),
        agent=agent.name,
        user_id=caller.grant.user_id,
        connection_id=caller.connection_id,
        metadata=beginning.all_metadata,
        new_run_id=uuid.uuid4(),
        messages=beginning.history,
        visitor=sharer_of(caller.grant).visitor,
        shares=shares_of(engine.config),
        thread=thread,
    )
    session_id: uuid.UUID = await record(engine, entry)
    facts = await facts_if_usable(caller, session_id)
    if facts is None:
        raise not_found()  # deleted meanwhile
    return Opened(facts, is_new=session_id == entry.session_id)


def thread_key(caller: Caller, agent: str, name: str) -> str:
    """What a session is stored with so that it is found by this name."""
    return thread_of(caller.grant.user_id, agent, name)


def _names(caller: Caller, agent: str, name: str) -> set[str]:
    """What the session may have been found by: one without a user is used by whoever knows its id."""
    return {thread_key(caller, agent, name)} | (set() if _as_id(name) is None else {thread_of(None, agent, name)})


def _as_id(name: str) -> uuid.UUID | None:
    try:
        parsed = uuid.UUID(name)
    except ValueError:
        return None
    return parsed if str(parsed) == name else None
