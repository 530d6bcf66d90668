"""Responses in the log: which session has one, what it comes to, and where an answer belongs."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Collection
from typing import Any

from agents.database.threads import in_thread
from sessions_app import queries
from sessions_app.web.api_call import Call
from sessions_app.web.openai_door.responses.response_ids import ResponseId, no_such_response
from sessions_app.web.openai_door.responses.response_object import ResponseHead
from sessions_app.web.openai_door.responses.run_parts import RunParts
from sessions_app.web.openai_door.responses.run_response import RunResponse
from sessions_app.web.run_stream import each_frame

Frame = dict[str, Any]


async def session_of(call: Call, response_id: ResponseId) -> queries.SessionFacts:
    """The session of a response. Raises `ProtocolError` when there is none that the caller may use."""
    facts = await in_thread(queries.session_of_run, response_id.run_id, call.caller.grant.user_id)
    if facts is None or not call.caller.grant.allows(facts.agent):
        raise no_such_response()
    return facts


async def before_first(facts: queries.SessionFacts, run_id: uuid.UUID) -> int:
    """The cursor before a run. Raises `ProtocolError` where the log has nothing of it."""
    begin = await in_thread(queries.begin_of_run, facts.id, run_id)
    if begin is None:
        raise no_such_response()
    return begin - 1


async def frames_of(call: Call, facts: queries.SessionFacts, run_id: uuid.UUID) -> AsyncIterator[Frame]:
    """The events of a run, in their order, up to its end or that of the log. Raises `ProtocolError`."""
    name = str(run_id)
    async for _seq, frame in each_frame(facts.id, call, after=await before_first(facts, run_id)):
        if frame["metadata"].get("run_id") == name:
            yield frame


async def begun(facts: queries.SessionFacts, response_id: ResponseId, *, known: int = -1) -> RunResponse:
    """A response that nothing is told of yet."""
    schema = await in_thread(queries.output_schema, response_id.run_id)
    head = ResponseHead(id=response_id, session_id=str(facts.id), model=facts.agent, schema=schema)
    return RunResponse(head, known=known)


async def read_response(call: Call, facts: queries.SessionFacts, response_id: ResponseId) -> RunResponse:
    """A response as it stands. Raises `ProtocolError` where the run has not come so far."""
    response = await begun(facts, response_id)
    async for frame in frames_of(call, facts, response_id.run_id):
        response.take(frame)
        if response.is_over or response.parts.is_over:
            break
    if not response.exists:
        raise no_such_response()
    return response


async def newest_of(call: Call, facts: queries.SessionFacts, run_id: uuid.UUID) -> tuple[ResponseId, int | None]:
    """The newest response of a run, and the `seq` with which the run ended, None where it has not."""
    parts = RunParts()
    async for frame in frames_of(call, facts, run_id):
        parts.take(frame)
        if parts.is_over:
            return ResponseId(run_id, parts.begun), frame["seq"]
    return ResponseId(run_id, parts.begun), None


async def answered_by(
    call: Call, facts: queries.SessionFacts, run_id: uuid.UUID, step_ids: Collection[str]
) -> ResponseId:
    """The response that says what came of these answers."""
    parts, found = RunParts(), 1
    async for frame in frames_of(call, facts, run_id):
        placed = parts.take(frame)
        if frame["event"] == "user.response" and frame["step_id"] in step_ids:
            found = placed.part
        if parts.is_over:
            break
    return ResponseId(run_id, found)
