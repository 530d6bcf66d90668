"""The requests of clients on a WebSocket, one function each: calls of a service, and answers through the pump.

Rules are in the services and in the journal's entries, where other doors share them; not here, and not in the consumer.
"""

from __future__ import annotations

import uuid

from myagent.i18n import gettext as _
from myagent.protocol import client_events as events
from myagent.protocol.client_fields import ClientEvent
from myagent.protocol.direct_events import (
    NothingInterrupted,
    NoticeMetadata,
    SessionsMetadata,
    SystemNotice,
    SystemSessions,
)
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.message_events import UserMessage, UserWithdraw
from sessions_app.connection.handlers import handles
from sessions_app.connection.requester import Requester, attach, check_cursor, open_session
from sessions_app.engine import Engine
from sessions_app.journal.entries.messages import Posted
from sessions_app.services import messages, runs, sessions
from sessions_app.services.caller import parse_session_id, usable_agent

# --- sessions ---


@handles(events.UserCreateSession)
async def create_session(engine: Engine, requester: Requester, event: events.UserCreateSession) -> None:
    """Create a session; the connection is attached to it, and so is sent `agent.session_created`."""
    agent = usable_agent(requester, event.agent or requester.agent)
    session_id = uuid.uuid4()
    requester.pump.attach(session_id)
    requester.pump.follow(session_id, agent.name, 0)
    try:
        await sessions.create_session(engine, requester, agent, session_id, event)
    except BaseException:
        requester.pump.detach(session_id)
        raise


@handles(events.UserUpdateSession)
async def update_session(engine: Engine, requester: Requester, event: events.UserUpdateSession) -> None:
    await sessions.update_session(engine, await open_session(requester, event.session_id), event)


@handles(events.UserCloseSession)
async def close_session(engine: Engine, requester: Requester, event: events.UserCloseSession) -> None:
    await sessions.close_session(engine, requester, await open_session(requester, event.session_id))


@handles(events.UserDeleteSession)
async def delete_session(engine: Engine, requester: Requester, event: events.UserDeleteSession) -> None:
    """Delete a session; every connection that is attached to it is notified, this one too."""
    session = await open_session(requester, event.session_id)
    if (attachment := requester.pump.attachment(session.id)) is not None:
        attachment.deletion_request = event.request_id
    await sessions.delete_session(engine, session)


@handles(events.UserListSessions)
async def list_sessions(engine: Engine, requester: Requester, event: events.UserListSessions) -> None:
    page, mark = await sessions.page_of_sessions(requester, event)
    answer = SystemSessions(metadata=SessionsMetadata(sessions=page, next=mark))
    requester.pump.direct(answer, request_id=event.request_id)


@handles(events.UserReconnect)
async def reconnect(engine: Engine, requester: Requester, event: events.UserReconnect) -> None:
    """Attach, replay what comes after the cursor, then follow live."""
    facts = await attach(requester, parse_session_id(event.session_id))
    check_cursor(requester, facts, event.after)
    requester.pump.replay(facts.id, facts.agent, event.after, event.request_id)


@handles(events.UserAck)
async def acknowledge(engine: Engine, requester: Requester, event: events.UserAck) -> None:
    """Note how far the client has got. One that says nothing, or has more than there is, changes nothing."""
    if event.session_id is None or event.seq is None:
        return
    session = await open_session(requester, event.session_id)
    attachment = requester.pump.attachment(session.id)
    cursor = attachment.state.cursor if attachment is not None else None
    if cursor is not None and event.seq <= cursor.last_seq:
        engine.acknowledge(session.id, event.seq)


# --- runs ---


@handles(UserMessage)
async def post_message(engine: Engine, requester: Requester, event: UserMessage) -> None:
    """Store a message and start or queue its run; does not wait for the run."""
    session = await open_session(requester, event.session_id)
    posted = await messages.post_message(engine, requester, session, event)
    notify_accepted(requester, event.session_id, event.request_id, posted)


def notify_accepted(requester: Requester, session_id: str, request_id: str | None, posted: Posted) -> None:
    """Tell the client that sent a message how it was stored."""
    notice = SystemNotice(content=_("The message was accepted."), metadata=accepted(posted))
    requester.pump.direct(notice, session_id=session_id, request_id=request_id)


def accepted(posted: Posted) -> NoticeMetadata:
    """How a message was stored."""
    return NoticeMetadata(
        action="accepted",
        message_id=posted.message_id,
        run_id=str(posted.run_id),
        position=posted.position,
        duplicate=True if posted.duplicate else None,
        mode="steer" if posted.steers else None,
    )


@handles(UserWithdraw)
async def withdraw(engine: Engine, requester: Requester, event: UserWithdraw) -> None:
    """Take a message back that waits."""
    await messages.withdraw_message(engine, await open_session(requester, event.session_id), event)
    facts = NoticeMetadata(action="withdrawn", message_id=event.message_id)
    notice = SystemNotice(content=_("The message was taken back."), metadata=facts)
    requester.pump.direct(notice, session_id=event.session_id, request_id=event.request_id)


@handles(events.UserResponse)
async def respond(engine: Engine, requester: Requester, event: events.UserResponse) -> None:
    """Answer a confirmation; the answer is stored before the run gets it."""
    session = await open_session(requester, event.session_id)
    await runs.answer_confirmation(engine, requester, session, event)


@handles(events.UserCancel)
async def cancel(engine: Engine, requester: Requester, event: events.UserCancel) -> None:
    """Cancel the active run and all queued ones, whichever process owns them."""
    session = await open_session(requester, event.session_id)
    if not await runs.cancel_runs(engine, requester, session):
        idle = NothingInterrupted(content=_("Nothing is running in this session."))
        requester.pump.direct(idle, session_id=event.session_id, request_id=event.request_id)


@handles(events.UserSolveTasks, events.UserCancelTask, events.UserRestartTask, events.UserCancelPlan, events.UserReplan)
async def refuse_plan_request(engine: Engine, requester: Requester, event: ClientEvent) -> None:
    """Only agents that plan could do this, and none does yet."""
    words = _("%(event)s is not supported here.") % {"event": event.event}
    raise ProtocolError(ErrorCode.NOT_SUPPORTED, words)
