"""Conversations that callers bring along: what was said elsewhere becomes the history of a session."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.db import IntegrityError

from agents.access.request_count import sharer_of
from agents.budgets.shares import shares_of
from agents.loading.registry import LoadedAgent
from myagent.messages import Message
from sessions_app.engine import Engine
from sessions_app.journal.entries.restore import ImportConversation
from sessions_app.services.caller import Caller, facts_if_usable, record


async def create_with_history(
    engine: Engine, caller: Caller, agent: LoadedAgent, session_id: uuid.UUID, history: Sequence[Message], door: str
) -> bool:
    """Store a new session that begins with this history, under an id that was chosen for it; False if it is there.

    Its metadata say that, and by which `door`, the history came: nobody here has said or answered it.
    """
    entry = ImportConversation(
        session_id=session_id,
        agent=agent.name,
        user_id=caller.grant.user_id,
        connection_id=caller.connection_id,
        metadata={"imported": {"door": door, "messages": len(history)}} if history else {},
        new_run_id=uuid.uuid4(),
        messages=history,
        visitor=sharer_of(caller.grant).visitor,
        shares=shares_of(engine.config),
    )
    try:
        is_new: bool = await record(engine, entry)
    except IntegrityError:
        # Another process began the same conversation at the same moment, and was faster.
        if await facts_if_usable(caller, session_id) is None:
            raise
        return False
    return is_new
