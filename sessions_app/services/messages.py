"""What callers say: a message is stored and its run begun or queued, or it is taken back."""

from __future__ import annotations

import uuid
from functools import partial

from agents.budgets.allowances import Allowance
from agents.budgets.shares import shares_of
from agents.database.threads import in_thread
from agents.loading.registry import LoadedAgent
from myagent.agent_definition import WhenBusy
from myagent.i18n import gettext as _
from myagent.messages import Message
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.message_events import UserMessage, UserWithdraw
from sessions_app.engine import Engine
from sessions_app.files.file_parts import files_in
from sessions_app.journal.entries.messages import Posted, PostMessage
from sessions_app.journal.entries.steering import WithdrawMessage
from sessions_app.services.caller import Caller, UsableSession, available_agent, record
from sessions_app.services.message_files import with_files
from sessions_app.services.message_output import accepted_schema
from sessions_app.services.refusals import blank_message


async def post_message(engine: Engine, caller: Caller, session: UsableSession, event: UserMessage) -> Posted:
    """Store a message and start or queue its run; does not wait for the run."""
    if event.is_blank:
        raise blank_message()
    agent = available_agent(session.agent)
    output_schema = accepted_schema(agent.agent, event.output_schema)
    message = Message.user(await with_files(session.id, event.content, agent.agent))
    allowance = await allowance_of(engine, caller, agent.name)
    with engine.runner.places.for_message(session.id, agent.name) as lease:
        entry = PostMessage(
            session_id=session.id,
            new_run_id=uuid.uuid4(),
            message=message,
            message_id=event.message_id,
            origin=caller.connection_id,
            lease=lease,
            when_busy=_asked_when_busy(event, agent),
            max_queued=engine.config.max_queued,
            allowance=allowance,
            shares=shares_of(engine.config),
            token_id=caller.grant.token_id,
            takes_new=not engine.memory_watch.is_scarce,
            files=frozenset(files_in(message.content)),
            traceparent=caller.traceparent,
            output_schema=output_schema,
        )
        posted: Posted = await record(engine, entry, then=partial(begin, engine, agent.name, message))
    if lease is None and posted.position == 1:
        engine.wakeups.announce_queued()
    if posted.steers:
        # Nothing was logged that would wake the process of the run.
        engine.wakeups.announce({session.id: posted.last_seq})
    return posted


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


def begin(engine: Engine, agent: str, message: Message | None, posted: Posted) -> None:
    """Start the run of a stored message, which is read again where it is not given; or tell the run that it steers."""
    engine.runner.stop_runs(posted.ended)
    if posted.steers:
        engine.runner.steered(posted.run_id)
    if posted.begun is not None:
        engine.runner.launch(posted.begun, agent, message=message)


async def allowance_of(engine: Engine, caller: Caller, agent: str) -> Allowance | None:
    """What the caller may still use of the agent; None while nothing is limited."""
    if not engine.allowances.may_limit(agent):
        return None
    return await in_thread(engine.allowances.of, caller.grant.user_id, agent)


async def withdraw_message(engine: Engine, session: UsableSession, event: UserWithdraw) -> None:
    """Take a message back that waits."""
    await record(engine, WithdrawMessage(session_id=session.id, message_id=event.message_id))
