"""The requests of clients that export a session's state, or resume a session from one."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from agents.access.request_count import sharer_of
from agents.budgets.shares import shares_of
from agents.database.threads import in_thread
from agents.loading.registry import get_registry
from myagent.i18n import gettext as _
from myagent.protocol import client_events as events
from myagent.protocol.direct_events import StateExported, StateExportedMetadata, StateRestored, StateRestoredMetadata
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app import queries
from sessions_app.connection.handlers import handles
from sessions_app.connection.heavy_work import beside_the_loop
from sessions_app.connection.requester import (
    Requester,
    attach_if_usable,
    check_cursor,
    not_found,
    open_session,
    record,
    usable_agent,
)
from sessions_app.engine import Engine
from sessions_app.journal.entries.restore import RestoreSession
from sessions_app.state_export import reader
from sessions_app.state_export.seal import SavedState, invalid_state, size_of, unseal


@handles(events.UserRequestState)
async def request_state(engine: Engine, requester: Requester, event: events.UserRequestState) -> None:
    """Export a session as a sealed state, with which its user can resume it here or elsewhere."""
    session_id = await open_session(requester, event.session_id)
    try:
        saved, sealed = await in_thread(reader.export, session_id, requester.grant.username)
    except queries.SessionGone:
        raise not_found() from None
    metadata = StateExportedMetadata(
        signed_state=sealed,
        state_size=size_of(sealed),
        message_count=len(saved.messages),
        current_step=saved.step,
    )
    exported = StateExported(content=_("The state of the session was exported."), metadata=metadata)
    requester.pump.direct(exported, session_id=event.session_id, request_id=event.request_id)


@handles(events.UserReconnectWithState)
async def reconnect_with_state(engine: Engine, requester: Requester, event: events.UserReconnectWithState) -> None:
    """Reconnect to the session of an exported state if it is here, else continue in a new session made from it."""
    saved = await beside_the_loop(unseal, event.signed_state, user=requester.grant.username, now=datetime.now(UTC))
    if get_registry().get(saved.agent) is None or not requester.grant.allows(saved.agent):
        words = _("The state belongs to the agent %(agent)r, which is not available here.") % {"agent": saved.agent}
        raise invalid_state("unknown_agent", words)
    if event.cursor_session not in (None, str(saved.session_id)):
        words = _("last_event_id belongs to another session than the state.")
        raise ProtocolError(ErrorCode.BAD_FIELD, words, event="system.error")
    # A session of another user is treated as one that does not exist here: it is restored as a new one.
    facts = await attach_if_usable(requester, saved.session_id)
    if facts is None:
        await _restore_elsewhere(engine, requester, event, saved)
    else:
        await _restore_here(requester, event, facts)


async def _restore_here(
    requester: Requester, event: events.UserReconnectWithState, facts: queries.SessionFacts
) -> None:
    check_cursor(requester, facts, event.after)
    extent = await in_thread(reader.extent, facts.id)
    warnings = [] if extent.is_open else [_("The session is closed: it can be read and not continued.")]
    metadata = StateRestoredMetadata(
        original_session_id=str(facts.id),
        restored_step=extent.step,
        message_count=extent.message_count,
        agent_name=facts.agent,
        connection_id=requester.connection_id,
        warnings=warnings,
    )
    restored = StateRestored(content=_("The session continues."), metadata=metadata)
    requester.pump.direct(restored, session_id=str(facts.id), request_id=event.request_id)
    requester.pump.replay(facts.id, facts.agent, event.after, event.request_id)


async def _restore_elsewhere(
    engine: Engine, requester: Requester, event: events.UserReconnectWithState, saved: SavedState
) -> None:
    agent, session_id = usable_agent(requester, saved.agent), uuid.uuid4()
    requester.pump.attach(session_id)
    try:
        await record(
            engine,
            RestoreSession(
                session_id=session_id,
                agent=agent.name,
                user_id=requester.grant.user_id,
                connection_id=requester.connection_id,
                title=saved.title,
                metadata=saved.metadata,
                new_run_id=uuid.uuid4(),
                messages=saved.messages,
                tool_state=saved.tool_state,
                steps=saved.step,
                visitor=sharer_of(requester.grant).visitor,
                shares=shares_of(engine.config),
            ),
        )
    except BaseException:
        requester.pump.detach(session_id)
        raise
    warnings = []
    if saved.is_cut:
        warnings.append(_("Older messages had no room in the state and are not part of the conversation any more."))
    if not saved.is_answered:
        warnings.append(_("The last message was not answered before the export. Send it again to get an answer."))
    metadata = StateRestoredMetadata(
        original_session_id=str(saved.session_id),
        restored_step=saved.step,
        message_count=len(saved.messages),
        agent_name=saved.agent,
        connection_id=requester.connection_id,
        warnings=warnings,
    )
    restored = StateRestored(content=_("The conversation continues in a new session."), metadata=metadata)
    requester.pump.direct(restored, session_id=str(session_id), request_id=event.request_id)
    # From the beginning: a cursor can only be one of the old session.
    requester.pump.replay(session_id, saved.agent, 0, event.request_id)
