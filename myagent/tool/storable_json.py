"""JSON that every encoder and database in use accepts."""

from __future__ import annotations

import math
from typing import Any

from myagent.text import clean

BIGGEST_INT = 2**63 - 1


def plain(value: Any) -> Any:
    """`value` (JSON in Python's types) with clean text and without numbers that cannot be stored.

    NaN, the infinities and integers beyond 64 bits become text: orjson and PostgreSQL's jsonb refuse them.
    """
    match value:
        case str():
            return clean(value)
        case dict():
            return {clean(str(key)): plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case float() if not math.isfinite(value):
            return str(value)
        case int() if abs(value) > BIGGEST_INT:
            return str(value)
    return value
