"""What the limits of a run are called, for people."""

from __future__ import annotations

from myagent.i18n import gettext as _
from myagent.i18n import gettext_noop

_NAMES = {
    "max_steps": gettext_noop("steps"),
    "max_tokens": gettext_noop("model tokens"),
    "max_tool_calls": gettext_noop("tool calls"),
    "max_seconds": gettext_noop("time"),
    "repeat_limit": gettext_noop("equal tool calls"),
}


def name_of_limit(which: str) -> str:
    """The name of a limit, in the language of whoever is told; one of a later version has only that of its option."""
    return _(_NAMES[which]) if which in _NAMES else which
