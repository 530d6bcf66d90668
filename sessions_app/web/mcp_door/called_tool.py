"""What the methods of MCP answer, in the words of its wire; `mcp_server.py` has the SDK's side of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.loading.registry import LoadedAgent, get_registry
from myagent.protocol.error_codes import ProtocolError
from sessions_app.web.api_call import Call
from sessions_app.web.mcp_door.agent_calls import (
    AskedRun,
    asked_agent,
    going_on,
    no_such_run,
    run_named,
    run_to_wait_for,
    say,
)
from sessions_app.web.mcp_door.asking_client import AskingClient
from sessions_app.web.mcp_door.run_result import RunResult, refused
from sessions_app.web.mcp_door.run_tasks import begun_task, cancel_task
from sessions_app.web.mcp_door.run_watch import RunWatch, answer
from sessions_app.web.mcp_door.tool_names import WAIT, ask_tool, tool_name, wait_tool

logger = logging.getLogger("myagent.connections")

Result = dict[str, Any]

_unfinished: set[asyncio.Task[AskedRun]] = set()
"""So that none is lost before it has ended."""


class UnknownTool(Exception):
    """There is no such tool for this caller."""


def tools_of(call: Call) -> list[dict[str, Any]]:
    """The tools that the caller may use."""
    asking = [ask_tool(loaded.name, loaded.agent) for loaded in get_registry().usable(call.caller.grant.allows)]
    return [*asking, wait_tool()] if asking else []


@dataclass(kw_only=True, slots=True)
class CalledTool:
    """One call of a tool, by a client that may have answered questions with it."""

    client: AskingClient
    tool: str
    arguments: Mapping[str, Any]
    state: str | None = None
    """What an earlier result of the same call gave the client to send back: the id of the run."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    run: AskedRun | None = None
    """Known once the message is stored."""
    _saying: asyncio.Task[AskedRun] | None = None

    async def result(self) -> Result:
        """The result. Raises `UnknownTool`."""
        is_new = self.tool != WAIT and self.state is None
        agent = asked_agent(self.client.call.caller, self.tool) if is_new else None
        if is_new and agent is None:
            raise UnknownTool(self.tool)
        try:
            # What an agent has begun goes on where it was switched off meanwhile.
            if agent is not None:
                self.run = await self._said(agent)
                if self.client.has_tasks:
                    return await begun_task(self.client.call, str(self.run.id))
            elif self.state is not None:
                self.run = await self._begun_before(self.state)
                await answer(self.client.call, self.run, self.inputs)
            else:
                self.run = await run_to_wait_for(self.client.call.caller, self.arguments)
            return await self._watched(self.run)
        except ProtocolError as error:
            return refused(error.code, str(error), error.data)

    async def _said(self, agent: LoadedAgent) -> AskedRun:
        """Say it. What is begun is finished, also where the client has left: it may call once more, and finds it."""
        self._saying = asyncio.create_task(say(self.client.call, agent, self.arguments))
        _unfinished.add(self._saying)
        self._saying.add_done_callback(_finished)
        return await asyncio.shield(self._saying)

    async def _begun_before(self, state: str) -> AskedRun:
        """Nothing is believed of what comes back: whoever may use the run could name it to the other tool as well."""
        found = await run_named(self.client.call.caller, state)
        if found is None or self.tool not in (tool_name(found.agent), WAIT):
            raise no_such_run()
        return await going_on(found)

    async def _watched(self, run: AskedRun) -> Result:
        # Who cannot ask a person is told of the question at once, and waits for others to answer it by the other tool.
        waits_out = self.tool == WAIT and self.client.elicits == "no"
        result = RunResult(str(run.session_id), str(run.id), tool=tool_name(run.agent), waits_out=waits_out)
        await RunWatch(self.client, run, result).until_told()
        is_asking = self.client.elicits == "returned" and result.questions and not result.is_over
        return result.asking() if is_asking else result.returned()

    async def cancel(self) -> None:
        """The client does not want the result any more."""
        if self._saying is not None:
            self.run = await self._saying
        if self.run is not None:
            await cancel_task(self.client.call, str(self.run.id))


def _finished(task: asyncio.Task[AskedRun]) -> None:
    _unfinished.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.info("What a client of MCP said was not stored: %r", error)


def error_data(error: ProtocolError) -> dict[str, Any]:
    """What an error of the protocol says besides its words."""
    return {**error.data, "code": str(error.code)}
