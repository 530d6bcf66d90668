"""The requests of clients that fork a session, or rate an answer in one."""

from __future__ import annotations

import uuid

from myagent.i18n import gettext as _
from myagent.protocol.direct_events import NoticeMetadata, SystemNotice
from myagent.protocol.fork_events import UserFeedback, UserFork
from sessions_app.connection.handlers import handles
from sessions_app.connection.requester import Requester, open_session
from sessions_app.connection.requests import notify_accepted
from sessions_app.engine import Engine
from sessions_app.services import sessions
from sessions_app.services.forks import fork_session, forkable


@handles(UserFork)
async def fork(engine: Engine, requester: Requester, event: UserFork) -> None:
    """Continue a session in a new one. The connection is attached to it, and is sent what is logged from now on."""
    source = await open_session(requester, event.session_id)
    agent = forkable(source, event)
    session_id = uuid.uuid4()
    requester.pump.attach(session_id)
    requester.pump.follow(session_id, agent.name, 0)
    try:
        forked = await fork_session(engine, requester, event, agent, source.id, session_id)
    except BaseException:
        requester.pump.detach(session_id)
        raise
    if forked.posted is not None:
        notify_accepted(requester, str(session_id), event.request_id, forked.posted)
    if not forked.has_state:
        words = _("What the tools had kept at this point was not stored then, so that they begin with nothing here.")
        notice = SystemNotice(content=words, metadata=NoticeMetadata(action="state_unknown"))
        requester.pump.direct(notice, session_id=str(session_id), request_id=event.request_id)


@handles(UserFeedback)
async def rate(engine: Engine, requester: Requester, event: UserFeedback) -> None:
    """Log what the user thinks of an answer; this connection is told as well."""
    await sessions.rate(engine, await open_session(requester, event.session_id), event)
