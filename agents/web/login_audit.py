"""Log-ins, log-outs and failures in the audit log: a row for each of the former, one that is updated for the latter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.utils import timezone

from agents.access import brakes
from agents.access.brakes import Attempt, Counter
from agents.access.system_user import system_user
from agents.audit import log_columns
from agents.models import FailureCount
from myagent.i18n import gettext as _
from myagent.i18n import ngettext

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def by_password(address: str) -> str:
    """The words for a log-in with a password."""
    return _("Logged in with a password, from %(address)s.") % {"address": address}


def by_invitation(address: str) -> str:
    """The words for a log-in with an invitation."""
    return _("Logged in with an invitation, from %(address)s.") % {"address": address}


def logged_out() -> str:
    """The words for a log-out."""
    return _("Logged out.")


def logged_out_everywhere(count: int) -> str:
    """The words for the end of all logins."""
    return ngettext("Logged out everywhere: %(count)d login.", "Logged out everywhere: %(count)d logins.", count) % {
        "count": count
    }


def password_changed() -> str:
    """The words for a new password."""
    return _("Changed the own password.")


def token_revoked() -> str:
    """The words for a token that its user revoked."""
    return _("Revoked.")


def note(user: User, words: str) -> None:
    """Note what `user` has done with their own login."""
    columns = log_columns(get_user_model(), user.pk, user.get_username(), user_id=user.pk, message=words)
    LogEntry.objects.create(**columns)


def note_failure(attempt: Attempt, user: User | None, address: str) -> None:
    """Note that a password was wrong: for the user of that name, else for the address.

    Failures that follow one another change the row of the first; and of new rows there are so many and no more.
    """
    counter = attempt.counters[-1] if user is not None else attempt.counters[0]
    row = brakes.row_of(counter)
    if row is None:
        return  # with a clock that was set back, all is forgiven already
    words = ngettext(
        "%(count)d wrong password, from %(address)s.", "%(count)d wrong passwords, last from %(address)s.", row.failures
    )
    message = words % {"count": row.failures, "address": address}
    if row.entry is not None:
        LogEntry.objects.filter(pk=row.entry).update(change_message=message, action_time=timezone.now())
    elif brakes.take(Counter(brake=brakes.AUDIT, subject="")):
        entry = LogEntry.objects.create(**_columns(user, attempt.network, message))
        FailureCount.objects.filter(pk=row.pk).update(entry=entry.pk)


def _columns(user: User | None, network: str, message: str) -> dict[str, Any]:
    if user is not None:
        kind = get_user_model()
        columns: dict[str, Any] = log_columns(
            kind, user.pk, user.get_username(), user_id=system_user().pk, message=message
        )
        return columns
    return {
        "user_id": system_user().pk,
        "content_type_id": None,
        "object_id": None,
        "object_repr": network,
        "action_flag": CHANGE,
        "change_message": message,
        "action_time": timezone.now(),
    }
