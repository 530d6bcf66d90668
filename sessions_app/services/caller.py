"""Who asks, whichever door it came in by, what it may use, and how a change is stored for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agents.access.decision import Grant
from agents.database.threads import in_thread
from agents.loading.registry import LoadedAgent, get_registry
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app import queries
from sessions_app.engine import Engine
from sessions_app.journal.entry import Entry
from sessions_app.journal.queued_entry import NotStored
from sessions_app.journal.refusal import Refused
from sessions_app.journal.writer import JournalClosed
from sessions_app.services.refusals import agent_unavailable, not_found, refused_by_journal, try_again


@dataclass(frozen=True, kw_only=True)
class Caller:
    """What a request came by, what it may do, and the trace (of others) that it is part of.

    `connection_id` is that of a connection, or one of its own for a request that has none. What is logged because of
    the request is not sent back to the connection of this id.
    """

    connection_id: str
    grant: Grant
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class UsableSession:
    """A session that its caller is known to be allowed to use."""

    id: uuid.UUID
    agent: str


async def usable_session(caller: Caller, text: str) -> queries.SessionFacts:
    """The session of this id. Raises `ProtocolError` when there is none that the caller may use."""
    facts = await facts_if_usable(caller, parse_session_id(text))
    if facts is None:
        raise not_found()
    return facts


async def facts_if_usable(caller: Caller, session_id: uuid.UUID) -> queries.SessionFacts | None:
    """What the database has of the session; None when there is none that the caller may use."""
    facts = await in_thread(queries.session_facts, session_id, caller.grant.user_id)
    return facts if facts is not None and caller.grant.allows(facts.agent) else None


def parse_session_id(text: str) -> uuid.UUID:
    """`text` as a session id. Raises `ProtocolError` when no session can have it."""
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        raise not_found() from None
    # Only as the server spells it: replies name the session as the client did.
    if str(parsed) != text:
        raise not_found()
    return parsed


def default_agent(grant: Grant) -> str:
    """The agent that is meant where none is named; empty where there is none.

    Of a token that is limited to some agents it is its first enabled one, else its first.
    """
    registry = get_registry()
    usable = [name for name in (*registry.names, *registry.all_names) if grant.allows(name)]
    default = registry.default
    return usable[0] if usable else default.name if default else ""


def usable_agent(caller: Caller, name: str) -> LoadedAgent:
    """The agent of that name. Raises `ProtocolError` when the caller may not use it, or it is unknown or disabled."""
    agent, allowed = get_registry().get(name), caller.grant.allows(name)
    if agent is None or not allowed:
        message = _("There is no agent %(name)r here.") % {"name": name[:100]}
        raise ProtocolError(ErrorCode.AGENT_NOT_FOUND, message)
    return available_agent(name)


def available_agent(name: str) -> LoadedAgent:
    """The agent of a session, for what begins a run. Raises `ProtocolError` when it is disabled or not served here."""
    agent = get_registry().available(name)
    if agent is None:
        raise agent_unavailable(name)
    return agent


def check_after(facts: queries.SessionFacts, after: int) -> None:
    """Raise `ProtocolError` for a cursor beyond the end of the log."""
    if after > facts.last_seq:
        raise ProtocolError(
            ErrorCode.CURSOR_AHEAD,
            _("The log of this session ends at %(last)d, before your cursor. Ask without one.")
            % {"last": facts.last_seq},
            last_seq=facts.last_seq,
        )


async def record(engine: Engine, entry: Entry, *, then: Callable[[Any], None] | None = None) -> Any:
    """Commit an entry for a caller and return its outcome. Raises `ProtocolError` if it is refused.

    `then` is called with the outcome once it is committed, also if the caller has left and nothing waits for it.
    """
    try:
        return await engine.journal.record_promptly(entry, then=then)
    except Refused as refusal:
        raise refused_by_journal(refusal) from refusal
    except NotStored as error:
        raise try_again(is_certain=error.is_certain) from None
    except JournalClosed:
        raise try_again() from None
