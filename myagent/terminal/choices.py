"""Answers to a confirmation, as people type them, and arguments that they have changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import orjson

from myagent.i18n import gettext as _

_YES = frozenset({"y", "yes", "ok", "是", "好", "可以", "同意"})
_NO = frozenset({"n", "no", "否", "不", "不要", "拒绝"})
_EDIT = frozenset({"e", "edit", "改", "修改", "编辑"})


@dataclass(frozen=True, slots=True)
class Yes:
    """The tool may run."""


@dataclass(frozen=True, slots=True)
class No:
    """The tool may not run, for this reason if one was given."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """The arguments are to be changed first."""


def read_choice(text: str) -> Yes | No | Edit | None:
    """What was typed, None when it is not clear: silence and slips are no consent."""
    word, _space, rest = text.strip().partition(" ")
    word = word.rstrip(",，:：.。").lower()
    if word in _NO:
        return No(rest.strip())
    if rest.strip():
        return None
    if word in _YES:
        return Yes()
    return Edit() if word in _EDIT else None


class BadArguments(ValueError):
    """What was edited cannot be the arguments of a call."""


def write_arguments(arguments: dict[str, Any]) -> str:
    """Arguments as text to edit."""
    return json.dumps(arguments, ensure_ascii=False, indent=2)


def read_arguments(text: str) -> dict[str, Any]:
    """Arguments from edited text. Raises `BadArguments`, which says where the mistake is."""
    try:
        arguments = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        words = _("This is not JSON: %(problem)s in line %(line)d, column %(column)d.")
        facts = {"problem": error.msg, "line": error.lineno, "column": error.colno}
        raise BadArguments(words % facts) from error
    if not isinstance(arguments, dict):
        raise BadArguments(_("The arguments have to be one JSON object: {…}."))
    return arguments
