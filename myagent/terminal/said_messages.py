"""What was said in a session, and from where it can be forked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from myagent.client import ServerFrame
from myagent.i18n import gettext as _
from myagent.protocol import server_events as events


@dataclass(frozen=True, slots=True)
class SaidMessage:
    """A message of the user, by the id that a fork names it with."""

    id: str
    text: str


class SaidMessages:
    """The messages of one session. `take` every frame of it, and `add` what was said here: that is not sent back."""

    def __init__(self) -> None:
        self.last_seq = 0
        """The last event that is known."""
        self._texts: dict[str, str] = {}

    def take(self, frame: ServerFrame) -> None:
        if frame.seq is None:
            return
        self.last_seq = max(self.last_seq, frame.seq)
        match event := frame.typed():
            case events.UserSaid():
                self.add(event.metadata.message_id, said_text(event.content))

    def add(self, message_id: str, text: str) -> None:
        self._texts.setdefault(message_id, text)

    def newest_first(self) -> list[SaidMessage]:
        """All of them; the first one was said last."""
        return [SaidMessage(message_id, text) for message_id, text in reversed(self._texts.items())]


def said_text(content: str | list[dict[str, Any]]) -> str:
    """What a user said, with a word in place of each picture, and the name of each file."""
    if isinstance(content, str):
        return content
    return " ".join(filter(None, map(_part_text, content)))


def _part_text(part: dict[str, Any]) -> str:
    if part.get("type") == "text":
        return str(part.get("text") or "")
    facts = part.get("file")
    return f"[{facts['name']}]" if isinstance(facts, dict) and facts.get("name") else _("[picture]")
