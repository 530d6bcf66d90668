"""What is said in a session that may have been made for it."""

from __future__ import annotations

from myagent.protocol.error_codes import ProtocolError
from myagent.protocol.message_events import UserMessage
from sessions_app import queries
from sessions_app.engine import Engine
from sessions_app.journal.entries.messages import Posted
from sessions_app.services import messages, sessions
from sessions_app.services.caller import Caller, UsableSession, facts_if_usable
from sessions_app.services.named_sessions import Opened


async def post_in(engine: Engine, caller: Caller, opened: Opened, event: UserMessage) -> Posted:
    """Store a message. Raises `ProtocolError`; a session that was made for a message which is refused is gone then."""
    session = UsableSession(opened.facts.id, opened.facts.agent)
    try:
        return await messages.post_message(engine, caller, session, event)
    except ProtocolError as error:
        if opened.is_new and not error.data.get("maybe_stored"):
            await _delete_unused(engine, caller, opened.facts)
        raise


async def _delete_unused(engine: Engine, caller: Caller, made: queries.SessionFacts) -> None:
    """What is refused leaves nothing; what another request has said in there meanwhile stays."""
    facts = await facts_if_usable(caller, made.id)
    if facts is not None and facts.last_seq == made.last_seq:
        await sessions.delete_session(engine, UsableSession(facts.id, facts.agent))
