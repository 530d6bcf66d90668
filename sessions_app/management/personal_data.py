"""Everything that is stored of one person: to hand it out, and to delete it."""

from __future__ import annotations

import logging
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction
from django.db.models import QuerySet

from agents.access.system_user import DELETED_USERNAME, deleted_user
from sessions_app.conversation_export import exported
from sessions_app.files.file_store import storage
from sessions_app.models import Session, StoredFile

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger("myagent.files")

SECRETS = frozenset({"password", "token_hash"})
"""Columns that are handed to nobody."""


def records(user: User) -> Iterator[dict[str, Any]]:
    """What is stored of `user`, one record at a time: `{"kind": …, "data": …}`; conversations, and then
    their files with the bytes as base64, come last.
    """
    groups = list(user.groups.values_list("name", flat=True))
    yield {"kind": "user", "data": {**_columns(user), "groups": groups}}
    for rows in _rows_of(user):
        if rows.model is not Session:
            for row in rows.iterator():
                yield {"kind": rows.model._meta.model_name, "data": _columns(row)}
    for session in Session.objects.of(user.pk).select_related("user").order_by("created_at").iterator():
        yield {"kind": "session", "data": exported(session)}
    for stored in (
        StoredFile.objects.filter(sessions__session__user=user.pk).distinct().order_by("created_at").iterator()
    ):
        yield {"kind": "file", "data": {**_columns(stored), "base64": _base64(stored)}}


def _base64(stored: StoredFile) -> str | None:
    try:
        return b64encode(storage().open(stored.location).read()).decode()
    except OSError as error:
        logger.warning("The file %s cannot be read (%s).", stored.pk, error)
        return None


def erase(user: User) -> None:
    """Delete `user` and every row that belongs to them; their conversations have been deleted before.

    The audit log stays: who did something becomes `DELETED_USERNAME`, and their name leaves the texts of the entries
    about rows of theirs. Conversations, runs and answers stand there by their ids alone.
    """
    with transaction.atomic():
        _forget_in_audit(user)
        LogEntry.objects.filter(user=user).update(user=deleted_user())
        user.delete()


def _rows_of(user: User) -> Iterator[QuerySet[Any]]:
    """The rows of all tables that belong to a user; a table that is added later is among them."""
    for relation in get_user_model()._meta.related_objects:
        if relation.one_to_many or relation.one_to_one:
            kind: Any = relation.related_model
            yield kind._base_manager.filter(**{relation.field.name: user.pk}).order_by("pk")


def _columns(row: models.Model) -> dict[str, Any]:
    return {
        field.attname: field.value_from_object(row)
        for field in row._meta.concrete_fields
        if field.attname not in SECRETS
    }


def _forget_in_audit(user: User) -> None:
    word = re.compile(rf"(?<!\w){re.escape(user.get_username())}(?!\w)")
    own = get_user_model()._base_manager.filter(pk=user.pk)
    for rows in (own, *(rows for rows in _rows_of(user) if rows.model not in (LogEntry, Session))):
        for entry in _entries_about(rows.model, rows.values_list("pk", flat=True)):
            entry.object_repr = word.sub(DELETED_USERNAME, entry.object_repr)
            entry.change_message = word.sub(DELETED_USERNAME, entry.change_message)
            entry.save(update_fields=["object_repr", "change_message"])


def _entries_about(kind: type[models.Model], keys: Iterable[Any]) -> QuerySet[LogEntry]:
    names = [str(key) for key in keys]
    return LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(kind), object_id__in=names)
