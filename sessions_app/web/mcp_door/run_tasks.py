"""Runs as tasks of the extension: what the database says of them, in any process and after a restart."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from agents.database.threads import in_thread
from myagent.protocol.server_events import TERMINAL_EVENTS
from sessions_app.delivery.error_details import may_read_details, with_details
from sessions_app.services import runs
from sessions_app.services.caller import UsableSession
from sessions_app.web.api_call import Call
from sessions_app.web.mcp_door import run_lookup
from sessions_app.web.mcp_door.agent_calls import going_on, no_such_run, run_named
from sessions_app.web.mcp_door.run_result import RunResult
from sessions_app.web.mcp_door.run_watch import answer_strictly
from sessions_app.web.mcp_door.tool_names import tool_name

POLL_MILLISECONDS = 1_000
STATUS_OF = {"running": "working", "failed": "completed"}
"""Where a task has another word than a run: what failed is told by the result, with `isError`."""

Task = dict[str, Any]


async def begun_task(call: Call, run_id: str) -> Task:
    """The result of a call that is answered by a task: its message is stored."""
    run, result = await _told(call, run_id)
    return {"resultType": "task", **_task(run, result)}


async def shown_task(call: Call, run_id: str) -> Task:
    """How far a task is, with what it asks or its result. Raises `ProtocolError` for one that the caller has not."""
    run, result = await _told(call, run_id)
    task = {"resultType": "complete", **_task(run, result)}
    if task["status"] == "input_required":
        return {**task, "inputRequests": result.input_requests()}
    if task["status"] == "completed":
        return {**task, "result": result.returned()}
    return task


async def answer_task(call: Call, run_id: str, told: Mapping[str, Any]) -> None:
    """Store the answers to what a task asks. Raises `ProtocolError`."""
    await answer_strictly(call, await going_on(await _run(call, run_id)), told)


async def cancel_task(call: Call, run_id: str) -> None:
    """Cancel the run and no other: those before and behind it are tasks, too. One that has ended stays as it is."""
    run = await _run(call, run_id)
    if not run.is_over:
        await runs.cancel_runs(call.engine, call.caller, UsableSession(run.session_id, run.agent), only=run.id)


async def _run(call: Call, run_id: str) -> run_lookup.RunFacts:
    run = await run_named(call.caller, run_id)
    if run is None:
        raise no_such_run()
    return run


async def _told(call: Call, run_id: str) -> tuple[run_lookup.RunFacts, RunResult]:
    run = await _run(call, run_id)
    result = RunResult(str(run.session_id), str(run.id), tool=tool_name(run.agent))
    frames: list[str] = []
    if run.is_over:
        frames = await in_thread(run_lookup.newest_frames, run.session_id, run.id, TERMINAL_EVENTS, 1)
        if may_read_details(call.caller.grant, call.engine.config):
            frames = [await with_details(frame) for frame in frames]
    elif asked := await in_thread(run_lookup.open_questions, run.id):
        newest = await in_thread(run_lookup.newest_frames, run.session_id, run.id, {"agent.user_confirm"}, len(asked))
        frames = [frame for frame in newest if orjson.loads(frame)["step_id"] in asked]
    for frame in frames:
        result.take(orjson.loads(frame))
    return run, result


def _task(run: run_lookup.RunFacts, result: RunResult) -> Task:
    return {
        "taskId": str(run.id),
        "status": STATUS_OF.get(result.status, result.status),
        "createdAt": _written(run.queued_at),
        "lastUpdatedAt": _written(run.changed_at),
        "ttlMs": None,  # as long as its session
        "pollIntervalMs": POLL_MILLISECONDS,
    }


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
