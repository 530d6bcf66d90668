"""The official client of MCP, of both eras, and what tests ask with it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Literal

import httpx2
import pytest
from mcp import Client
from mcp.client.extension import ClientExtension, ResultClaim
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ElicitResult, Request, RequestParams, Result
from pydantic import ConfigDict

from tests.support.patience import WAIT_SECONDS
from tests.support.services import is_postgres

MODERN, LEGACY = "2026-07-28", "legacy"
TASKS = "io.modelcontextprotocol/tasks"
HAS_SESSIONS = not is_postgres(os.environ.get("DATABASE_URL", ""))
"""Whether the server has sessions of MCP, which it does where no other process can be asked."""
STATEFUL = pytest.mark.skipif(
    not HAS_SESSIONS, reason="several processes may answer: no sessions of MCP, and no questions"
)


@asynccontextmanager
async def mcp_client(
    server: Any, token: str | None, mode: str = MODERN, *, path: str = "/mcp/", **options: Any
) -> AsyncIterator[Client]:
    """The client of whoever has this token."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    headers["Accept-Language"] = "en"
    url = f"http://127.0.0.1:{server.port}{path}"
    async with httpx2.AsyncClient(headers=headers, timeout=WAIT_SECONDS, trust_env=False) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode, read_timeout_seconds=WAIT_SECONDS, cache=None, **options) as client:
            yield client


def called(tool: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The body and the headers of a call as a client of 2026 sends them."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": "p",
    }
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments, "_meta": meta},
    }
    headers = {
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
        "Accept": "application/json, text/event-stream",
    }
    return body, headers


def answering(*answers: dict[str, Any]) -> tuple[list[Any], Any]:
    """What was asked, and a callback that answers the questions one after the other."""
    asked: list[Any] = []

    async def callback(context: Any, params: Any) -> ElicitResult:
        asked.append(params)
        return ElicitResult(**answers[len(asked) - 1])

    return asked, callback


YES = {"action": "accept", "content": {"approved": True}}
NO = {"action": "decline"}


class TaskResult(Result):
    """The result of a call that is answered by a task."""

    model_config = ConfigDict(extra="allow")
    result_type: Literal["task"] = "task"
    task_id: str
    status: str


class TaskParams(RequestParams):
    task_id: str


class UpdateParams(TaskParams):
    input_responses: dict[str, Any]


class GetTask(Request[TaskParams, Literal["tasks/get"]]):
    name_param: ClassVar[str | None] = "taskId"
    method: Literal["tasks/get"] = "tasks/get"
    params: TaskParams


class UpdateTask(Request[UpdateParams, Literal["tasks/update"]]):
    name_param: ClassVar[str | None] = "taskId"
    method: Literal["tasks/update"] = "tasks/update"
    params: UpdateParams


class CancelTask(Request[TaskParams, Literal["tasks/cancel"]]):
    name_param: ClassVar[str | None] = "taskId"
    method: Literal["tasks/cancel"] = "tasks/cancel"
    params: TaskParams


class Anything(Result):
    model_config = ConfigDict(extra="allow")


class Tasks(ClientExtension):
    """Says that the client takes tasks; tests ask for them themselves."""

    identifier = TASKS

    def claims(self) -> list[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=TaskResult, resolve=self._resolve)]

    async def _resolve(self, result: TaskResult, context: Any) -> CallToolResult:
        raise AssertionError("tests ask for tasks themselves")


class TaskClient:
    """What a client with tasks does."""

    def __init__(self, client: Client) -> None:
        self.session = client.session

    async def begin(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool, and return the task."""
        told = await self.session.call_tool(tool, arguments, allow_claimed=True)
        assert isinstance(told, TaskResult), told
        return _wire(told)

    async def get(self, task_id: str) -> dict[str, Any]:
        return _wire(await self.session.send_request(GetTask(params=TaskParams(task_id=task_id)), Anything))

    async def update(self, task_id: str, **answers: Any) -> None:
        params = UpdateParams(task_id=task_id, input_responses=answers)
        await self.session.send_request(UpdateTask(params=params), Anything)

    async def cancel(self, task_id: str) -> None:
        await self.session.send_request(CancelTask(params=TaskParams(task_id=task_id)), Anything)

    async def until(self, task_id: str, *statuses: str) -> dict[str, Any]:
        """Ask until the task has one of these statuses."""
        async with asyncio.timeout(WAIT_SECONDS):
            while (task := await self.get(task_id))["status"] not in statuses:
                await asyncio.sleep(0.05)
        return task


@asynccontextmanager
async def task_client(server: Any, token: str | None) -> AsyncIterator[TaskClient]:
    """The client of whoever has this token, which takes tasks."""
    async with mcp_client(server, token, extensions=[Tasks()]) as client:
        yield TaskClient(client)


def facts_of(result: CallToolResult) -> dict[str, Any]:
    """The structured content, of a result that has one."""
    assert isinstance(result.structured_content, dict), result
    return result.structured_content


def text_of(result: CallToolResult) -> str:
    """The first text."""
    return str(result.content[0].text)  # type: ignore[union-attr]


def _wire(result: Result) -> dict[str, Any]:
    return result.model_dump(by_alias=True, mode="json", exclude_none=False)
