"""Translation of texts for people into the server's language. English is the source; `myagent/locale` has the others.

The library must not need Django, so this is the standard library's gettext; Django reads the same catalogue through
`LOCALE_PATHS`.
"""

from __future__ import annotations

import gettext as _gettext
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

LOCALE_DIR = Path(__file__).parent / "locale"
LANGUAGES = ("zh-hans", "en")
DEFAULT_LANGUAGE = "zh-hans"

_TRADITIONAL = frozenset({"hant", "tw", "hk", "mo"})

_language: str | None = None
_spoken: ContextVar[str | None] = ContextVar("myagent_language", default=None)
"""The language that one connection asked for, where that is another one than the process's."""


def find_language(name: str) -> str | None:
    """The one of `LANGUAGES` that a name such as zh, zh-CN, zh_CN.UTF-8 or en-US means; None if there is none."""
    main, *rest = re.split("[.@]", name)[0].strip().lower().replace("_", "-").split("-")
    if main == "zh" and _TRADITIONAL.isdisjoint(rest):
        return "zh-hans"
    return "en" if main == "en" else None


def use_language(name: str) -> str:
    """Choose the language of this process, by a name that `find_language` knows, and return it.

    Raises `ValueError` for another.
    """
    global _language
    code = find_language(name)
    if code is None:
        raise ValueError(f"{name!r} is not a language of MyAgent. Choose one of {', '.join(LANGUAGES)}.")
    _language = code
    return code


@contextmanager
def speaking(name: str | None) -> Iterator[None]:
    """Within it texts are in this language, whatever that of the process is; None for that of the process."""
    token = _spoken.set(name)
    try:
        yield
    finally:
        _spoken.reset(token)


def speak(name: str | None) -> None:
    """The same for what follows in this task."""
    _spoken.set(name)


def language() -> str:
    """The language that is spoken here, else that of this process: the one that was chosen, else, for agents without a
    server, the one that `MYAGENT_LANGUAGE` names.
    """
    global _language
    if (spoken := _spoken.get()) is not None:
        return spoken
    if _language is None:
        _language = find_language(os.environ.get("MYAGENT_LANGUAGE", "")) or DEFAULT_LANGUAGE
    return _language


@lru_cache
def _catalogue(code: str) -> _gettext.NullTranslations:
    if code == "en":
        return _gettext.NullTranslations()
    return _gettext.translation("django", LOCALE_DIR, languages=["zh_Hans"])


def gettext(message: str) -> str:
    """`message` in the language that is spoken here."""
    return _catalogue(language()).gettext(message)


def ngettext(singular: str, plural: str, count: int) -> str:
    """The form for `count`, likewise."""
    return _catalogue(language()).ngettext(singular, plural, count)


def gettext_noop(message: str) -> str:
    """`message` as it is: marks a text for the catalogue that is looked up elsewhere."""
    return message
