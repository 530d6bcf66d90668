"""What the clients of the fault suite share: the sessions, who follows which, and what the servers have promised."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from random import Random

MESSAGES_PER_SESSION = 10
FOLLOWERS = 3


@dataclass(slots=True)
class Talk:
    """One session: the clients that follow it, and how many messages it was sent."""

    session_id: str
    followers: frozenset[str]
    said: int = 0
    runs: set[str] = field(default_factory=set)

    @property
    def is_full(self) -> bool:
        """Whether nothing more is said in it."""
        return self.said >= MESSAGES_PER_SESSION


class Conversations:
    """All sessions of a round; its clients are known by name."""

    def __init__(self, names: list[str], random: Random) -> None:
        self.talks: dict[str, Talk] = {}
        self.run_of: dict[str, str] = {}
        """The run of each accepted message, by the message's token."""
        self.session_of: dict[str, str] = {}
        """The session of each accepted message, by the message's token."""
        self.answers: dict[str, list[bool]] = defaultdict(list)
        """What clients tried to answer to each confirmation."""
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self.is_settling = False
        """While it is set nobody says anything new."""
        self._names = names
        self._random = random

    def add(self, session_id: str, creator: str) -> None:
        """A client has created a session; some others follow it."""
        others = self._random.sample([name for name in self._names if name != creator], FOLLOWERS - 1)
        self.talks[session_id] = Talk(session_id, frozenset({creator, *others}))

    def followed(self, name: str) -> list[Talk]:
        """The sessions that a client follows."""
        return [talk for talk in self.talks.values() if name in talk.followers]

    def accept(self, token: str, session_id: str, run_id: str, *, is_duplicate: bool) -> None:
        """A server has accepted a message."""
        first = self.run_of.setdefault(token, run_id)
        if first != run_id:
            self.problems.append(f"message {token} (session {session_id}) has the runs {first} and {run_id}")
        self.session_of[token] = session_id
        self.talks[session_id].runs.add(run_id)
        self.counts["messages accepted again" if is_duplicate else "messages accepted"] += 1
