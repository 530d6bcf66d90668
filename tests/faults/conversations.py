"""What the clients of the fault suite share: the sessions, who follows which, and what the servers have promised."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import Any

MESSAGES_PER_SESSION = 10
FOLLOWERS = 3


@dataclass(slots=True)
class Talk:
    """One session: the clients that follow it, and what was done to it."""

    session_id: str
    followers: frozenset[str]
    said: int = 0
    runs: set[str] = field(default_factory=set)
    titles: list[str] = field(default_factory=list)
    """Those that clients tried to give it."""
    may_be_closed: bool = False
    """Whether a client has tried to close it."""
    may_be_deleted: bool = False
    """Whether a client has tried to delete it."""
    is_deleted: bool = False
    """Whether a server has said that it is gone."""

    @property
    def is_full(self) -> bool:
        """Whether nothing more is said in it."""
        return self.said >= MESSAGES_PER_SESSION or self.may_be_closed or self.may_be_deleted


@dataclass(frozen=True, slots=True)
class State:
    """A session as a server has exported it."""

    session_id: str
    sealed: dict[str, str]

    @property
    def content(self) -> dict[str, Any]:
        """What is in it; nothing of that is secret."""
        content: dict[str, Any] = json.loads(self.sealed["state"])
        return content


class Conversations:
    """All sessions of a round; its clients are known by name."""

    def __init__(self, names: list[str], random: Random) -> None:
        self.talks: dict[str, Talk] = {}
        self.run_of: dict[str, str] = {}
        """The run of each accepted message, by the message's token."""
        self.session_of: dict[str, str] = {}
        """The session of each message, by its token, whether a server has accepted it or not."""
        self.answers: dict[str, list[bool]] = defaultdict(list)
        """What clients tried to answer to each confirmation."""
        self.states: list[State] = []
        self.copies: dict[str, State] = {}
        """What each session began with that was made from the state of a deleted one."""
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self.is_settling = False
        """While it is set nobody says anything new."""
        self._names = names
        self._random = random

    def add(self, session_id: str, creator: str) -> Talk:
        """A client has created a session; some others follow it."""
        others = self._random.sample([name for name in self._names if name != creator], FOLLOWERS - 1)
        talk = self.talks[session_id] = Talk(session_id, frozenset({creator, *others}))
        return talk

    def followed(self, name: str) -> list[Talk]:
        """The sessions that a client follows."""
        return [talk for talk in self.talks.values() if name in talk.followers and not talk.is_deleted]

    def accept(self, token: str, run_id: str, *, is_duplicate: bool) -> None:
        """A server has accepted a message."""
        session_id = self.session_of[token]
        first = self.run_of.setdefault(token, run_id)
        if first != run_id:
            self.problems.append(f"message {token} (session {session_id}) has the runs {first} and {run_id}")
        self.talks[session_id].runs.add(run_id)
        self.counts["messages accepted again" if is_duplicate else "messages accepted"] += 1

    def deleted(self, session_id: str) -> None:
        """A server has said that a session is gone."""
        talk = self.talks[session_id]
        if not talk.may_be_deleted:
            self.problems.append(f"session {session_id} is gone, and nobody wanted that")
        talk.is_deleted = True

    def is_excused(self, session_id: str) -> bool:
        """Whether a session need not be there any more."""
        return session_id in self.talks and self.talks[session_id].may_be_deleted
