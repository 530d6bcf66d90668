"""What callers do with exported states: have one made of a session, and continue from one."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from agents.access.request_count import sharer_of
from agents.budgets.shares import shares_of
from agents.database.threads import in_thread
from agents.loading.registry import LoadedAgent, get_registry
from myagent.i18n import gettext as _
from myagent.protocol.client_events import UserReconnectWithState
from myagent.protocol.direct_events import StateExportedMetadata, StateRestoredMetadata
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app import queries
from sessions_app.engine import Engine
from sessions_app.journal.entries.restore import RestoreSession
from sessions_app.services.caller import Caller, UsableSession, record
from sessions_app.services.heavy_work import beside_the_loop
from sessions_app.services.refusals import not_found
from sessions_app.state_export import reader
from sessions_app.state_export.seal import SavedState, invalid_state, size_of, unseal


async def export_state(caller: Caller, session: UsableSession) -> StateExportedMetadata:
    """The session as a sealed state, with which its user can continue it here or elsewhere."""
    try:
        saved, sealed = await in_thread(reader.export, session.id, caller.grant.username)
    except queries.SessionGone:
        raise not_found() from None
    return StateExportedMetadata(
        signed_state=sealed,
        state_size=size_of(sealed),
        message_count=len(saved.messages),
        current_step=saved.step,
    )


async def unsealed(caller: Caller, event: UserReconnectWithState) -> SavedState:
    """The state that the caller shows. Raises `ProtocolError` for one that cannot be used here."""
    saved = await beside_the_loop(unseal, event.signed_state, user=caller.grant.username, now=datetime.now(UTC))
    if get_registry().get(saved.agent) is None or not caller.grant.allows(saved.agent):
        words = _("The state belongs to the agent %(agent)r, which is not available here.") % {"agent": saved.agent}
        raise invalid_state("unknown_agent", words)
    if event.cursor_session not in (None, str(saved.session_id)):
        words = _("last_event_id belongs to another session than the state.")
        raise ProtocolError(ErrorCode.BAD_FIELD, words, event="system.error")
    return saved


async def found_again(caller: Caller, facts: queries.SessionFacts) -> StateRestoredMetadata:
    """What is told of the session that a state was made of, which is still here and continues."""
    extent = await in_thread(reader.extent, facts.id)
    return StateRestoredMetadata(
        original_session_id=str(facts.id),
        restored_step=extent.step,
        message_count=extent.message_count,
        agent_name=facts.agent,
        connection_id=caller.connection_id,
        warnings=[] if extent.is_open else [_("The session is closed: it can be read and not continued.")],
    )


async def restore_session(
    engine: Engine, caller: Caller, agent: LoadedAgent, session_id: uuid.UUID, saved: SavedState
) -> StateRestoredMetadata:
    """Continue the conversation of a state in a new session, under an id that was chosen for it."""
    entry = RestoreSession(
        session_id=session_id,
        agent=agent.name,
        user_id=caller.grant.user_id,
        connection_id=caller.connection_id,
        title=saved.title,
        metadata=saved.metadata,
        new_run_id=uuid.uuid4(),
        messages=saved.messages,
        tool_state=saved.tool_state,
        steps=saved.step,
        visitor=sharer_of(caller.grant).visitor,
        shares=shares_of(engine.config),
    )
    await record(engine, entry)
    warnings = []
    if saved.is_cut:
        warnings.append(_("Older messages had no room in the state and are not part of the conversation any more."))
    if not saved.is_answered:
        warnings.append(_("The last message was not answered before the export. Send it again to get an answer."))
    return StateRestoredMetadata(
        original_session_id=str(saved.session_id),
        restored_step=saved.step,
        message_count=len(saved.messages),
        agent_name=saved.agent,
        connection_id=caller.connection_id,
        warnings=warnings,
    )
