"""A conversation that goes on behind an earlier response of it: in a session of its own, a fork."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from weakref import WeakValueDictionary

from django.db import IntegrityError

from agents.database.threads import in_thread
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.fork_events import UserFork
from sessions_app import queries
from sessions_app.services import forks, named_sessions
from sessions_app.services.caller import UsableSession, usable_session
from sessions_app.services.named_sessions import Opened
from sessions_app.web.api_call import Call
from sessions_app.web.openai_door.asked_message import AskedMessage
from sessions_app.web.openai_door.asked_session import (
    Target,
    check_model,
    joined_run,
    names_conversation,
    request_name,
    target_of,
)
from sessions_app.web.openai_door.responses.response_ids import QUESTION, run_of_item, step_of
from sessions_app.web.openai_door.responses.response_log import newest_of, session_of
from sessions_app.web.openai_door.responses.response_request import ResponseRequest

_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
"""So that of two equal requests at once the second finds the fork of the first."""


@dataclass(frozen=True, slots=True)
class Branch(Target):
    """A fork of a session, behind this event."""

    source: queries.SessionFacts | None = None
    at: int = 0

    async def opened(self, call: Call, asked: AskedMessage) -> Opened:
        """The fork. Raises `ProtocolError`."""
        assert self.source is not None
        if self.name is None:
            return await self._forked(call, self.source, None)
        thread = named_sessions.thread_key(call.caller, self.source.agent, self.name)
        turn = _turns.setdefault(thread, asyncio.Lock())
        async with turn:
            again = await named_sessions.thread_if_any(call.caller, self.source.agent, self.name)
            if again is not None:
                return Opened(again, is_new=False)
            await named_sessions.check_not_deleted(call.caller, self.source.agent, self.name)
            try:
                return await self._forked(call, self.source, thread)
            except IntegrityError:
                # The same request came twice at the same moment, and another process was faster.
                facts = await named_sessions.session_of_thread(call.caller, self.source.agent, self.name)
                return Opened(facts, is_new=False)

    async def _forked(self, call: Call, source: queries.SessionFacts, thread: str | None) -> Opened:
        event, new_id = call.asked(UserFork, session_id=str(source.id), at=self.at), uuid.uuid4()
        agent = forks.forkable(UsableSession(source.id, source.agent), event)
        await forks.fork_session(call.engine, call.caller, event, agent, source.id, new_id, thread=thread)
        return Opened(await usable_session(call.caller, str(new_id)), is_new=True)


async def asked_target(call: Call, asked: ResponseRequest) -> Target:
    """The session of a request for a response. Raises `ProtocolError`."""
    if asked.previous is None:
        found = None if names_conversation(call, asked) else await _run_of_items(call, asked)
        return await target_of(call, asked) if found is None else await _behind(call, asked, *found)
    facts = await session_of(call, asked.previous)
    named = {call.request.headers.get("X-MyAgent-Session"), asked.session_id} - {None, ""}
    if not named <= {str(facts.id)}:
        raise ProtocolError(ErrorCode.BAD_FIELD, _("The request names two different sessions."))
    check_model(facts, asked.model)
    return await _behind(call, asked, facts, asked.previous.run_id)


async def _run_of_items(call: Call, asked: ResponseRequest) -> tuple[queries.SessionFacts, uuid.UUID] | None:
    """The run that the newest item is of which has come from here, and its session.

    None where the caller may not use it, or another agent is asked: the texts among the items are what is known then.
    """
    run_id = None
    for name in reversed(asked.names):
        run_id = run_of_item(name)
        if run_id is None and name.startswith(QUESTION):
            run_id = await in_thread(queries.run_of_question, step_of(name))
        if run_id is not None:
            break
    if run_id is None:
        return None
    facts = await in_thread(queries.session_of_run, run_id, call.caller.grant.user_id)
    is_usable = facts is not None and facts.agent == asked.model and call.caller.grant.allows(facts.agent)
    return (facts, run_id) if facts is not None and is_usable else None


async def _behind(call: Call, asked: ResponseRequest, facts: queries.SessionFacts, run_id: uuid.UUID) -> Target:
    """The session behind this run of it: the same one, or a branch."""
    if asked.approvals or await _goes_on(call, facts, run_id):
        return Target(facts=facts)
    name = request_name(call)
    if name is not None and (again := await named_sessions.thread_if_any(call.caller, facts.agent, name)):
        return Target(facts=again)
    _newest, end = await newest_of(call, facts, run_id)
    if end is None:
        words = _("This response is not complete, and other messages wait behind it.")
        raise ProtocolError(ErrorCode.SESSION_BUSY, words)
    return Branch(name=name, source=facts, at=end)


async def _goes_on(call: Call, facts: queries.SessionFacts, run_id: uuid.UUID) -> bool:
    """Whether the session itself goes on behind this run: it is its newest, or this request has come before."""
    if await in_thread(queries.newest_run, facts.id) == run_id:
        return True
    key = call.request.headers.get("Idempotency-Key")
    if key:
        return await in_thread(queries.has_message, facts.id, key)
    return await joined_run(call, facts.id) is not None
