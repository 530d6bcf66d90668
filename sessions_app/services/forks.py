"""What callers continue in a session of its own."""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import partial

from agents.access.request_count import sharer_of
from agents.budgets.shares import shares_of
from agents.loading.registry import LoadedAgent
from myagent.messages import Message
from myagent.protocol.client_fields import is_blank
from myagent.protocol.fork_events import UserFork
from sessions_app.engine import Engine
from sessions_app.files.file_parts import files_in
from sessions_app.journal.entries.fork import Forked, ForkSession
from sessions_app.journal.entries.messages import PostMessage
from sessions_app.services.caller import Caller, UsableSession, available_agent, record
from sessions_app.services.message_files import with_files
from sessions_app.services.messages import allowance_of, begin
from sessions_app.services.refusals import blank_message


def forkable(session: UsableSession, event: UserFork) -> LoadedAgent:
    """The agent of the fork. Raises `ProtocolError` for what cannot be said in it."""
    if event.content is not None and is_blank(event.content):
        raise blank_message()
    return available_agent(session.agent)


async def fork_session(
    engine: Engine,
    caller: Caller,
    event: UserFork,
    agent: LoadedAgent,
    source_id: uuid.UUID,
    session_id: uuid.UUID,
    *,
    thread: str | None = None,
) -> Forked:
    """Continue a session in a new one, under an id that was chosen for it, and found by its `thread` where it has one.

    One fork at a time in this process: what others want to store comes in between two of them.
    """
    async with engine.fork_turn:
        return await _fork(engine, caller, event, agent, source_id, session_id, thread)


async def _fork(
    engine: Engine,
    caller: Caller,
    event: UserFork,
    agent: LoadedAgent,
    source_id: uuid.UUID,
    session_id: uuid.UUID,
    thread: str | None,
) -> Forked:
    entry = ForkSession(
        session_id=session_id,
        thread=thread,
        agent=agent.name,
        user_id=caller.grant.user_id,
        connection_id=caller.connection_id,
        request_id=event.request_id,
        visitor=sharer_of(caller.grant).visitor,
        shares=shares_of(engine.config),
        source_id=source_id,
        before=event.before,
        at=event.at,
        says_again=event.content is None,
    )
    if event.before is None:
        forked: Forked = await record(engine, entry)
        return forked
    message = Message.user(await with_files(source_id, event.content or "", agent.agent))
    allowance = await allowance_of(engine, caller, agent.name)
    with engine.runner.places.for_message(session_id, agent.name) as lease:
        post = PostMessage(
            session_id=session_id,
            new_run_id=uuid.uuid4(),
            message=message,
            message_id=event.message_id,
            # Of nobody: this connection has not seen the message with its new run yet, and is sent it.
            origin="",
            lease=lease,
            max_queued=engine.config.max_queued,
            allowance=allowance,
            shares=entry.shares,
            token_id=caller.grant.token_id,
            takes_new=not engine.memory_watch.is_scarce,
            files=frozenset(files_in(message.content)),
            traceparent=caller.traceparent,
        )
        forked = await record(engine, replace(entry, post=post), then=partial(_begin, engine, agent.name))
    if lease is None:
        engine.wakeups.announce_queued()
    return forked


def _begin(engine: Engine, agent: str, forked: Forked) -> None:
    if forked.posted is not None:
        begin(engine, agent, None, forked.posted)
