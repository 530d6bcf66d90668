"""Finds out whether a tool call has changed the session's state, which is stored as JSON, and what in it is no JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from myagent.i18n import gettext as _
from myagent.text import clean_json

Snapshot = bytes | str
"""The state as JSON; or, where that cannot be, as a text to compare it by, which is empty when there is none."""

_DEEPEST = 100
_BIGGEST = 2**63
_PLAIN = {
    "date": "value.isoformat()",
    "datetime": "value.isoformat()",
    "time": "value.isoformat()",
    "timedelta": "value.total_seconds()",
    "tuple": "list(value)",
    "set": "sorted(value)",
    "frozenset": "sorted(value)",
    "bytes": "value.decode()",
    "dict_keys": "list(value)",
    "dict_values": "list(value)",
    "ndarray": "value.tolist()",
    "Decimal": "str(value)",
    "UUID": "str(value)",
    "PosixPath": "str(value)",
    "WindowsPath": "str(value)",
}
"""What to store in place of a value, by the name of its class."""


def snapshot(state: dict[str, Any]) -> Snapshot:
    """`state` as it is now, for `changed`."""
    try:
        if _flaw(state, "state", 0) is None:
            return orjson.dumps(state, option=orjson.OPT_SORT_KEYS)
        return repr(state)
    except Exception:  # noqa: BLE001 - of the author's objects, or while another tool changes it
        return ""


def changed(state: dict[str, Any], before: Snapshot) -> tuple[dict[str, Any] | None, str | None]:
    """The state to store after a call, None when it did not change, and why it cannot be stored, if so."""
    after = snapshot(state)
    if after == before and after:
        return None, None
    if not isinstance(after, bytes):
        flaw = _flaw(state, "state", 0) or _("it changes while it is read")
        words = _("The session's state takes what JSON takes, so it was not kept: %(flaw)s.")
        return None, words % {"flaw": flaw}
    kept: dict[str, Any] = orjson.loads(clean_json(after.decode()))
    return kept, None


def _flaw(value: Any, place: str, depth: int) -> str | None:
    """What in `value` JSON cannot hold as it is, with its place; None when all can be."""
    if depth > _DEEPEST:
        return _("%(place)s is nested too deeply, or holds itself") % {"place": f"{place[:40]}…"}
    match value:
        case None | bool() | str():
            return None
        case int() if -_BIGGEST <= value < 2 * _BIGGEST:
            return None
        case float() if type(value) is float and math.isfinite(value):
            return None
        case dict():
            for key, item in list(value.items()):
                if not isinstance(key, str):
                    return _("%(place)s has the key %(key).40r, which is no text") % {"place": place, "key": key}
                if (found := _flaw(item, f"{place}[{json.dumps(key, ensure_ascii=False)}]", depth + 1)) is not None:
                    return found
            return None
        case list():
            items = enumerate(list(value))
            return next((found for at, item in items if (found := _flaw(item, f"{place}[{at}]", depth + 1))), None)
    return _unfit(value, place)


def _unfit(value: Any, place: str) -> str:
    if isinstance(value, int | float):
        words = _("%(place)s is the number %(value).40r, which cannot be stored")
        return words % {"place": place, "value": value}
    kind = type(value).__name__
    words = _("%(place)s is of the class %(kind)s")
    if (plain := _PLAIN.get(kind)) is not None:
        words = _("%(place)s is of the class %(kind)s; store %(plain)s")
    return words % {"place": place, "kind": kind, "plain": plain}
