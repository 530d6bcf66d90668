"""Following a run on behalf of a client of MCP: with its progress, its questions, and up to a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import orjson

from agents.database.threads import in_thread
from myagent.protocol.client_events import UserResponse
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app import asked_questions
from sessions_app.services.caller import UsableSession
from sessions_app.services.refusals import not_found, try_again
from sessions_app.upkeep.gauges import MCP
from sessions_app.web import live_log
from sessions_app.web.api_call import Call
from sessions_app.web.event_stream import EventStream
from sessions_app.web.mcp_door.agent_calls import AskedRun, facts_of
from sessions_app.web.mcp_door.asking_client import AskingClient, NobodyAsked
from sessions_app.web.mcp_door.elicitation import answer_of, form, words_of
from sessions_app.web.mcp_door.run_result import RunResult
from sessions_app.web.run_stream import RunStream, answer_questions

LOOK_SECONDS = 1.0
"""Between two looks whether a question that a client shows is still one."""


class RunWatch:
    """Follows one run for one client until it has ended, asks what this client can answer, or takes too long.

    Nothing of it concerns the run: to leave only ends the watching.
    """

    def __init__(self, client: AskingClient, run: AskedRun, result: RunResult) -> None:
        self._client = client
        self._run = run
        self._result = result
        self._told = 0
        self._seconds = client.call.engine.config.mcp_wait_seconds

    async def until_told(self) -> None:
        """Take the events of the run until there is something to return. Raises `ProtocolError`."""
        self._result.last_seq = max(self._result.last_seq, self._run.after)
        while True:
            facts = await facts_of(self._client.call, self._run)
            stream = RunStream(MCP, self._result, b"", encoded=self._tell, beside=lambda frame: [])
            following = await live_log.follow(self._client.call, facts, self._result.last_seq, stream)
            try:
                if not await self._goes_on(following):
                    return
            finally:
                following.close()  # until then it counts as a connection, also while a person thinks

    async def _goes_on(self, following: EventStream) -> bool:
        """Follow, and ask what is asked; whether more is to come of the run by that."""
        began = time.monotonic()
        is_late = not await self._followed(following)
        self._seconds -= time.monotonic() - began
        if is_late or self._client.elicits != "asked" or not self._result.questions:
            return False
        try:
            for step_id, frame in list(self._result.questions.items()):
                await self._ask(step_id, frame)
        except NobodyAsked:
            return False
        return True

    async def _followed(self, following: EventStream) -> bool:
        """Follow until the run ends or asks; False where it has not within the time."""
        result = self._result
        try:
            async with asyncio.timeout(max(self._seconds, 0)):
                is_whole = await following.run(live_log.nowhere)
        except TimeoutError:
            return False
        if not is_whole:
            raise try_again(is_certain=False)
        if not (result.is_over or result.questions):
            raise not_found()  # deleted meanwhile
        return True

    async def _tell(self, events: list[dict[str, Any]]) -> bytes:
        for event in events:
            if "progress" in event:
                self._told += 1
                await self._client.report(self._told, event["progress"])
        return orjson.dumps(events) if events else b""

    async def _ask(self, step_id: str, frame: dict[str, Any]) -> None:
        """Ask until the client answers, or until there is nothing to answer any more: others may have been faster."""
        asking = asyncio.create_task(self._client.elicit(words_of(frame), form()))
        try:
            while not asking.done():
                await asyncio.wait({asking}, timeout=LOOK_SECONDS)
                if not asking.done() and not await self._is_open(step_id):
                    return
            await answer(self._client.call, self._run, {step_id: asking.result()})
        finally:
            asking.cancel()

    async def _is_open(self, step_id: str) -> bool:
        asked = await in_thread(asked_questions.questions_of, self._run.session_id, {step_id})
        return step_id in asked and asked[step_id].is_open


async def answer(call: Call, run: AskedRun, told: Mapping[str, Any]) -> None:
    """Store what a person said; what was answered meanwhile, or needs no answer any more, stays as it is."""
    try:
        await answer_strictly(call, run, told)
    except ProtocolError as error:
        if error.code != ErrorCode.NO_PENDING_CONFIRMATION:
            raise


async def answer_strictly(call: Call, run: AskedRun, told: Mapping[str, Any]) -> None:
    """Store what a person said. Raises `ProtocolError` where that answers no open question of the run."""
    answers = [
        call.asked(UserResponse, session_id=str(run.session_id), step_id=step_id, content=answer_of(one))
        for step_id, one in told.items()
    ]
    if answers:
        await answer_questions(call, UsableSession(run.session_id, run.agent), answers, only=run.id)
