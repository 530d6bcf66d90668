"""What a client has told a server and does not know yet that it arrived. Needs no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from myagent.client.errors import FrameTooLarge
from myagent.client.frames import ServerFrame
from myagent.client.wire import answers, with_request_id


@dataclass(slots=True, eq=False, kw_only=True)
class Outgoing:
    """One frame to send, over as many connections as it takes until a frame of the server settles it.

    `reply` is given the frame that settles it; without one nobody waits for it.
    """

    frame: dict[str, Any]
    size: int
    """Bytes of the frame."""
    settled_by: Callable[[ServerFrame], bool]
    reply: asyncio.Future[ServerFrame] | None = None
    attempts: int = 0
    sent_on: int = 0
    """The number of the connection on which it was sent last, from 1."""

    @property
    def own_id(self) -> str:
        """By what the log names it: the id of a message, the step of an answer; empty for all else."""
        match self.frame:
            case {"event": "user.message", "metadata": {"message_id": str(own)}}:
                return own
            case {"event": "user.response", "step_id": str(own)}:
                return own
        return ""

    @property
    def is_repeated(self) -> bool:
        """Whether nobody waits for it and it was sent before, so that a refusal says no more than that it arrived."""
        return self.reply is None and self.attempts > 1


def outgoing(
    event: Mapping[str, Any],
    settles: Callable[[ServerFrame], bool] | None,
    reply: asyncio.Future[ServerFrame] | None = None,
    *,
    max_bytes: int | None,
) -> Outgoing:
    """The event as it is to be sent, until something that bears its id or that `settles` takes for it comes back.

    What is no JSON, or is too large (`FrameTooLarge`), is raised here, and not at each connection.
    """
    frame, request_id = with_request_id(event)
    size = len(orjson.dumps(frame))
    if max_bytes is not None and size > max_bytes:
        raise FrameTooLarge(size, max_bytes)
    return Outgoing(frame=frame, size=size, settled_by=lambda answer: answers(answer, request_id, settles), reply=reply)


def shows_arrival(event: Mapping[str, Any]) -> Callable[[ServerFrame], bool] | None:
    """Tells the frames, besides a reply, that show that an event arrived or is of no use any more."""
    session_id, step_id = event.get("session_id"), event.get("step_id")

    def settles_response(frame: ServerFrame) -> bool:
        is_logged = frame.event == "user.response" and frame.step_id == step_id
        return is_logged or (frame.ends_run and frame.session_id == session_id)

    def settles_cancel(frame: ServerFrame) -> bool:
        is_idle = frame.metadata.get("action") == "replay" and frame.metadata.get("run_status") == "idle"
        return frame.session_id == session_id and (frame.event == "agent.interrupted" or is_idle)

    return {"user.response": settles_response, "user.cancel": settles_cancel}.get(event["event"])


class Outbox:
    """Keeps what was sent, in order, until it is settled."""

    def __init__(self) -> None:
        self._items: list[Outgoing] = []

    def put(self, item: Outgoing) -> None:
        """Have something sent. A cancel is for what was said before it: behind a message it is sent no more."""
        if item.frame.get("event") == "user.message":
            self._drop_cancels(item.frame.get("session_id"))
        self._items.append(item)

    def drop(self, item: Outgoing) -> None:
        """Send it no more."""
        if item in self._items:
            self._items.remove(item)

    def _drop_cancels(self, session_id: str | None) -> None:
        cancel = ("user.cancel", session_id)
        self._items = [
            item for item in self._items if (item.frame.get("event"), item.frame.get("session_id")) != cancel
        ]

    def unsent(self, connection: int) -> Iterator[dict[str, Any]]:
        """What was not sent on this connection yet, oldest first; each is taken as sent when it is handed out."""
        for item in list(self._items):
            if item in self._items and item.sent_on != connection:
                item.sent_on = connection
                item.attempts += 1
                yield item.frame

    def take(self, frame: ServerFrame) -> list[Outgoing]:
        """Let go of what this frame settles, and return it."""
        settled = [item for item in self._items if item.settled_by(frame)]
        for item in settled:
            self._items.remove(item)
            if item.reply is not None and not item.reply.done():
                item.reply.set_result(frame)
        return settled

    def give_up_largest(self, connection: int) -> None:
        """Send no more what is the largest of all that was sent on this connection, and tell whoever waits for it."""
        sent = [item for item in self._items if item.sent_on == connection]
        if sent:
            largest = max(sent, key=lambda item: item.size)
            self._items.remove(largest)
            if largest.reply is not None and not largest.reply.done():
                largest.reply.set_exception(FrameTooLarge(largest.size))
