"""Which sessions a client follows, and up to where it was sent them. Needs no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from myagent.client.frames import ServerFrame
from myagent.client.wire import new_id
from myagent.protocol.error_codes import ErrorCode


@dataclass(slots=True)
class _Followed:
    last_seq: int
    sent_on: int = 0
    """The number of the connection that follows it, from 1."""
    request_id: str = ""
    """There while everything behind `last_seq` is being sent."""
    reply: asyncio.Future[ServerFrame] | None = None
    is_stalled: bool = False


class Cursors:
    """A cursor for each session, over all connections."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Followed] = {}

    def __contains__(self, session_id: object) -> bool:
        return session_id in self._sessions

    def positions(self) -> dict[str, int]:
        """The `seq` of the last event that was received, for each session."""
        return {session_id: followed.last_seq for session_id, followed in self._sessions.items()}

    def is_replaying(self, session_id: str | None) -> bool:
        """Whether what comes of a session may be old."""
        followed = self._sessions.get(session_id or "")
        return followed is not None and bool(followed.request_id)

    def lags(self, session_id: str | None, connection: int) -> bool:
        """Whether the server could not let this connection follow a session that an earlier one has followed."""
        followed = self._sessions.get(session_id or "")
        return followed is not None and followed.is_stalled and followed.sent_on == connection

    def add(self, session_id: str, last_seq: int) -> asyncio.Future[ServerFrame]:
        """Follow a session from behind an event; the future gets the notice that ends the replay, or a refusal."""
        reply: asyncio.Future[ServerFrame] = asyncio.get_running_loop().create_future()
        self._sessions[session_id] = _Followed(last_seq, reply=reply)
        return reply

    def unsent(self, connection: int) -> Iterator[dict[str, Any]]:
        """The frames that let this connection follow what it does not yet; each is taken as sent."""
        for session_id, followed in list(self._sessions.items()):
            if followed.sent_on != connection:
                followed.sent_on, followed.request_id, followed.is_stalled = connection, new_id(), False
                metadata = {"request_id": followed.request_id}
                known = {"session_id": session_id, "last_seq": followed.last_seq}
                yield {"event": "user.reconnect", **known, "metadata": metadata}

    def take(self, frame: ServerFrame, connection: int) -> bool:
        """Move a cursor on; tells whether the frame is news. Sessions that this connection begins are followed."""
        session_id = frame.session_id
        if session_id is None:
            return True
        if frame.event in ("agent.session_created", "agent.state_restored"):
            self._sessions.setdefault(session_id, _Followed(0, sent_on=connection))
        if (followed := self._sessions.get(session_id)) is None:
            return True
        if frame.seq is not None:
            if frame.seq <= followed.last_seq:
                return False
            followed.last_seq = frame.seq
        elif frame.event == "agent.session_deleted":
            self._end(session_id, followed, frame, forget=True)
        elif followed.request_id and frame.metadata.get("request_id") == followed.request_id:
            followed.is_stalled = frame.code == ErrorCode.TRY_AGAIN and followed.reply is None
            forget = frame.is_refusal and frame.code != ErrorCode.CURSOR_AHEAD and not followed.is_stalled
            self._end(session_id, followed, frame, forget=forget)
        return True

    def _end(self, session_id: str, followed: _Followed, frame: ServerFrame, *, forget: bool) -> None:
        followed.request_id = ""
        if frame.code == ErrorCode.CURSOR_AHEAD:
            # The server was taken back to an earlier state; from its end on everything is new.
            followed.last_seq = frame.metadata["last_seq"]
        if forget:
            del self._sessions[session_id]
        if followed.reply is not None and not followed.reply.done():
            followed.reply.set_result(frame)
        followed.reply = None
