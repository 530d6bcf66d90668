"""What callers do to runs: answer their questions, and cancel them."""

from __future__ import annotations

import uuid
from typing import Any

from myagent.protocol.client_events import UserResponse
from sessions_app.engine import Engine
from sessions_app.journal.entries.sessions import AnswerConfirmation, CancelRuns
from sessions_app.services.caller import Caller, UsableSession, record


async def answer_confirmation(engine: Engine, caller: Caller, session: UsableSession, event: UserResponse) -> None:
    """Answer a confirmation; the answer is stored before the run gets it."""
    answer = answer_in(event)
    entry = AnswerConfirmation(
        session_id=session.id,
        step_id=event.step_id,
        answer=answer,
        by=caller.grant.username or "",
        by_user=caller.grant.user_id,
        origin=caller.connection_id,
    )
    await record(engine, entry, then=lambda run_id: engine.runner.answered(run_id, event.step_id, answer))


def answer_in(event: UserResponse) -> dict[str, Any]:
    """What is stored of an answer."""
    given = {"confirmed": event.confirmed, "args": event.args, "tasks": event.tasks, "reason": event.reason}
    return {key: value for key, value in given.items() if value is not None}


async def cancel_runs(
    engine: Engine, caller: Caller, session: UsableSession, *, only: uuid.UUID | None = None
) -> list[uuid.UUID]:
    """Cancel the active run and all queued ones, or `only` this one, whichever process owns them; returns the ids of
    those that ended.
    """
    entry = CancelRuns(session_id=session.id, by=caller.grant.user_id, only=only)
    ended: list[uuid.UUID] = await record(engine, entry, then=engine.runner.stop_runs)
    return ended
