"""Locking and writing many rows of one table with one statement, for the journal's hot path.

Django's `bulk_create` and `bulk_update` build a model instance and an SQL expression for every value, and a QuerySet
compiles its statement each time, which takes several times as long as the database itself does for rows as small as
these. Values still go through the model's fields.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from django.db import connection, models

Columns = dict[str, Any]
_Convert = Callable[[Any], Any]

# All other fields of these models are text and numbers, which need no conversion.
_CONVERTED = (models.UUIDField, models.DateTimeField, models.JSONField, models.ForeignKey)


def insert_rows(model: type[models.Model], rows: Iterable[Columns]) -> None:
    """Insert `rows`, given by the attribute names of the fields; the others have their defaults."""
    table = _statements(model, connection.vendor)
    defaults = table.defaults
    values = [
        [convert(row[name] if name in row else defaults[name]()) for name, convert in table.columns] for row in rows
    ]
    insert_values(model, tuple(name for name, _ in table.columns), values)


def insert_values(model: type[models.Model], names: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows of values that need no conversion, or have been through `to_database`."""
    table = _statements(model, connection.vendor)
    with connection.cursor() as cursor:
        # One statement with the values of all rows takes SQLite twice as long.
        cursor.executemany(table.insert(names), rows)


def update_rows(model: type[models.Model], changes: Mapping[Any, Columns]) -> None:
    """Set columns of the rows with these primary keys."""
    table = _statements(model, connection.vendor)
    converters, convert_key = table.converters, table.convert_key
    groups: dict[tuple[str, ...], list[list[Any]]] = defaultdict(list)
    for pk, columns in changes.items():
        names = tuple(sorted(columns))
        groups[names].append([*(converters[name](columns[name]) for name in names), convert_key(pk)])
    with connection.cursor() as cursor:
        for names, parameters in groups.items():
            cursor.executemany(table.update(names), parameters)


def to_database(model: type[models.Model], name: str, value: Any) -> Any:
    """A value of this column as the database's driver takes it."""
    return _statements(model, connection.vendor).converters[name](value)


def lock_rows(
    model: type[models.Model],
    names: Sequence[str],
    where: Mapping[str, Collection[Any]],
    *,
    skip_locked: bool = False,
) -> list[list[Any]]:
    """Read and lock, in the order of their keys, the rows whose columns have one of the values in `where`.

    With `skip_locked`, without those that another transaction has locked.
    """
    if not all(where.values()):
        return []
    table = _statements(model, connection.vendor)
    converters = table.converters
    parameters = [converters[name](value) for name, values in where.items() for value in values]
    statement = table.select(tuple(names), tuple((name, len(values)) for name, values in where.items()))
    if skip_locked and connection.features.has_select_for_update_skip_locked:
        statement += " SKIP LOCKED"
    readers = table.readers(tuple(names))
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [[read(value) for read, value in zip(readers, row, strict=True)] for row in cursor.fetchall()]


class _Statements:
    """The SQL for one model's table on one kind of database, and how its values are converted."""

    def __init__(self, model: type[models.Model]) -> None:
        quote: Callable[[str], str] = connection.ops.quote_name
        fields: list[Any] = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
        self._name = quote(model._meta.db_table)
        self._key: Any = model._meta.pk
        self._column = {field.attname: quote(str(field.column)) for field in model._meta.concrete_fields}
        self.converters: dict[str, _Convert] = {field.attname: _converter(field) for field in fields}
        self.converters |= {field.name: self.converters[field.attname] for field in fields}
        self.columns = [(field.attname, self.converters[field.attname]) for field in fields]
        self.defaults: dict[str, Callable[[], Any]] = {field.attname: field.get_default for field in fields}
        self.convert_key = _converter(self._key)
        self._readers = {field.attname: _reader(field) for field in fields}

    def insert(self, names: tuple[str, ...]) -> str:
        columns = ", ".join(self._column[name] for name in names)
        return f"INSERT INTO {self._name} ({columns}) VALUES ({', '.join(['%s'] * len(names))})"

    def select(self, names: tuple[str, ...], where: tuple[tuple[str, int], ...]) -> str:
        columns = ", ".join(self._column[name] for name in names)
        conditions = " AND ".join(f"{self._column[name]} IN ({', '.join(['%s'] * count)})" for name, count in where)
        lock = " FOR UPDATE" if connection.features.has_select_for_update else ""
        key = self._column[self._key.attname]
        return f"SELECT {columns} FROM {self._name} WHERE {conditions} ORDER BY {key}{lock}"

    def readers(self, names: tuple[str, ...]) -> tuple[_Convert, ...]:
        return tuple(self._readers[name] for name in names)

    def update(self, names: tuple[str, ...]) -> str:
        assignments = ", ".join(f"{self._column[name]} = %s" for name in names)
        return f"UPDATE {self._name} SET {assignments} WHERE {self._column[self._key.attname]} = %s"


@cache
def _statements(model: type[models.Model], vendor: str) -> _Statements:
    return _Statements(model)


def _converter(field: Any) -> _Convert:
    if field.choices:
        return _word
    if not isinstance(field, _CONVERTED):
        return _unchanged

    def convert(value: Any) -> Any:
        return field.get_db_prep_save(value, connection)

    if isinstance(getattr(field, "target_field", field), models.UUIDField) and connection.vendor == "sqlite":
        return _hex  # to look it up would cost as much
    # Many rows of a batch have the same ids and times. JSON is not hashable, and seldom the same.
    return convert if isinstance(field, models.JSONField) else lru_cache(maxsize=1024)(convert)


def _reader(field: Any) -> _Convert:
    # Not `field.cached_col`, so that a foreign key is read as the key that it refers to.
    column = field.get_col(field.model._meta.db_table)
    converters = [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)]
    if not converters:
        return _unchanged

    def read(value: Any) -> Any:
        for convert in converters:
            value = convert(value, column, connection)
        return value

    return lru_cache(maxsize=1024)(read)


def _word(value: Any) -> str | None:
    """A member of an enumeration as the text that it is."""
    return None if value is None else str(value)


def _hex(value: uuid.UUID | None) -> str | None:
    return None if value is None else value.hex


def _unchanged(value: Any) -> Any:
    return value
