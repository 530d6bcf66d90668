"""Who did what: rows of Django's own log, which the admin writes by itself for what is done there."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.utils import timezone

from agents.access.system_user import operator, system_user
from myagent.i18n import gettext as _

LONGEST_NAME = 200


def log_columns(kind: type[Model], pk: object, name: str, *, user_id: int, message: str, flag: int = CHANGE) -> Any:
    """The columns of a row that says what `user_id` did to the object of this kind, key and name."""
    return {
        "user_id": user_id,
        "content_type_id": ContentType.objects.get_for_model(kind).pk,
        "object_id": str(pk),
        "object_repr": name[:LONGEST_NAME],
        "action_flag": flag,
        "change_message": message,
        "action_time": timezone.now(),
    }


def note_command(row: Model, message: str, *, flag: int = CHANGE) -> None:
    """Note what was done to `row` on the command line: by `manage.py`, with the name of the operating system's user."""
    by = _("On the command line, by %(name)s.") % {"name": operator()}
    user_id = system_user().pk
    columns = log_columns(type(row), row.pk, str(row), user_id=user_id, message=f"{message} {by}", flag=flag)
    LogEntry.objects.create(**columns)


def note_made(row: Model, message: str) -> None:
    """`note_command` for what is new."""
    note_command(row, message, flag=ADDITION)
