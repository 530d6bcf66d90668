"""What must hold of the sessions themselves: who is gone, who is closed, what they are called, what they began with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.faults.conversations import Conversations, State, Talk
from tests.faults.database import Row
from tests.faults.stored import Stored

OF_SESSION = ("event", "run", "message")
OF_RUN = ("toolcall", "confirmation", "span")


class SessionChecker:
    """Checks all sessions of a round."""

    def __init__(self, stored: Stored, conversations: Conversations) -> None:
        self._stored = stored
        self._conversations = conversations

    def check(self) -> Iterator[str]:
        """Everything; the problems."""
        yield from self._check_leftovers()
        for session_id, talk in self._conversations.talks.items():
            row = self._stored.sessions.get(session_id)
            if row is None:
                if not talk.may_be_deleted:
                    yield f"session {session_id} was created, and is not stored"
                continue
            if talk.is_deleted:
                yield f"session {session_id} is stored, although a server said that it was deleted"
            for words in (*self._check_log(row, talk), *self._check_beginning(row)):
                yield f"session {session_id}: {words}"
        for state in self._conversations.states:
            yield from self._check_export(state)

    def _check_leftovers(self) -> Iterator[str]:
        """Whatever is stored belongs to a session that is stored."""
        tables = self._stored.tables
        runs = {row["id"] for row in tables["run"]}
        for table in OF_SESSION:
            if lost := {row["session_id"] for row in tables[table]} - self._stored.sessions.keys():
                yield f"the table {table} has rows of the deleted sessions {lost}"
        for table in OF_RUN:
            if lost := {row["run_id"] for row in tables[table]} - runs:
                yield f"the table {table} has rows of the deleted runs {lost}"

    def _check_log(self, row: Row, talk: Talk) -> Iterator[str]:
        log = self._stored.logs[row["id"]]
        if (row["last_seq"], row["last_position"]) != (len(log), len(self._stored.history[row["id"]])):
            yield f"it has {len(log)} events and {len(self._stored.history[row['id']])} messages, the row says {row}"
        given = Counter(frame.metadata["title"] for frame in log if frame.event == "agent.session_updated")
        if strange := [title for title, count in given.items() if count > 1 or title not in talk.titles]:
            yield f"it was given the titles {strange} twice, or by nobody"
        if given and row["title"] != list(given)[-1]:
            yield f"it is called {row['title']!r}, and was called {list(given)[-1]!r} last"
        events = [frame.event for frame in log]
        is_closed = "agent.session_end" in events
        if is_closed is not (row["status"] == "closed") or (is_closed and not talk.may_be_closed):
            yield f"it is {row['status']}, the log has {events.count('agent.session_end')} ends"
        behind = events[events.index("agent.session_end") + 1 :] if is_closed else []
        if strange_events := set(behind) - {"agent.session_updated"}:
            yield f"{strange_events} came after it was closed"

    def _check_beginning(self, row: Row) -> Iterator[str]:
        """A session that was made from a state begins with the messages of the state, and no other one does."""
        state = self._conversations.copies.get(row["id"])
        found = [_comparable(message) for message in self._stored.restored.get(row["id"], ())]
        wanted = [_comparable(message) for message in state.content["messages"]] if state else []
        if state is not None and found != wanted:
            yield f"it was made from a state of session {state.session_id} with {wanted}, and begins with {found}"

    def _check_export(self, state: State) -> Iterator[str]:
        """What was exported was said, in that order; what waited then is behind what came before it in the end."""
        if state.session_id not in self._stored.sessions:
            return
        said = iter([_said(message) for message in self._stored.history[state.session_id]])
        exported = [_said(message) for message in state.content["messages"] if message["role"] != "tool"]
        if lost := [words for words in exported if words not in said]:
            yield f"session {state.session_id}: the exported messages {lost} are not in its history"


def _said(message: Row) -> tuple[str, str]:
    return message["role"], message["content"]


def _comparable(message: dict[str, Any]) -> tuple[str, str, list[str], str]:
    calls = [call["id"] for call in message["tool_calls"] or ()]
    return message["role"], message["content"], calls, message["tool_call_id"] or ""
