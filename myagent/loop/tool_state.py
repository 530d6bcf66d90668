"""Finds out whether a tool call has changed the session's state, which is stored as JSON."""

from __future__ import annotations

from typing import Any

import orjson

from myagent.i18n import gettext as _
from myagent.text import clean_json

_NOT_JSON = b""


def snapshot(state: dict[str, Any]) -> bytes:
    """`state` as it is now, for `changed`."""
    try:
        return orjson.dumps(state, option=orjson.OPT_SORT_KEYS)
    except (TypeError, RuntimeError):
        # Not JSON, or being changed by another tool at this moment.
        return _NOT_JSON


def changed(state: dict[str, Any], before: bytes) -> tuple[dict[str, Any] | None, str | None]:
    """The state to store after a call, None when it did not change, and why it cannot be stored, if so."""
    after = snapshot(state)
    if after == before:
        return None, None
    if after == _NOT_JSON:
        return None, _("The tool left something in the session's state that is not JSON, so it was not kept.")
    kept: dict[str, Any] = orjson.loads(clean_json(after.decode()))
    return kept, None
