"""The requests of clients, one function each. Rules are here and in the journal's entries, not in the consumer."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from agents.access.request_count import sharer_of
from agents.budgets.allowances import Allowance
from agents.budgets.shares import shares_of
from agents.database.threads import in_thread
from agents.loading.registry import LoadedAgent, get_registry
from myagent.agent_definition import WhenBusy
from myagent.i18n import gettext as _
from myagent.messages import Message
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
from sessions_app import session_list
from sessions_app.connection.handlers import handles
from sessions_app.connection.message_files import with_files
from sessions_app.connection.message_output import accepted_schema
from sessions_app.connection.requester import (
    Requester,
    agent_unavailable,
    attach,
    check_cursor,
    open_session,
    parse_session_id,
    record,
    usable_agent,
)
from sessions_app.engine import Engine
from sessions_app.files.file_parts import files_in
from sessions_app.journal.entries.messages import Posted, PostMessage
from sessions_app.journal.entries.sessions import (
    AnswerConfirmation,
    CancelRuns,
    CloseSession,
    CreateSession,
    DeleteSession,
    UpdateSession,
)
from sessions_app.journal.entries.steering import WithdrawMessage

# --- sessions ---


@handles(events.UserCreateSession)
async def create_session(engine: Engine, requester: Requester, event: events.UserCreateSession) -> None:
    """Create a session; the connection is attached to it, and so is sent `agent.session_created`."""
    agent = usable_agent(requester, event.agent or requester.agent)
    session_id = uuid.uuid4()
    requester.pump.attach(session_id)
    requester.pump.follow(session_id, agent.name, 0)
    try:
        await record(
            engine,
            CreateSession(
                session_id=session_id,
                agent=agent.name,
                user_id=requester.grant.user_id,
                connection_id=requester.connection_id,
                title=event.title,
                metadata=event.session_metadata,
                request_id=event.request_id,
                visitor=sharer_of(requester.grant).visitor,
                shares=shares_of(engine.config),
            ),
        )
    except BaseException:
        requester.pump.detach(session_id)
        raise


@handles(events.UserUpdateSession)
async def update_session(engine: Engine, requester: Requester, event: events.UserUpdateSession) -> None:
    session_id = await open_session(requester, event.session_id)
    entry = UpdateSession(
        session_id=session_id, title=event.title, metadata=event.session_metadata, shares=shares_of(engine.config)
    )
    await record(engine, entry)


@handles(events.UserCloseSession)
async def close_session(engine: Engine, requester: Requester, event: events.UserCloseSession) -> None:
    session_id = await open_session(requester, event.session_id)
    entry = CloseSession(session_id=session_id, by=requester.grant.user_id)
    await record(engine, entry, then=engine.runner.stop_runs)


@handles(events.UserDeleteSession)
async def delete_session(engine: Engine, requester: Requester, event: events.UserDeleteSession) -> None:
    """Delete a session; every connection that is attached to it is notified, this one too."""
    session_id = await open_session(requester, event.session_id)
    if (attachment := requester.pump.attachment(session_id)) is not None:
        attachment.deletion_request = event.request_id
    await record(engine, DeleteSession(session_id=session_id), then=engine.runner.stop_runs)


@handles(events.UserListSessions)
async def list_sessions(engine: Engine, requester: Requester, event: events.UserListSessions) -> None:
    usable = [name for name in get_registry().all_names if requester.grant.allows(name)]
    wanted = [name for name in usable if event.agent in (None, name)]
    if requester.grant.user_id is None:
        # Anonymous sessions are found by id only: a list would show them to every other anonymous client.
        page: list[dict[str, Any]] = []
        mark = None
    else:
        try:
            page, mark = await in_thread(
                session_list.page_of,
                session_list.Wanted(
                    requester.grant.user_id, agents=wanted, query=event.query or "", family_id=event.family_id
                ),
                families=event.families,
                before=event.before,
                limit=event.limit,
            )
        except ValueError as error:
            message = _("content.before is not the 'next' of an earlier page.")
            raise ProtocolError(ErrorCode.BAD_FIELD, message, event="system.error") from error
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
    session_id = await open_session(requester, event.session_id)
    attachment = requester.pump.attachment(session_id)
    cursor = attachment.state.cursor if attachment is not None else None
    if cursor is not None and event.seq <= cursor.last_seq:
        engine.acknowledge(session_id, event.seq)


# --- runs ---


@handles(UserMessage)
async def post_message(engine: Engine, requester: Requester, event: UserMessage) -> None:
    """Store a message and start or queue its run; does not wait for the run."""
    session_id = await open_session(requester, event.session_id)
    if event.is_blank:
        raise blank_message()
    attachment = requester.pump.attachment(session_id)
    agent = get_registry().available(attachment.agent) if attachment else None
    if agent is None:
        raise agent_unavailable(attachment.agent if attachment else "")
    output_schema = accepted_schema(agent.agent, event.output_schema)
    message = Message.user(await with_files(session_id, event.content, agent.agent))
    allowance = await allowance_of(engine, requester, agent.name)
    with engine.runner.places.for_message(session_id, agent.name) as lease:
        entry = PostMessage(
            session_id=session_id,
            new_run_id=uuid.uuid4(),
            message=message,
            message_id=event.message_id,
            origin=requester.connection_id,
            lease=lease,
            when_busy=_asked_when_busy(event, agent),
            max_queued=engine.config.max_queued,
            allowance=allowance,
            shares=shares_of(engine.config),
            token_id=requester.grant.token_id,
            takes_new=not engine.memory_watch.is_scarce,
            files=frozenset(files_in(message.content)),
            traceparent=requester.traceparent,
            output_schema=output_schema,
        )
        posted: Posted = await record(engine, entry, then=partial(begin, engine, agent.name, message))
    if lease is None and posted.position == 1:
        engine.wakeups.announce_queued()
    if posted.steers:
        # Nothing was logged that would wake the process of the run.
        engine.wakeups.announce({session_id: posted.last_seq})
    notify_accepted(requester, event.session_id, event.request_id, posted)


def _asked_when_busy(event: UserMessage, agent: LoadedAgent) -> WhenBusy:
    """What is done with the message if it comes during a run. Raises `ProtocolError` for what the agent does not do."""
    modes = agent.agent.modes_when_busy
    if event.when_busy is None:
        return modes[0]
    for mode in modes:
        if mode == event.when_busy:
            return mode
    words = _("A message to the agent %(name)s that comes during an answer can only be: %(modes)s.")
    raise ProtocolError(ErrorCode.BAD_FIELD, words % {"name": agent.name, "modes": ", ".join(modes)})


def blank_message() -> ProtocolError:
    """The error for a message that says nothing."""
    return ProtocolError(ErrorCode.EMPTY_MESSAGE, _("The message is empty. Write something and send it again."))


def begin(engine: Engine, agent: str, message: Message | None, posted: Posted) -> None:
    """Start the run of a stored message, which is read again where it is not given; or tell the run that it steers."""
    engine.runner.stop_runs(posted.ended)
    if posted.steers:
        engine.runner.steered(posted.run_id)
    if posted.begun is not None:
        engine.runner.launch(posted.begun, agent, message=message)


async def allowance_of(engine: Engine, requester: Requester, agent: str) -> Allowance | None:
    """What the client may still use of the agent; None while nothing is limited."""
    if not engine.allowances.may_limit(agent):
        return None
    return await in_thread(engine.allowances.of, requester.grant.user_id, agent)


def notify_accepted(requester: Requester, session_id: str, request_id: str | None, posted: Posted) -> None:
    """Tell the client that sent a message how it was stored."""
    facts = NoticeMetadata(
        action="accepted",
        message_id=posted.message_id,
        run_id=str(posted.run_id),
        position=posted.position,
        duplicate=True if posted.duplicate else None,
        mode="steer" if posted.steers else None,
    )
    notice = SystemNotice(content=_("The message was accepted."), metadata=facts)
    requester.pump.direct(notice, session_id=session_id, request_id=request_id)


@handles(UserWithdraw)
async def withdraw(engine: Engine, requester: Requester, event: UserWithdraw) -> None:
    """Take a message back that waits."""
    session_id = await open_session(requester, event.session_id)
    await record(engine, WithdrawMessage(session_id=session_id, message_id=event.message_id))
    facts = NoticeMetadata(action="withdrawn", message_id=event.message_id)
    notice = SystemNotice(content=_("The message was taken back."), metadata=facts)
    requester.pump.direct(notice, session_id=event.session_id, request_id=event.request_id)


@handles(events.UserResponse)
async def respond(engine: Engine, requester: Requester, event: events.UserResponse) -> None:
    """Answer a confirmation; the answer is stored before the run gets it."""
    session_id = await open_session(requester, event.session_id)
    given = {"confirmed": event.confirmed, "args": event.args, "tasks": event.tasks, "reason": event.reason}
    answer = {key: value for key, value in given.items() if value is not None}
    await record(
        engine,
        AnswerConfirmation(
            session_id=session_id,
            step_id=event.step_id,
            answer=answer,
            by=requester.grant.username or "",
            by_user=requester.grant.user_id,
            origin=requester.connection_id,
        ),
        then=lambda run_id: engine.runner.answered(run_id, event.step_id, answer),
    )


@handles(events.UserCancel)
async def cancel(engine: Engine, requester: Requester, event: events.UserCancel) -> None:
    """Cancel the active run and all queued ones, whichever process owns them."""
    session_id = await open_session(requester, event.session_id)
    entry = CancelRuns(session_id=session_id, by=requester.grant.user_id)
    if not await record(engine, entry, then=engine.runner.stop_runs):
        idle = NothingInterrupted(content=_("Nothing is running in this session."))
        requester.pump.direct(idle, session_id=event.session_id, request_id=event.request_id)


@handles(events.UserSolveTasks, events.UserCancelTask, events.UserRestartTask, events.UserCancelPlan, events.UserReplan)
async def refuse_plan_request(engine: Engine, requester: Requester, event: ClientEvent) -> None:
    """Only agents that plan could do this, and none does yet."""
    words = _("%(event)s is not supported here.") % {"event": event.event}
    raise ProtocolError(ErrorCode.NOT_SUPPORTED, words)
