"""The errors for what is refused, by whichever door it was asked: the same code and the same sentence everywhere."""

from __future__ import annotations

from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from agents.budgets.level import BudgetExceeded, end_of_day
from agents.budgets.rates import RateExceeded
from agents.budgets.shares import Quota, Scope
from agents.loading.registry import get_registry
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app.journal.refusal import Refused


def not_found() -> ProtocolError:
    """The error for a session that does not exist or that the client may not use."""
    # The same in both cases, so that ids cannot be probed.
    return ProtocolError(ErrorCode.SESSION_NOT_FOUND, _("There is no such session. Begin a new one."))


def agent_unavailable(name: str) -> ProtocolError:
    """The error for a request that needs an agent which is disabled or not served here."""
    if get_registry().get(name) is None:
        words = _("The agent %(name)s of this session is not served here at the moment.")
    else:
        words = _("The agent %(name)s is switched off at the moment. Nothing was changed; please try again later.")
    return ProtocolError(ErrorCode.AGENT_UNAVAILABLE, words % {"name": name})


def blank_message() -> ProtocolError:
    """The error for a message that says nothing."""
    return ProtocolError(ErrorCode.EMPTY_MESSAGE, _("The message is empty. Write something and send it again."))


def try_again(*, is_certain: bool = True) -> ProtocolError:
    """The error for every request while the database does not answer.

    It is not certain that nothing was changed when the answer to a COMMIT is missing.
    """
    if not is_certain:
        message = _("The database does not answer, and it is not known whether this was stored. Please look again.")
        return ProtocolError(ErrorCode.TRY_AGAIN, message, maybe_stored=True)
    message = _("The server cannot store anything at the moment. Nothing was changed; please try again.")
    return ProtocolError(ErrorCode.TRY_AGAIN, message)


def refused_by_journal(refusal: Refused) -> ProtocolError:
    """The error for what the journal refuses."""
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
