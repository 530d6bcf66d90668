"""Translation of texts for people into the server's language. English is the source; `myagent/locale` has the others.

The library must not need Django, so this is the standard library's gettext; Django reads the same catalogue through
`LOCALE_PATHS`.
"""

from __future__ import annotations

import gettext as _gettext
import os
import re
from functools import lru_cache
from pathlib import Path

LOCALE_DIR = Path(__file__).parent / "locale"
LANGUAGES = ("zh-hans", "en")
DEFAULT_LANGUAGE = "zh-hans"

_TRADITIONAL = frozenset({"hant", "tw", "hk", "mo"})

_language: str | None = None


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


def language() -> str:
    """The language of this process: the one that was chosen, else, for agents without a server, the one that
    `MYAGENT_LANGUAGE` names.
    """
    global _language
    if _language is None:
        _language = find_language(os.environ.get("MYAGENT_LANGUAGE", "")) or DEFAULT_LANGUAGE
    return _language


@lru_cache
def _catalogue(code: str) -> _gettext.NullTranslations:
    if code == "en":
        return _gettext.NullTranslations()
    return _gettext.translation("django", LOCALE_DIR, languages=["zh_Hans"])


def gettext(message: str) -> str:
    """`message` in this process's language."""
    return _catalogue(language()).gettext(message)


def ngettext(singular: str, plural: str, count: int) -> str:
    """The form for `count`, in the language of this process."""
    return _catalogue(language()).ngettext(singular, plural, count)


def gettext_noop(message: str) -> str:
    """`message` as it is: marks a text for the catalogue that is looked up elsewhere."""
    return message
