"""What callers do with sessions: create, change, close, delete, list, rate."""

from __future__ import annotations

import uuid
from typing import Any

from agents.access.request_count import sharer_of
from agents.budgets.shares import shares_of
from agents.database.threads import in_thread
from agents.loading.registry import LoadedAgent, get_registry
from myagent.i18n import gettext as _
from myagent.protocol import client_events as events
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.fork_events import UserFeedback
from sessions_app import session_list
from sessions_app.engine import Engine
from sessions_app.journal.entries.feedback import RateRun
from sessions_app.journal.entries.sessions import CloseSession, CreateSession, DeleteSession, UpdateSession
from sessions_app.services.caller import Caller, UsableSession, record
from sessions_app.services.refusals import no_such_run


async def create_session(
    engine: Engine, caller: Caller, agent: LoadedAgent, session_id: uuid.UUID, event: events.UserCreateSession
) -> None:
    """Store a new session of the caller under an id that was chosen for it."""
    entry = CreateSession(
        session_id=session_id,
        agent=agent.name,
        user_id=caller.grant.user_id,
        connection_id=caller.connection_id,
        title=event.title,
        metadata=event.session_metadata,
        request_id=event.request_id,
        visitor=sharer_of(caller.grant).visitor,
        shares=shares_of(engine.config),
    )
    await record(engine, entry)


async def update_session(engine: Engine, session: UsableSession, event: events.UserUpdateSession) -> None:
    """Change title or metadata."""
    entry = UpdateSession(
        session_id=session.id, title=event.title, metadata=event.session_metadata, shares=shares_of(engine.config)
    )
    await record(engine, entry)


async def close_session(engine: Engine, caller: Caller, session: UsableSession) -> None:
    """End the conversation, with what runs in it."""
    entry = CloseSession(session_id=session.id, by=caller.grant.user_id)
    await record(engine, entry, then=engine.runner.stop_runs)


async def delete_session(engine: Engine, session: UsableSession) -> None:
    """Delete the session; every connection that is attached to it is notified."""
    await record(engine, DeleteSession(session_id=session.id), then=engine.runner.stop_runs)


async def page_of_sessions(caller: Caller, event: events.UserListSessions) -> tuple[list[dict[str, Any]], str | None]:
    """A page of the caller's sessions, and where the next one begins."""
    usable = [name for name in get_registry().all_names if caller.grant.allows(name)]
    if caller.grant.user_id is None:
        # Anonymous sessions are found by id only: a list would show them to every other anonymous client.
        return [], None
    wanted = session_list.Wanted(
        caller.grant.user_id,
        agents=[name for name in usable if event.agent in (None, name)],
        query=event.query or "",
        family_id=event.family_id,
    )
    try:
        return await in_thread(
            session_list.page_of, wanted, families=event.families, before=event.before, limit=event.limit
        )
    except ValueError as error:
        message = _("before is not the 'next' of an earlier page.")
        raise ProtocolError(ErrorCode.BAD_FIELD, message, event="system.error") from error


async def rate(engine: Engine, session: UsableSession, event: UserFeedback) -> None:
    """Log what the user thinks of an answer; every connection of the session is told."""
    try:
        run_id = uuid.UUID(event.run_id)
    except ValueError:
        raise no_such_run() from None
    entry = RateRun(
        session_id=session.id,
        rated_run=run_id,
        rating=event.rating,
        comment=event.comment or "",
        shares=shares_of(engine.config),
    )
    await record(engine, entry)
