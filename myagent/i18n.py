"""Words for people in the server's language. English is the source; `myagent/locale` holds the rest.

The library must not need Django, so this is the standard library's gettext; Django reads the same catalogue through
`LOCALE_PATHS`.
"""

from __future__ import annotations

import gettext as _gettext
from functools import lru_cache
from pathlib import Path

LOCALE_DIR = Path(__file__).parent / "locale"
LANGUAGES = ("zh-hans", "en")
DEFAULT_LANGUAGE = "zh-hans"

_language = DEFAULT_LANGUAGE


def use_language(code: str) -> None:
    """Choose the language of this process; `code` is one of `LANGUAGES`. Raises `ValueError` for another."""
    global _language
    if code not in LANGUAGES:
        raise ValueError(f"{code!r} is not a language of MyAgent. Choose one of {', '.join(LANGUAGES)}.")
    _language = code


@lru_cache
def _catalogue(code: str) -> _gettext.NullTranslations:
    if code == "en":
        return _gettext.NullTranslations()
    return _gettext.translation("django", LOCALE_DIR, languages=["zh_Hans"])


def gettext(message: str) -> str:
    """`message` in this process's language."""
    return _catalogue(_language).gettext(message)


def ngettext(singular: str, plural: str, count: int) -> str:
    """One of the two in this process's language, as `count` wants it."""
    return _catalogue(_language).ngettext(singular, plural, count)


def gettext_noop(message: str) -> str:
    """`message` as it is: marks a text for the catalogue that is looked up elsewhere."""
    return message


def ngettext_noop(singular: str, plural: str) -> tuple[str, str]:
    """The same for a text that depends on a number."""
    return singular, plural
