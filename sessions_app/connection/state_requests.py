"""The requests of clients that export a session's state, or resume a session from one."""

from __future__ import annotations

import uuid

from myagent.i18n import gettext as _
from myagent.protocol import client_events as events
from myagent.protocol.direct_events import StateExported, StateRestored
from sessions_app import queries
from sessions_app.connection.handlers import handles
from sessions_app.connection.requester import Requester, attach_if_usable, check_cursor, open_session
from sessions_app.engine import Engine
from sessions_app.services.caller import usable_agent
from sessions_app.services.saved_states import export_state, found_again, restore_session, unsealed
from sessions_app.state_export.seal import SavedState


@handles(events.UserRequestState)
async def request_state(engine: Engine, requester: Requester, event: events.UserRequestState) -> None:
    """Export a session as a sealed state, with which its user can resume it here or elsewhere."""
    metadata = await export_state(requester, await open_session(requester, event.session_id))
    exported = StateExported(content=_("The state of the session was exported."), metadata=metadata)
    requester.pump.direct(exported, session_id=event.session_id, request_id=event.request_id)


@handles(events.UserReconnectWithState)
async def reconnect_with_state(engine: Engine, requester: Requester, event: events.UserReconnectWithState) -> None:
    """Reconnect to the session of an exported state if it is here, else continue in a new session made from it."""
    saved = await unsealed(requester, event)
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
    restored = StateRestored(content=_("The session continues."), metadata=await found_again(requester, facts))
    requester.pump.direct(restored, session_id=str(facts.id), request_id=event.request_id)
    requester.pump.replay(facts.id, facts.agent, event.after, event.request_id)


async def _restore_elsewhere(
    engine: Engine, requester: Requester, event: events.UserReconnectWithState, saved: SavedState
) -> None:
    agent, session_id = usable_agent(requester, saved.agent), uuid.uuid4()
    requester.pump.attach(session_id)
    try:
        metadata = await restore_session(engine, requester, agent, session_id, saved)
    except BaseException:
        requester.pump.detach(session_id)
        raise
    restored = StateRestored(content=_("The conversation continues in a new session."), metadata=metadata)
    requester.pump.direct(restored, session_id=str(session_id), request_id=event.request_id)
    # From the beginning: a cursor can only be one of the old session.
    requester.pump.replay(session_id, saved.agent, 0, event.request_id)
