"""What every request handler needs: who asks, which session it may use, and the errors for what is refused."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from agents.access.decision import Grant
from agents.budgets.level import BudgetExceeded, end_of_day
from agents.budgets.rates import RateExceeded
from agents.budgets.shares import Quota, Scope
from agents.database.threads import in_thread
from agents.loading.registry import LoadedAgent, get_registry
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app import queries
from sessions_app.delivery.pump import Pump
from sessions_app.engine import Engine
from sessions_app.journal.entry import Entry
from sessions_app.journal.queued_entry import NotStored
from sessions_app.journal.refusal import Refused
from sessions_app.journal.writer import JournalClosed


@dataclass(frozen=True, kw_only=True)
class Requester:
    """The connection that a request came by, what it may do, the agent that its path names, and the trace (of others)
    that it is part of.
    """

    connection_id: str
    grant: Grant
    agent: str
    pump: Pump
    traceparent: str = ""


async def open_session(requester: Requester, session_id: str) -> uuid.UUID:
    """The id of a session that the client may use; its connection is attached from now on."""
    parsed = parse_session_id(session_id)
    attachment = requester.pump.attachment(parsed)
    if attachment is None or not attachment.agent:
        facts = await attach(requester, parsed)
        requester.pump.follow(parsed, facts.agent, facts.last_seq)
    return parsed


async def attach(requester: Requester, session_id: uuid.UUID) -> queries.SessionFacts:
    """Attach the connection to a session. Raises `ProtocolError` when there is none that the client may use."""
    facts = await attach_if_usable(requester, session_id)
    if facts is None:
        raise not_found()
    return facts


async def attach_if_usable(requester: Requester, session_id: uuid.UUID) -> queries.SessionFacts | None:
    """Attach first, then read: what is committed meanwhile is offered to the pump, which reads it later."""
    is_new = requester.pump.attachment(session_id) is None
    requester.pump.attach(session_id)
    usable = None
    try:
        facts = await in_thread(queries.session_facts, session_id, requester.grant.user_id)
        if facts is not None and requester.grant.allows(facts.agent):
            usable = facts
    finally:
        # Also when the database does not answer: without permission no connection stays attached.
        if usable is None and is_new:
            requester.pump.detach(session_id)
    return usable


def check_cursor(requester: Requester, facts: queries.SessionFacts, after: int) -> None:
    """Raise `ProtocolError` for a cursor beyond the end of the log, from where the connection then follows it."""
    if after > facts.last_seq:
        requester.pump.follow(facts.id, facts.agent, facts.last_seq)
        raise ProtocolError(
            ErrorCode.CURSOR_AHEAD,
            _("The log of this session ends at %(last)d, before your cursor. Reconnect without one.")
            % {"last": facts.last_seq},
            last_seq=facts.last_seq,
        )


def parse_session_id(text: str) -> uuid.UUID:
    """`text` as a session id. Raises `ProtocolError` when no session can have it."""
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        raise not_found() from None
    # Only as the server spells it: replies name the session as the client did.
    if str(parsed) != text:
        raise not_found()
    return parsed


def not_found() -> ProtocolError:
    """The error for a session that does not exist or that the client may not use."""
    # The same in both cases, so that ids cannot be probed.
    return ProtocolError(
        ErrorCode.SESSION_NOT_FOUND, _("There is no such session. Create one with user.create_session.")
    )


def usable_agent(requester: Requester, name: str) -> LoadedAgent:
    """The agent of that name. Raises `ProtocolError` when the client may not use it, or it is unknown or disabled."""
    agent, allowed = get_registry().get(name), requester.grant.allows(name)
    if agent is None or not allowed:
        message = _("There is no agent %(name)r here.") % {"name": name[:100]}
        raise ProtocolError(ErrorCode.AGENT_NOT_FOUND, message)
    if get_registry().available(name) is None:
        raise agent_unavailable(name)
    return agent


def agent_unavailable(name: str) -> ProtocolError:
    """The error for a request that needs an agent which is disabled or not served here."""
    if get_registry().get(name) is None:
        words = _("The agent %(name)s of this session is not served here at the moment.")
    else:
        words = _("The agent %(name)s is switched off at the moment. Nothing was changed; please try again later.")
    return ProtocolError(ErrorCode.AGENT_UNAVAILABLE, words % {"name": name})


async def record(engine: Engine, entry: Entry, *, then: Callable[[Any], None] | None = None) -> Any:
    """Commit an entry for a client and return its outcome. Raises `ProtocolError` if it is refused.

    `then` is called with the outcome once it is committed, also if the client has left and nothing waits for it.
    """
    try:
        return await engine.journal.record_promptly(entry, then=then)
    except Refused as refusal:
        raise _refusal(refusal) from refusal
    except NotStored as error:
        raise try_again(is_certain=error.is_certain) from None
    except JournalClosed:
        raise try_again() from None


def try_again(*, is_certain: bool = True) -> ProtocolError:
    """The error for every request while the database does not answer.

    It is not certain that nothing was changed when the answer to a COMMIT is missing.
    """
    if not is_certain:
        message = _("The database does not answer, and it is not known whether this was stored. Please look again.")
        return ProtocolError(ErrorCode.TRY_AGAIN, message, maybe_stored=True)
    message = _("The server cannot store anything at the moment. Nothing was changed; please try again.")
    return ProtocolError(ErrorCode.TRY_AGAIN, message)


def _refusal(refusal: Refused) -> ProtocolError:
    match refusal.code:
        case ErrorCode.SESSION_CLOSED:
            return ProtocolError(ErrorCode.SESSION_CLOSED, _("This session is closed. Create a new one to continue."))
        case ErrorCode.SESSION_BUSY if refusal.data.get("reason") == "reject":
            return ProtocolError(ErrorCode.SESSION_BUSY, _("The agent is still answering. Wait, or cancel it first."))
        case ErrorCode.SESSION_BUSY:
            message = _("%(limit)d messages are waiting already. Wait for answers, or cancel.") % refusal.data
            return ProtocolError(ErrorCode.SESSION_BUSY, message)
        case ErrorCode.BUSY:
            message = _("The server is short of memory. Nothing was changed; please try again in a while.")
            return ProtocolError(ErrorCode.BUSY, message)
        case ErrorCode.BUDGET_EXCEEDED:
            exceeded = BudgetExceeded(refusal.data["level"], end_of_day(timezone.now()))
            return ProtocolError(ErrorCode.BUDGET_EXCEEDED, str(exceeded), **exceeded.details)
        case ErrorCode.TOO_MANY_RUNS:
            message = _(
                "The agent is still answering in other sessions; no more than %(limit)d answers at once are "
                "permitted. Wait, or cancel."
            )
            return ProtocolError(ErrorCode.TOO_MANY_RUNS, message % refusal.data, limit=refusal.data["limit"])
        case ErrorCode.TOO_MANY_MESSAGES:
            return _too_many_messages(refusal.data["limit"], refusal.data["retry_after"])
        case ErrorCode.OVER_QUOTA:
            return over_quota(**refusal.data)
        case ErrorCode.MESSAGE_NOT_FOUND:
            message = _("There is no such message in this session.")
            return ProtocolError(ErrorCode.MESSAGE_NOT_FOUND, message)
        case ErrorCode.MESSAGE_READ:
            message = _("The message has been read already. Cancel the answer to stop it.")
            return ProtocolError(ErrorCode.MESSAGE_READ, message)
        case ErrorCode.RUN_NOT_FOUND:
            return no_such_run()
        case ErrorCode.CURSOR_AHEAD:
            return ahead_of_log(refusal.data["last_seq"])
        case ErrorCode.TOO_MANY_FILES:
            message = _("A conversation may have %(limit)d files. Begin a new one.")
            return ProtocolError(ErrorCode.TOO_MANY_FILES, message % refusal.data, limit=refusal.data["limit"])
        case ErrorCode.FILE_NOT_FOUND:
            return file_not_found()
        case ErrorCode.FILE_IN_USE:
            message = _("A message names this file, so the conversation keeps it as long as it lasts.")
            return ProtocolError(ErrorCode.FILE_IN_USE, message)
        case ErrorCode.NO_PENDING_CONFIRMATION:
            message = _("No confirmation with this step_id is waiting for an answer.")
            return ProtocolError(ErrorCode.NO_PENDING_CONFIRMATION, message)
        case _:
            return not_found()


def file_not_found() -> ProtocolError:
    """The error for a file that the session does not have, whoever else has it."""
    return ProtocolError(ErrorCode.FILE_NOT_FOUND, _("This conversation has no such file. Upload it first."))


def no_such_run() -> ProtocolError:
    """The error for a rating of what is no answer."""
    return ProtocolError(ErrorCode.RUN_NOT_FOUND, _("There is no run in this session that has ended and has this id."))


def ahead_of_log(last_seq: int) -> ProtocolError:
    """The error for the number of an event that there is not yet."""
    words = _("The log of this session ends at %(last)d, before the event that was named.") % {"last": last_seq}
    return ProtocolError(ErrorCode.CURSOR_AHEAD, words, last_seq=last_seq)


def over_quota(quota: Quota, limit: int, scope: Scope) -> ProtocolError:
    """The error for what would be more than a share."""
    match quota, scope:
        case "stored_bytes", "anonymous":
            words = _("The conversations of anonymous visitors take up all the room there is for them.")
        case "sessions", "anonymous":
            words = _("There are as many conversations of anonymous visitors as there may be.")
        case "stored_bytes", _:
            words = _("Your conversations take up the %(size)s that they may. Delete some to go on.")
        case "sessions", _:
            words = _("You have the %(limit)s conversations that you may have. Delete some to begin another.")
        case _:
            words = _("%(limit)s messages are waiting in your conversations already. Wait for answers, or cancel.")
    words %= {"limit": f"{limit:,}", "size": filesizeformat(limit)}
    return ProtocolError(ErrorCode.OVER_QUOTA, words, quota=quota, limit=limit, scope=scope)


def too_many_requests(error: RateExceeded) -> ProtocolError:
    """The error for what comes too fast."""
    return ProtocolError(
        ErrorCode.TOO_MANY_REQUESTS, str(error), rate=error.rate, limit=error.limit, retry_after=error.retry_after
    )


def _too_many_messages(limit: int, retry_after: int | None) -> ProtocolError:
    if retry_after is None:
        return ProtocolError(ErrorCode.TOO_MANY_MESSAGES, _("You may not send messages."), limit=limit)
    message = _("Too many messages: at most %(limit)d a minute are allowed. Please try again in %(seconds)d s.")
    words = message % {"limit": limit, "seconds": retry_after}
    return ProtocolError(ErrorCode.TOO_MANY_MESSAGES, words, limit=limit, retry_after=retry_after)
