"""A run as the answer to a client of AG-UI: server-sent events until the run ends, or asks.

Closing the answer cancels no run; whoever comes back is told what there is by then, and the rest as it comes.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from django.http import HttpResponse

from agents.database.threads import in_thread_patiently
from agents.web.api_errors import for_one_caller, no_content
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app import queries
from sessions_app.delivery.error_details import may_read_details, with_details
from sessions_app.services.refusals import not_found
from sessions_app.upkeep.gauges import AGUI
from sessions_app.web.agui.run_telling import Event, RunTelling
from sessions_app.web.agui.transcript import Transcript
from sessions_app.web.api_call import Call
from sessions_app.web.event_views import EVENT_STREAM, stream

ASK_SECONDS = 0.25
"""How long a question waits for those of other calls of the same step."""
_WITH_IDS = ("RUN_STARTED", "RUN_FINISHED")
_OVER = ("RUN_FINISHED", "RUN_ERROR")


class Outlet:
    """Writes the events of one run for one client, which has named the thread and this request."""

    def __init__(self, session_id: uuid.UUID, thread_id: str, request_id: str, run: RunTelling) -> None:
        self.run = run
        self._session_id = session_id
        self._ids = {"threadId": thread_id, "runId": request_id}
        self.pending: list[dict[str, Any]] = []
        """Messages that the log does not have yet, since nobody has read them."""

    async def encoded(self, events: Iterable[Event], *, known: Transcript | None = None) -> bytes:
        """The events, each with what the run does not know. `known` is the conversation where it was just read."""
        lines = []
        for event in events:
            if event["type"] in _WITH_IDS:
                event = {**event, **self._ids}
            elif event["type"] == "MESSAGES_SNAPSHOT":
                transcript = known or (await read(self._session_id))[0]
                told = transcript.around(self.run.run_id, event["messages"])
                ids = {message["id"] for message in told}
                event = {**event, "messages": [*told, *(one for one in self.pending if one["id"] not in ids)]}
            lines.append(b"data: " + orjson.dumps(event) + b"\n\n")
        return b"".join(lines)


async def read(session_id: uuid.UUID, call: Call | None = None) -> tuple[Transcript, int]:
    """The conversation, and the `seq` up to which it goes; with the details of errors that this caller may read."""
    transcript, after = Transcript(), 0
    tells_details = call is not None and may_read_details(call.caller.grant, call.engine.config)
    while True:
        page = await in_thread_patiently(queries.events_after, session_id, after)
        for seq, frame in page:
            after = seq
            transcript.take(orjson.loads(await with_details(frame) if tells_details else frame))
        if len(page) < queries.REPLAY_PAGE:
            return transcript, after


class RunStream:
    """The form of an answer that follows a run (`StreamForm`)."""

    door = AGUI
    keep_alive = b":\n\n"

    def __init__(self, outlet: Outlet, beginning: bytes) -> None:
        self.beginning = beginning
        self._outlet = outlet
        self._is_live = False
        self._is_over = False

    async def written(self, frame: str, *, has_more: Callable[[], bool]) -> bytes:
        run = self._outlet.run
        events = self._events_of(orjson.loads(frame))
        if self._is_live and run.questions:
            if run.may_ask_more and not has_more():
                # Calls that run side by side ask one after the other, and the client is to hear of all at once.
                await asyncio.sleep(ASK_SECONDS)
            if not has_more():
                events += run.interrupted()
        self._is_over = any(event["type"] in _OVER for event in events)
        return await self._outlet.encoded(events)

    def is_last(self, frame: str) -> bool:
        return self._is_over

    def _events_of(self, frame: dict[str, Any]) -> list[Event]:
        name, about = frame["event"], frame["metadata"]
        if name == "agent.session_deleted":
            return [{"type": "RUN_ERROR", "message": frame["content"], "code": ErrorCode.SESSION_NOT_FOUND}]
        if name == "system.notice" and about["action"] == "replay":
            self._is_live = True
            return []
        if name == "agent.session_updated" or name == "system.notice":
            if about.get("run_id", self._outlet.run.run_id) != self._outlet.run.run_id:
                return []
            kind = about.get("action", "session_updated")
            return [{"type": "CUSTOM", "name": f"myagent.{kind}", "value": {"text": frame["content"], **about}}]
        return self._outlet.run.take(frame) if about.get("run_id") == self._outlet.run.run_id else []


async def follow(call: Call, facts: queries.SessionFacts, outlet: Outlet) -> HttpResponse:
    """The run of a message that was sent just now, when the session was as `facts` say."""
    beginning = await outlet.encoded(outlet.run.begun())
    return await stream(call, facts, facts.last_seq, RunStream(outlet, beginning))


async def join(call: Call, facts: queries.SessionFacts, outlet_of: Any, run_id: str | None = None) -> HttpResponse:
    """A run that was asked for before, the current one where none is named: all of it so far, and then what comes.

    204 where nothing was ever asked.
    """
    transcript, last_seq = await read(facts.id, call)
    run = transcript.current if run_id is None else transcript.runs.get(run_id)
    if run is None:
        if last_seq == 0:
            raise not_found()  # deleted meanwhile
        return no_content()
    outlet: Outlet = outlet_of(run)
    data = await outlet.encoded(run.joined(), known=transcript)
    if run.end is not None or run.questions:
        return ended(data)
    return await stream(call, facts, last_seq, RunStream(outlet, data))


def ended(data: bytes) -> HttpResponse:
    """A stream of which all is known."""
    return for_one_caller(HttpResponse(data, content_type=f"{EVENT_STREAM}; charset=utf-8"))


def error(refusal: ProtocolError, code: str | None = None) -> HttpResponse:
    """A stream that says why nothing runs, in words that the client shows."""
    event = {"type": "RUN_ERROR", "message": str(refusal), "code": code or str(refusal.code)}
    return ended(b"data: " + orjson.dumps(event) + b"\n\n")
