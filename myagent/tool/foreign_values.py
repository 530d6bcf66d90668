"""Values of other libraries that tools return: numbers, arrays and tables of numpy, pandas, polars, pyarrow and others.

They are told by what their classes can do, so nothing is imported for them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

MOST_ROWS = 10_000
"""Of an array or a table; a model reads far less."""
UNKNOWN: Any = object()
"""There is no simpler form of a value that is known."""
_NOTHING = ("NAType", "NaTType")


def simpler(value: Any) -> Any:
    """`value` in Python's own types, at its outside at least; `UNKNOWN` for what is no such value."""
    kind: Any = type(value)
    if kind.__name__ in _NOTHING:
        return None
    if kind.__module__ == "builtins":
        return UNKNOWN
    if (listing := _method(kind, "to_dicts", "to_pylist")) is not None:  # polars, pyarrow
        return _cut(value, operator.methodcaller(listing))
    if hasattr(kind, "to_dict") and hasattr(value, "columns"):
        return _cut(_with_index(value), _records)
    if hasattr(kind, "to_dict") and hasattr(kind, "to_frame"):
        return _series(value)
    if hasattr(value, "dtype") and hasattr(value, "shape") and hasattr(kind, "item"):
        if not tuple(value.shape):
            return _number(value)
        value = value.astype(str) if _is_time(value) else value
    if (listing := _method(kind, "tolist", "to_list")) is not None:
        return _cut(value, operator.methodcaller(listing))
    if hasattr(kind, "_asdict"):
        return dict(value._asdict())
    if isinstance(value, SimpleNamespace):
        return vars(value)
    fields: Any = [field.name for field in getattr(kind, "__attrs_attrs__", ())]
    fields = fields or getattr(kind, "__struct_fields__", ())
    if fields:
        return {name: getattr(value, name) for name in fields}
    says_nothing = kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__
    return value.to_dict() if says_nothing and hasattr(kind, "to_dict") else UNKNOWN


def left_out(count: int) -> str:
    """The last item of a list that is not whole."""
    return f"[… {count} more]" if count else "[… there were more]"


def _method(kind: type, *names: str) -> str | None:
    return next((name for name in names if hasattr(kind, name)), None)


def _number(value: Any) -> Any:
    if _is_time(value):
        text = str(value)
        return None if text == "NaT" else text
    item = value.item()
    # numpy.longdouble has no counterpart, and gives itself.
    return float(value) if type(item) is type(value) else item


def _is_time(value: Any) -> bool:
    """Whether it holds numpy's dates or durations, whose own conversion gives nanoseconds as numbers."""
    return getattr(value.dtype, "kind", "") in ("M", "m")


def _with_index(table: Any) -> Any:
    """A table of pandas with its index as columns, where that says something."""
    index = getattr(table, "index", None)
    if index is None or type(index).__name__ == "RangeIndex":
        return table
    try:
        return table.reset_index()
    except ValueError:  # a column has that name already
        return table


def _records(table: Any) -> list[Any]:
    return [{key: _filled(item) for key, item in row.items()} for row in table.to_dict("records")]


def _series(values: Any) -> Any:
    index = getattr(values, "index", None)
    if index is None or type(index).__name__ == "RangeIndex" or not getattr(index, "is_unique", True):
        return _cut(values, lambda rows: list(map(_filled, rows.to_list())))
    return {key: _filled(item) for key, item in values.head(MOST_ROWS).to_dict().items()}


def _filled(item: Any) -> Any:
    """What pandas has in place of nothing is no number, and null here."""
    return None if isinstance(item, float) and math.isnan(item) else item


def _cut(rows: Any, as_list: Callable[[Any], list[Any]]) -> list[Any]:
    count = len(rows) if hasattr(rows, "__len__") else 0
    if count <= MOST_ROWS:
        return as_list(rows)
    return [*as_list(rows[:MOST_ROWS]), left_out(count - MOST_ROWS)]
