"""Whether a key can check the tokens of a single sign-on."""

from __future__ import annotations

import jwt

from myagent.i18n import gettext as _


def key_problem(key: str, algorithm: str) -> str | None:
    """What is wrong with a key for this algorithm; None when nothing is."""
    if algorithm.startswith("HS"):
        shortest = int(algorithm[2:]) // 8
        if len(key.encode()) < shortest:
            return _("holds a secret of fewer than %(count)d bytes, which can be guessed.") % {"count": shortest}
    elif "PRIVATE KEY" in key:
        return _("holds a private key. This server needs the public one only.")
    try:
        jwt.get_algorithm_by_name(algorithm).prepare_key(key)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        return _("holds what is no key for %(algorithm)s (%(error)s).") % {"algorithm": algorithm, "error": error}
    return None
