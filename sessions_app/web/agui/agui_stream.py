"""A run as the answer to a client of AG-UI: server-sent events until the run ends, or asks.

Closing the answer cancels no run; whoever comes back is told what there is by then, and the rest as it comes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from django.http import HttpResponse

from agents.database.threads import in_thread
from agents.web.api_errors import no_content
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app import queries
from sessions_app.services.heavy_work import written
from sessions_app.services.refusals import not_found
from sessions_app.upkeep.gauges import AGUI
from sessions_app.web.agui.run_telling import Event, RunTelling, started
from sessions_app.web.agui.thread_messages import ThreadMessages
from sessions_app.web.api_call import Call
from sessions_app.web.live_log import stream
from sessions_app.web.run_stream import RunStream, each_frame, ended

_WITH_IDS = ("RUN_STARTED", "RUN_FINISHED")


class Outlet:
    """Writes the events of one run for one client, which has named the thread and this request."""

    def __init__(self, session_id: uuid.UUID, thread_id: str, request_id: str, run: RunTelling) -> None:
        self.run = run
        self._session_id = session_id
        self._ids = {"threadId": thread_id, "runId": request_id}
        self.pending: list[dict[str, Any]] = []
        """Messages that the log does not have yet, since nobody has read them."""

    def stream(self, beginning: bytes) -> RunStream:
        """The run from here on."""
        return RunStream(AGUI, self.run, beginning, encoded=self.encoded, beside=_beside)

    async def encoded(self, events: Iterable[Event], *, known: ThreadMessages | None = None) -> bytes:
        """The events, each with what the run does not know. `known` is the conversation where it was just read."""
        lines = []
        for event in events:
            if event["type"] in _WITH_IDS:
                event = {**event, **self._ids}
            elif event["type"] == "MESSAGES_SNAPSHOT":
                transcript = known or (await _read(self._session_id, run_id=self.run.run_id))[0]
                told = transcript.around(self.run.run_id, event["messages"])
                ids = {message["id"] for message in told}
                event = {**event, "messages": [*told, *(one for one in self.pending if one["id"] not in ids)]}
            lines.append(b"data: " + await written(event) + b"\n\n")
        return b"".join(lines)


def _beside(frame: dict[str, Any]) -> list[Event]:
    about = frame["metadata"]
    if frame["event"] == "agent.session_deleted":
        return [{"type": "RUN_ERROR", "message": frame["content"], "code": ErrorCode.SESSION_NOT_FOUND}]
    kind = about.get("action", "session_updated")
    return [{"type": "CUSTOM", "name": f"myagent.{kind}", "value": {"text": frame["content"], **about}}]


async def _read(
    session_id: uuid.UUID, call: Call | None = None, run_id: str | None = None
) -> tuple[ThreadMessages, int]:
    """The conversation, and the `seq` up to which it goes."""
    transcript, last_seq = ThreadMessages(run_id), 0
    async for seq, frame in each_frame(session_id, call):
        last_seq = seq
        transcript.take(frame)
    return transcript, last_seq


async def follow(call: Call, facts: queries.SessionFacts, outlet: Outlet) -> HttpResponse:
    """The run of a message that was sent just now, when the session was as `facts` say."""
    beginning = await outlet.encoded([started()])
    return await stream(call, facts, facts.last_seq, outlet.stream(beginning))


async def join(
    call: Call, facts: queries.SessionFacts, outlet_of: Callable[[RunTelling], Outlet], run_id: str | None = None
) -> HttpResponse:
    """A run that was asked for before, the current one where none is named: all of it so far, and then what comes.

    204 where nothing was ever asked.
    """
    transcript, last_seq = await _read(facts.id, call, run_id)
    if last_seq == 0:
        raise not_found()  # deleted meanwhile
    run = transcript.current if run_id is None else transcript.runs.get(run_id)
    if run_id is None and (run is None or run.end is not None):
        unfinished = await in_thread(queries.unfinished_run, facts.id)
        run_id = None if unfinished is None else str(unfinished)
        run = run if run_id is None else transcript.runs.get(run_id)
    if run is None and run_id is None:
        return no_content()
    # A message that was to steer a run which had ended is not in the log before it is read.
    run = run or RunTelling(str(run_id))
    outlet = outlet_of(run)
    data = await outlet.encoded(run.joined(), known=transcript)
    if run.end is not None or run.questions:
        return ended(data)
    return await stream(call, facts, last_seq, outlet.stream(data))


def error(refusal: ProtocolError, code: str | None = None) -> HttpResponse:
    """A stream that says why nothing runs, in words that the client shows."""
    event = {"type": "RUN_ERROR", "message": str(refusal), "code": code or str(refusal.code)}
    return ended(b"data: " + orjson.dumps(event) + b"\n\n")
