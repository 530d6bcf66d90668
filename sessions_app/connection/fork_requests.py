"""The requests of clients that fork a session, or rate an answer in one."""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import partial

from agents.access.request_count import sharer_of
from agents.budgets.shares import shares_of
from agents.loading.registry import LoadedAgent, get_registry
from myagent.i18n import gettext as _
from myagent.messages import Message
from myagent.protocol.client_fields import is_blank
from myagent.protocol.direct_events import NoticeMetadata, SystemNotice
from myagent.protocol.fork_events import UserFeedback, UserFork
from sessions_app.connection.handlers import handles
from sessions_app.connection.message_files import with_files
from sessions_app.connection.requester import Requester, agent_unavailable, no_such_run, open_session, record
from sessions_app.connection.requests import allowance_of, begin, blank_message, notify_accepted
from sessions_app.engine import Engine
from sessions_app.files.file_parts import files_in
from sessions_app.journal.entries.feedback import RateRun
from sessions_app.journal.entries.fork import Forked, ForkSession
from sessions_app.journal.entries.messages import PostMessage


@handles(UserFork)
async def fork(engine: Engine, requester: Requester, event: UserFork) -> None:
    """Continue a session in a new one. The connection is attached to it, and is sent what is logged from now on.

    One fork at a time in this process: what others want to store comes in between two of them.
    """
    source_id = await open_session(requester, event.session_id)
    if event.content is not None and is_blank(event.content):
        raise blank_message()
    attachment = requester.pump.attachment(source_id)
    agent = get_registry().available(attachment.agent) if attachment else None
    if agent is None:
        raise agent_unavailable(attachment.agent if attachment else "")
    session_id = uuid.uuid4()
    requester.pump.attach(session_id)
    requester.pump.follow(session_id, agent.name, 0)
    try:
        async with engine.fork_turn:
            forked = await _fork(engine, requester, event, agent, source_id, session_id)
    except BaseException:
        requester.pump.detach(session_id)
        raise
    if forked.posted is not None:
        notify_accepted(requester, str(session_id), event.request_id, forked.posted)
    if not forked.has_state:
        words = _("What the tools had kept at this point was not stored then, so that they begin with nothing here.")
        notice = SystemNotice(content=words, metadata=NoticeMetadata(action="state_unknown"))
        requester.pump.direct(notice, session_id=str(session_id), request_id=event.request_id)


async def _fork(
    engine: Engine,
    requester: Requester,
    event: UserFork,
    agent: LoadedAgent,
    source_id: uuid.UUID,
    session_id: uuid.UUID,
) -> Forked:
    entry = ForkSession(
        session_id=session_id,
        agent=agent.name,
        user_id=requester.grant.user_id,
        connection_id=requester.connection_id,
        request_id=event.request_id,
        visitor=sharer_of(requester.grant).visitor,
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
    allowance = await allowance_of(engine, requester, agent.name)
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
            token_id=requester.grant.token_id,
            takes_new=not engine.memory_watch.is_scarce,
            files=frozenset(files_in(message.content)),
            traceparent=requester.traceparent,
        )
        forked = await record(engine, replace(entry, post=post), then=partial(_begin, engine, agent.name))
    if lease is None:
        engine.wakeups.announce_queued()
    return forked


def _begin(engine: Engine, agent: str, forked: Forked) -> None:
    if forked.posted is not None:
        begin(engine, agent, None, forked.posted)


@handles(UserFeedback)
async def rate(engine: Engine, requester: Requester, event: UserFeedback) -> None:
    """Log what the user thinks of an answer; every connection of the session is told, this one too."""
    session_id = await open_session(requester, event.session_id)
    try:
        run_id = uuid.UUID(event.run_id)
    except ValueError:
        raise no_such_run() from None
    entry = RateRun(
        session_id=session_id,
        rated_run=run_id,
        rating=event.rating,
        comment=event.comment or "",
        shares=shares_of(engine.config),
    )
    await record(engine, entry)
