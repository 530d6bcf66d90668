"""What the name of an attribute says about the wish of its author: which attribute of `BaseTool` is meant, if any.

A tool whose author asks for a confirmation in words that mean nothing here would run unasked, so a name that sounds
like it is refused, even when its value says no. `approvals`, `confirmed_orders` or `confirmation_email` do not: there
something is counted, over, or sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache

CONFIRMATION = "requires_confirmation"
SETTINGS = (
    "name",
    "description",
    "parameters",
    "timeout",
    "confirm_timeout",
    "idempotent",
    "sequential",
    "max_observe",
)
"""The attributes of `BaseTool` without those about confirmations."""

_CONSENT = frozenset({"approve", "approval", "confirm", "confirmation", "consent", "hitl"})
"""A yes or no that is wanted; not `approvals` or `confirmed`."""
_DEMANDS = frozenset({"require", "requires", "required", "need", "needs", "needed", "must", "should", "ask", "asks"})
_ASKED = frozenset({"permission", "authorization", "authorisation", "human", "review", "acknowledgement", "signoff"})
"""What is a consent where it is demanded."""
_AROUND = _DEMANDS | {
    *("always", "never", "auto", "automatic", "manual", "manually", "explicit", "explicitly", "mandatory", "only"),
    *(
        "before",
        "first",
        "prior",
        "pre",
        "until",
        "when",
        "on",
        "for",
        "to",
        "by",
        "in",
        "the",
        "with",
        "without",
        "no",
    ),
    *("user", "human", "person", "safety", "admin", "operator", "tool", "run", "running", "call", "calling", "execute"),
    *("execution", "use", "using", "invoke", "action", "is", "has", "get", "request", "requests", "wait", "skip"),
    *("mode", "policy", "rule", "level", "type", "kind", "flag", "gate", "strategy", "config", "settings", "options"),
    *("function", "func", "fn", "callback", "handler", "hook", "check", "enabled", "enable", "default", "not", "want"),
}
"""What stands beside a word of consent in a wish to be asked."""
_QUESTION = frozenset({"message", "prompt", "question", "text"})
_OTHER_WISHES = frozenset(
    {
        *("humanintheloop", "humaninloop", "humaninput", "humanfeedback", "humanreview", "askhuman", "askuser"),
        *(
            "askfirst",
            "alwaysask",
            "askbefore",
            "askbeforerun",
            "askbeforecall",
            "askbeforeexecution",
            "askbeforeuse",
            "promptuser",
            "interruptbefore",
        ),
        *("interruptafter", "interrupton", "interruptconfig", "dangerous", "destructive", "destructivehint"),
        *("unsafe", "sensitive", "irreversible", "autorun", "autoexecute"),
    }
)
_TIMES = frozenset({"timeout", "time", "out", "seconds", "deadline"})


@lru_cache(maxsize=4096)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case: of `needsApproval` and `needs_approval` alike."""
    return tuple(word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name))


@lru_cache(maxsize=4096)
def meant_confirmation(name: str) -> str | None:
    """The attribute that a wish to be asked first belongs to, where `name` is such a wish in other words."""
    words = words_of(name)
    found = set(words)
    joined = "".join(words).removeprefix("is")
    consent = found & _CONSENT
    if consent and found & _TIMES and not found - _CONSENT - _TIMES - _AROUND:
        return "confirm_timeout"
    if consent and not found - _CONSENT - _AROUND:
        return CONFIRMATION
    if consent and found & _QUESTION and "confirmation" not in found and not found - consent - _QUESTION - _AROUND:
        return CONFIRMATION
    if found & _DEMANDS and found & _ASKED and not found - _ASKED - _AROUND:
        return CONFIRMATION
    if joined in _OTHER_WISHES or _is_like(joined, ("requiresconfirmation", "userconfirm", "needsconfirmation")):
        return CONFIRMATION
    return None


def meant_setting(name: str) -> tuple[str, bool] | None:
    """The other attribute of `BaseTool` that `name` is close to, and whether it is only spelt in another way."""
    if not (joined := "".join(words_of(name))):
        return None
    joined = joined.removeprefix("is")
    by_letters = {"".join(words_of(known)): known for known in SETTINGS}
    if joined in by_letters:
        return by_letters[joined], True
    close = get_close_matches(joined, by_letters, n=1, cutoff=0.86)
    return (by_letters[close[0]], False) if close else None


def _is_like(joined: str, known: Iterable[str]) -> bool:
    return bool(get_close_matches(joined, list(known), n=1, cutoff=0.86))
