"""Moving everything from an SQLite file to another database, in one transaction, with a check of what arrived."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management.color import no_style
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.migrations.recorder import MigrationRecorder

SOURCE = "source"
ROWS_AT_ONCE = 500


class CopyRefused(Exception):
    """The two databases do not fit, or not all rows arrived; nothing was changed."""


def open_source(file: Path) -> None:
    """Make the SQLite database in `file` known under the alias `SOURCE`, for reading only."""
    own = connections[DEFAULT_DB_ALIAS].settings_dict
    connections.settings[SOURCE] = {
        **own,
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": f"file:{file}?mode=ro",
        "OPTIONS": {"uri": True, "timeout": 5},
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": False,
    }


def check_fit() -> None:
    """Raise `CopyRefused` unless the source has the tables of this version, and the target has them, empty."""
    there, here = (set(_migrations(alias)) for alias in (SOURCE, DEFAULT_DB_ALIAS))
    if there != here:
        differing = sorted(f"{app}.{name}" for app, name in there ^ here)
        raise CopyRefused(f"different migrations: {', '.join(differing[:5])}")
    filled = [model for model in _tables() if model not in _made_by_migrate() and _rows(model).exists()]
    if filled:
        raise CopyRefused(f"the target holds rows already, in {filled[0]._meta.db_table}")


def copy_all() -> Iterator[tuple[str, int]]:
    """Copy every table; the name of each and its number of rows. Raises `CopyRefused` when a count differs.

    The caller exhausts it inside `transaction.atomic()`, so that all is there or nothing. Foreign keys are checked at
    the end of the transaction, so the order does not matter.
    """
    with transaction.atomic(using=SOURCE):  # one snapshot
        for model in _made_by_migrate():  # with other ids than the rows that refer to them
            _rows(model).all().delete()
        for model in _tables():
            count = _copy(model)
            arrived = _rows(model).count()
            if arrived != count:
                raise CopyRefused(f"{model._meta.db_table}: {count} rows were read, {arrived} arrived")
            yield model._meta.db_table, count
    _set_sequences()


def _copy(model: type[models.Model]) -> int:
    fields = model._meta.local_concrete_fields
    rows = model._base_manager.using(SOURCE).order_by("pk").iterator(chunk_size=ROWS_AT_ONCE)
    count, chunk = 0, []
    for row in rows:
        chunk.append(row)
        if len(chunk) == ROWS_AT_ONCE:
            count += _insert(model, fields, chunk)
            chunk = []
    return count + _insert(model, fields, chunk)


def _insert(model: type[models.Model], fields: Any, rows: list[Any]) -> int:
    if rows:
        # As loaddata does: raw, so that no field takes the present for the time at which a row was made.
        query = models.sql.InsertQuery(model)
        query.insert_values(fields, rows, raw=True)
        query.get_compiler(using=DEFAULT_DB_ALIAS).execute_sql()
    return len(rows)


def _set_sequences() -> None:
    """Let the next row of each table get a number that is free, and make sure of it."""
    target = connections[DEFAULT_DB_ALIAS]
    numbered = [model for model in _tables() if isinstance(model._meta.pk, models.AutoField)]
    with target.cursor() as cursor:
        for statement in target.ops.sequence_reset_sql(no_style(), numbered):
            cursor.execute(statement)
        if target.vendor != "postgresql":
            return
        for model in numbered:
            table, column = model._meta.db_table, model._meta.pk.column
            newest = _rows(model).aggregate(newest=models.Max("pk"))["newest"] or 0
            cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, %s))", [f'"{table}"', column])
            if cursor.fetchone()[0] <= newest:
                raise CopyRefused(f"{table}: its sequence is behind its rows")


def _tables() -> list[type[models.Model]]:
    """Every table but the one of migrations, those of many-to-many relations among them."""
    found = apps.get_models(include_auto_created=True)
    return [model for model in found if model._meta.managed and not model._meta.proxy]


def _rows(model: type[models.Model]) -> Any:
    return model._base_manager.using(DEFAULT_DB_ALIAS)


def _migrations(alias: str) -> Any:
    return MigrationRecorder(connections[alias]).applied_migrations()


def _made_by_migrate() -> list[type[models.Model]]:
    return [apps.get_model("auth", "Permission"), apps.get_model("contenttypes", "ContentType")]
