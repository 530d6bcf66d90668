"""What can be asked of a server about sessions, over whatever kind of connection."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from myagent.client.frames import ServerFrame
from myagent.client.wire import Content, read
from myagent.protocol.client_fields import ClientEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """One session in a list. `run_status` is `idle` or that of its newest run; times are ISO 8601 in UTC.

    `failed` tells that its newest run ended with an error, `read_seq` up to where its user has read it. `forked_from`
    names the session that it continues, and `message_id` or `seq`, where it leaves that one. Forks of one session, and
    forks of these, have the same `family_id`, which is the `session_id` of that one. In a list of families `family` has
    the `size` of one that has more than this session, how many of them are `unread`, and the `run_status` of all.
    """

    session_id: str
    agent: str
    title: str = ""
    status: str = "open"
    last_seq: int = 0
    read_seq: int = 0
    run_status: str = "idle"
    failed: bool = False
    forked_from: Mapping[str, Any] | None = None
    family_id: str | None = None
    family: Mapping[str, Any] | None = None
    created_at: str = ""
    active_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPage:
    """Some of the caller's sessions, newest first; `next` is the `before` of the page behind it, None on the last."""

    sessions: tuple[SessionInfo, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedState:
    """A session to keep outside of the server; `signed_state` is to be handed back as it is."""

    signed_state: dict[str, Any]
    message_count: int
    current_step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredSession:
    """The session in which an exported conversation goes on; `warnings` are sentences for people."""

    session_id: str
    original_session_id: str
    message_count: int
    restored_step: int
    agent_name: str
    warnings: tuple[str, ...]


class SessionRequests(ABC):
    """Requests about sessions. All raise `RequestRefused`, and `ConnectionLost` when there is no connection."""

    @abstractmethod
    async def request(
        self, event: ClientEvent | Mapping[str, Any], *, answered_by: Callable[[ServerFrame], bool] | None = None
    ) -> ServerFrame:
        """Send an event and return the server's reply to it, or the first frame that `answered_by` takes for one."""

    async def create_session(
        self, agent: str | None = None, *, title: str = "", metadata: Mapping[str, Any] | None = None
    ) -> str:
        """Begin a conversation and return its id; `agent` None is the default one."""
        content = {"agent": agent, "title": title, "metadata": dict(metadata or {})}
        return str((await self.request({"event": "user.create_session", "content": content})).session_id)

    async def list_sessions(
        self,
        *,
        agent: str | None = None,
        query: str | None = None,
        families: bool = False,
        family_id: str | None = None,
        before: str | None = None,
        limit: int = 20,
    ) -> SessionPage:
        """One's own sessions, the most recently active first; `query` is words of their titles or messages.

        A family is a session with its forks and theirs: `families` lists the newest session of each, `family_id` those
        of one.
        """
        wanted = {
            "agent": agent,
            "query": query,
            "families": families or None,
            "family_id": family_id,
            "before": before,
            "limit": limit,
        }
        content = {key: value for key, value in wanted.items() if value is not None}
        known = (await self.request({"event": "user.list_sessions", "content": content})).metadata
        return SessionPage(sessions=tuple(read(SessionInfo, row) for row in known["sessions"]), next=known.get("next"))

    async def update_session(
        self, session_id: str, *, title: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Change the title, the metadata or both; what is given replaces what was there."""
        content = {"title": title, "metadata": metadata}
        content = {key: value for key, value in content.items() if value is not None}
        event = {"event": "user.update_session", "session_id": session_id, "content": content}
        await self.request(event, answered_by=_is("agent.session_updated", session_id))

    async def fork(
        self, session_id: str, *, before: str | None = None, at: int | None = None, content: Content | None = None
    ) -> str:
        """Continue a conversation in a new session, and return its id.

        `before` names a message: it is said again, or `content` in its place, after all that came before it. `at` is
        the `seq` of an event: what had been finished up to there is taken over, and nothing is said. What was taken
        over is not sent; the events of a run that begins are.
        """
        wanted = {"before": before, "at": at, "content": content}
        given = {key: value for key, value in wanted.items() if value is not None}
        return str((await self.request({"event": "user.fork", "session_id": session_id, **given})).session_id)

    async def rate(self, session_id: str, run_id: str, rating: Literal["up", "down"] | None, comment: str = "") -> None:
        """Say what the user thinks of the answer of a run that has ended; the newest counts, None takes it back."""
        content = {"run_id": run_id, "rating": rating, "comment": comment}
        event = {"event": "user.feedback", "session_id": session_id, "content": content}
        rated = _is("user.feedback", session_id)
        await self.request(event, answered_by=lambda frame: rated(frame) and frame.content["run_id"] == run_id)

    async def close_session(self, session_id: str) -> None:
        """End a conversation: nothing more can be said in it, everything stays readable."""
        event = {"event": "user.close_session", "session_id": session_id}
        await self.request(event, answered_by=_is("agent.session_end", session_id))

    async def delete_session(self, session_id: str) -> None:
        """Delete a conversation and all that is stored of it."""
        event = {"event": "user.delete_session", "session_id": session_id}
        await self.request(event, answered_by=_is("agent.session_deleted", session_id))

    async def export_state(self, session_id: str) -> ExportedState:
        """The session in a form to keep, for `restore` within 7 days, here or at another server of the same secret."""
        reply = await self.request({"event": "user.request_state", "session_id": session_id})
        return read(ExportedState, reply.metadata)

    async def restore(self, signed_state: Mapping[str, Any], *, last_seq: int = 0) -> RestoredSession:
        """Go on from an exported state, in the same session where that is here, else in a new one that is like it.

        The events behind `last_seq`, of a new session all, are sent again, as by a reconnect. Where the session is not
        here each restore makes a new one, also one that is repeated because its answer was lost.
        """
        content = {"signed_state": dict(signed_state), "last_seq": last_seq}
        reply = await self.request({"event": "user.reconnect_with_state", "content": content})
        warnings = tuple(reply.metadata.get("warnings", ()))
        return read(RestoredSession, reply.metadata, session_id=reply.session_id, warnings=warnings)


def _is(event: str, session_id: str) -> Callable[[ServerFrame], bool]:
    return lambda frame: frame.event == event and frame.session_id == session_id
