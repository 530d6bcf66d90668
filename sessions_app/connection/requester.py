"""What every request of a WebSocket needs: who asks, and which session it may use, to which it is attached then."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from myagent.protocol.error_codes import ProtocolError
from sessions_app import queries
from sessions_app.delivery.pump import Pump
from sessions_app.services.caller import Caller, UsableSession, check_after, facts_if_usable, parse_session_id
from sessions_app.services.refusals import not_found


@dataclass(frozen=True, kw_only=True)
class Requester(Caller):
    """The connection that a request came by, with the agent that its path names."""

    agent: str
    pump: Pump


async def open_session(requester: Requester, session_id: str) -> UsableSession:
    """A session that the client may use; its connection is attached from now on."""
    parsed = parse_session_id(session_id)
    attachment = requester.pump.attachment(parsed)
    if attachment is not None and attachment.agent:
        return UsableSession(parsed, attachment.agent)
    facts = await attach(requester, parsed)
    requester.pump.follow(parsed, facts.agent, facts.last_seq)
    return UsableSession(parsed, facts.agent)


async def attach(requester: Requester, session_id: uuid.UUID) -> queries.SessionFacts:
    """Attach the connection to a session. Raises `ProtocolError` when there is none that the client may use."""
    facts = await attach_if_usable(requester, session_id)
    if facts is None:
        raise not_found()
    return facts


async def attach_if_usable(requester: Requester, session_id: uuid.UUID) -> queries.SessionFacts | None:
    """Attach first, then read: what is committed meanwhile is offered to the pump, which reads it later."""
    is_new = requester.pump.attachment(session_id) is None
    requester.pump.attach(session_id)
    usable = None
    try:
        usable = await facts_if_usable(requester, session_id)
    finally:
        # Also when the database does not answer: without permission no connection stays attached.
        if usable is None and is_new:
            requester.pump.detach(session_id)
    return usable


def check_cursor(requester: Requester, facts: queries.SessionFacts, after: int) -> None:
    """Raise `ProtocolError` for a cursor beyond the end of the log, from where the connection then follows it."""
    try:
        check_after(facts, after)
    except ProtocolError:
        requester.pump.follow(facts.id, facts.agent, facts.last_seq)
        raise
