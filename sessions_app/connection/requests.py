"""One function per thing that a client can ask. Rules live here and in the entries, not in the consumer."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from agents.budgets.allowances import Allowance
from agents.database.threads import in_thread
from agents.loading.registry import get_registry
from myagent.i18n import gettext as _
from myagent.messages import Message
from myagent.protocol import client_events as events
from myagent.protocol.direct_events import (
    NothingInterrupted,
    NoticeMetadata,
    SessionsMetadata,
    SystemNotice,
    SystemSessions,
)
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.text import clean, clean_value
from sessions_app import queries
from sessions_app.connection.requester import (
    Client,
    agent_unavailable,
    attach,
    check_cursor,
    open_session,
    parse_session_id,
    record,
    usable_agent,
)
from sessions_app.engine import Engine
from sessions_app.journal.entries.messages import Posted, PostMessage
from sessions_app.journal.entries.sessions import (
    AnswerConfirmation,
    CancelRuns,
    CloseSession,
    CreateSession,
    DeleteSession,
    UpdateSession,
)

# --- sessions ---


async def create_session(engine: Engine, client: Client, event: events.UserCreateSession) -> None:
    """Begin a conversation; the connection is attached to it and so gets `agent.session_created`."""
    agent = usable_agent(client, event.agent or client.agent)
    session_id = uuid.uuid4()
    client.pump.attach(session_id)
    client.pump.follow(session_id, agent.name, 0)
    try:
        await record(
            engine,
            CreateSession(
                session_id=session_id,
                agent=agent.name,
                user_id=client.grant.user_id,
                connection_id=client.connection_id,
                title=clean(event.title),
                metadata=clean_value(event.session_metadata),
                request_id=event.request_id,
            ),
        )
    except BaseException:
        client.pump.detach(session_id)
        raise


async def update_session(engine: Engine, client: Client, event: events.UserUpdateSession) -> None:
    session_id = await open_session(client, event.session_id)
    metadata = None if event.session_metadata is None else clean_value(event.session_metadata)
    title = None if event.title is None else clean(event.title)
    await record(engine, UpdateSession(session_id=session_id, title=title, metadata=metadata))


async def close_session(engine: Engine, client: Client, event: events.UserCloseSession) -> None:
    session_id = await open_session(client, event.session_id)
    entry = CloseSession(session_id=session_id, by=client.grant.user_id)
    await record(engine, entry, then=engine.runner.stop_runs)


async def delete_session(engine: Engine, client: Client, event: events.UserDeleteSession) -> None:
    """Every connection that is attached is told, this one as well."""
    session_id = await open_session(client, event.session_id)
    if (attachment := client.pump.attachment(session_id)) is not None:
        attachment.deletion_request = event.request_id
    await record(engine, DeleteSession(session_id=session_id), then=engine.runner.stop_runs)


async def list_sessions(engine: Engine, client: Client, event: events.UserListSessions) -> None:
    usable = [name for name in get_registry().all_names if client.grant.allows(name)]
    wanted = [name for name in usable if event.agent in (None, name)]
    if client.grant.user_id is None:
        # Sessions of nobody are found by their id only; a list would show one stranger's to another.
        page: list[dict[str, Any]] = []
        mark = None
    else:
        try:
            page, mark = await in_thread(
                queries.sessions_of,
                client.grant.user_id,
                agents=wanted,
                query=event.query and clean(event.query),
                before=event.before,
                limit=event.limit,
            )
        except ValueError as error:
            message = _("content.before is not the 'next' of an earlier page.")
            raise ProtocolError(ErrorCode.BAD_FIELD, message, event="system.error") from error
    answer = SystemSessions(metadata=SessionsMetadata(sessions=page, next=mark))
    client.pump.direct(answer, request_id=event.request_id)


async def reconnect(engine: Engine, client: Client, event: events.UserReconnect) -> None:
    """Attach, send again what lies behind the cursor, then go on live."""
    facts = await attach(client, parse_session_id(event.session_id))
    check_cursor(client, facts, event.after)
    client.pump.replay(facts.id, facts.agent, event.after, event.request_id)


async def acknowledge(engine: Engine, client: Client, event: events.UserAck) -> None:
    session_id = await open_session(client, event.acked_session)
    engine.acknowledge(session_id, event.after)


# --- runs ---


async def post_message(engine: Engine, client: Client, event: events.UserMessage) -> None:
    """Store a message and begin or queue its run; never waits for the run."""
    session_id = await open_session(client, event.session_id)
    if event.is_blank:
        raise ProtocolError(ErrorCode.EMPTY_MESSAGE, _("The message is empty. Write something and send it again."))
    attachment = client.pump.attachment(session_id)
    agent = get_registry().available(attachment.agent) if attachment else None
    if agent is None:
        raise agent_unavailable(attachment.agent if attachment else "")
    message = Message.user(clean_value(event.content))
    posted: Posted = await record(
        engine,
        PostMessage(
            session_id=session_id,
            new_run_id=uuid.uuid4(),
            message=message,
            message_id=event.message_id and clean(event.message_id),
            origin=client.connection_id,
            lease=engine.runner.lease_for(agent.name),
            when_busy=agent.agent.when_busy,
            max_queued=engine.config.max_queued,
            allowance=await _allowance(engine, client, agent.name),
        ),
        then=partial(_begin, engine, agent.name, message),
    )
    _notify_accepted(client, event, posted)


def _begin(engine: Engine, agent: str, message: Message, posted: Posted) -> None:
    engine.runner.stop_runs(posted.ended)
    if posted.lease is not None:
        engine.runner.launch(posted.lease, agent, message=message)


async def _allowance(engine: Engine, client: Client, agent: str) -> Allowance | None:
    """What the client may do with the agent, None while nothing is limited."""
    if not engine.allowances.may_limit(agent):
        return None
    return await in_thread(engine.allowances.of, client.grant.user_id, agent)


def _notify_accepted(client: Client, event: events.UserMessage, posted: Posted) -> None:
    facts = NoticeMetadata(
        action="accepted",
        message_id=posted.message_id,
        run_id=str(posted.run_id),
        position=posted.position,
        duplicate=True if posted.duplicate else None,
    )
    notice = SystemNotice(content=_("The message was accepted."), metadata=facts)
    client.pump.direct(notice, session_id=event.session_id, request_id=event.request_id)


async def respond(engine: Engine, client: Client, event: events.UserResponse) -> None:
    """Answer a confirmation; the answer is on record before the run learns of it."""
    session_id = await open_session(client, event.session_id)
    given = {"confirmed": event.confirmed, "args": event.args, "tasks": event.tasks, "reason": event.reason}
    answer = clean_value({key: value for key, value in given.items() if value is not None})
    await record(
        engine,
        AnswerConfirmation(
            session_id=session_id,
            step_id=clean(event.step_id),
            answer=answer,
            by=client.grant.username or "",
            by_user=client.grant.user_id,
            origin=client.connection_id,
        ),
        then=lambda run_id: engine.runner.answered(run_id, event.step_id, answer),
    )


async def cancel(engine: Engine, client: Client, event: events.UserCancel) -> None:
    """End the run that is going and all queued ones, whoever owns them."""
    session_id = await open_session(client, event.session_id)
    entry = CancelRuns(session_id=session_id, by=client.grant.user_id)
    if not await record(engine, entry, then=engine.runner.stop_runs):
        idle = NothingInterrupted(content=_("Nothing is running in this session."))
        client.pump.direct(idle, session_id=event.session_id, request_id=event.request_id)
