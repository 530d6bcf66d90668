"""Finding a session by the beginning of its id, as logs and lists print it."""

from __future__ import annotations

from collections.abc import Iterable

from myagent.client import Client, SessionInfo
from myagent.exceptions import MyAgentError
from myagent.i18n import gettext as _

PAGE = 100
_WHOLE = len("0b6d7b1c-5b5e-4e0c-9c39-6a1f4f6f0a01")


class AmbiguousSession(MyAgentError):
    """Several sessions have an id that begins like this."""

    code = "ambiguous_session"

    def __init__(self, beginning: str) -> None:
        self.beginning = beginning
        words = _("More than one session begins with %(beginning)s. Write more of the id.")
        super().__init__(words % {"beginning": beginning})


def is_beginning(text: str) -> bool:
    """Whether `text` may be the beginning of an id, and not all of it."""
    return 0 < len(text) < _WHOLE and set(text.lower()) <= set("0123456789abcdef-")


def pick_session(sessions: Iterable[SessionInfo], beginning: str) -> SessionInfo | None:
    """The one of these whose id begins like this, or None. Raises `AmbiguousSession`."""
    found = [session for session in sessions if session.session_id.startswith(beginning.lower())]
    if len(found) > 1:
        raise AmbiguousSession(beginning)
    return found[0] if found else None


async def find_session(client: Client, beginning: str) -> SessionInfo | None:
    """The same among all sessions of the user."""
    found: list[SessionInfo] = []
    page = await client.list_sessions(limit=PAGE)
    while True:
        found += page.sessions
        one = pick_session(found, beginning)
        if page.next is None:
            return one
        found = [one] if one is not None else []
        page = await client.list_sessions(before=page.next, limit=PAGE)
