"""The SDK's side of MCP: which method is answered by what, for both eras of the protocol, as an ASGI application.

It is imported late, in a thread: the SDK takes more than a second, and is an extra.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import mcp_types as types
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.caching import CacheHint
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings

from agents.conf import Config
from myagent import __version__
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ProtocolError
from sessions_app.web.api_call import Call
from sessions_app.web.mcp_door.asking_client import TASKS, AskingClient
from sessions_app.web.mcp_door.called_tool import CalledTool, tools_of
from sessions_app.web.mcp_door.coded_errors import CodedErrors
from sessions_app.web.mcp_door.open_sessions import IDLE_SECONDS, OpenSessions
from sessions_app.web.mcp_door.run_tasks import answer_task, cancel_task, shown_task
from sessions_app.web.mcp_door.sdk_context import CALL, SESSION, Context, answered, principal, session_of

LIST_MILLISECONDS = 10_000
"""For how long a client may keep the list of tools: agents are added, switched off and reloaded."""
CANCEL_SECONDS = 30.0
"""How long a call is remembered whose handler was ended, since the notification says later that the client did it."""


class TaskParams(types.RequestParams):
    """What the methods of tasks are given."""

    task_id: str


class TaskUpdateParams(TaskParams):
    """Answers to what a task asks, by the keys of its questions."""

    input_responses: dict[str, Any]


class McpServer:
    """Lives on the event loop of one process. `start` it before it serves, and `stop` it once."""

    def __init__(self, config: Config) -> None:
        server: Server[Any] = Server(
            "myagent",
            version=__version__,
            title=config.page_title,
            instructions=_("Each tool ask_… gives a message to an agent, which answers it in a conversation."),
            cache_hints={"tools/list": CacheHint(ttl_ms=LIST_MILLISECONDS, scope="private")},
            # No header repeats an argument of ours.
            get_tool_input_schema=lambda name: None,
            on_list_tools=self._list_tools,  # type: ignore[arg-type]  # in the words of the wire
            on_call_tool=self._call_tool,  # type: ignore[arg-type]
        )
        server.extensions[TASKS] = {}
        server.add_request_handler("tasks/get", TaskParams, self._get_task)
        server.add_request_handler("tasks/update", TaskUpdateParams, self._update_task)
        server.add_request_handler("tasks/cancel", TaskParams, self._cancel_task)
        server.add_notification_handler("notifications/cancelled", types.CancelledNotificationParams, self._cancelled)
        self._manager = StreamableHTTPSessionManager(
            server,
            stateless=may_have_neighbours(config),
            # Hosts, origins and sizes were decided before a request comes here.
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
            max_request_body_size=config.max_frame_bytes,
            session_idle_timeout=IDLE_SECONDS,
        )
        self._calls: dict[tuple[str, str], CalledTool] = {}
        """Those of clients that may cancel them by a notification: by session of MCP and id of the request."""
        self._open_sessions = OpenSessions()
        self._is_stopping = False
        self._closing = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to serve."""
        is_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keeping = asyncio.create_task(self._keep(is_ready), name="mcp")
        await asyncio.wait({self._keeping, is_ready}, return_when=asyncio.FIRST_COMPLETED)
        if not is_ready.done():
            self._keeping.result()

    async def _keep(self, is_ready: asyncio.Future[None]) -> None:
        async with self._manager.run():
            is_ready.set_result(None)
            await self._closing.wait()

    async def stop(self) -> None:
        """End all that is going on; connections are broken, so that no client takes what it has for an answer."""
        self._is_stopping = True
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        self._closing.set()
        if self._keeping is not None:
            await asyncio.wait({self._keeping})

    async def serve(self, call: Call, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one HTTP request. Where it returns without an end of the answer, the server is stopping."""
        if self._is_stopping:
            return
        owner = principal(call.caller.grant)
        known = {**scope, "user": AuthenticatedUser(owner), CALL: call}

        async def send_noted(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and message["status"] < HTTPStatus.BAD_REQUEST:
                await self._note_session(known, f"{owner.client_id} {owner.subject}", message["headers"])
            await send(message)

        task = asyncio.create_task(self._manager.handle_request(known, receive, CodedErrors(send_noted)))
        self._serving.add(task)
        try:
            await asyncio.wait({task})
        finally:
            self._serving.discard(task)
            task.cancel()
        if not task.cancelled():
            task.result()

    async def _note_session(self, scope: dict[str, Any], owner: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        session = dict(headers).get(SESSION, b"").decode("latin-1")
        if not session:
            return
        if scope["method"] == "DELETE":
            self._open_sessions.end(owner, session)
        elif (oldest := self._open_sessions.use(owner, session)) is not None:
            ended = {**scope, "method": "DELETE", "headers": [(SESSION, oldest.encode("latin-1"))]}
            await self._manager.handle_request(ended, _nothing_more, _to_nobody)

    # --- methods ---

    async def _list_tools(self, ctx: Context, params: Any) -> dict[str, Any]:
        async def listed(client: AskingClient) -> dict[str, Any]:
            return {"resultType": "complete", "tools": tools_of(client.call)}

        return await answered(ctx, listed)

    async def _call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> dict[str, Any]:
        async def called(client: AskingClient) -> dict[str, Any]:
            told = ctx.params or {}
            call = CalledTool(
                client=client,
                tool=params.name,
                arguments=params.arguments or {},
                state=told.get("requestState"),
                inputs=told.get("inputResponses") or {},
            )
            key = (session_of(ctx), str(ctx.request_id))
            if not key[0]:
                return await call.result()
            self._calls[key] = call
            seconds = 0.0
            try:
                return await call.result()
            except asyncio.CancelledError:
                seconds = CANCEL_SECONDS
                raise
            finally:
                asyncio.get_running_loop().call_later(seconds, self._forget, key, call)

        return await answered(ctx, called)

    def _forget(self, key: tuple[str, str], call: CalledTool) -> None:
        if self._calls.get(key) is call:
            del self._calls[key]

    async def _cancelled(self, ctx: Context, params: types.CancelledNotificationParams) -> None:
        call = self._calls.pop((session_of(ctx), str(params.request_id)), None)
        if call is not None:
            with suppress(ProtocolError):  # nobody is answered
                await call.cancel()

    async def _get_task(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        return await answered(ctx, lambda client: shown_task(client.call, params.task_id), needs_tasks=True)

    async def _update_task(self, ctx: Context, params: TaskUpdateParams) -> dict[str, Any]:
        told = params.input_responses
        await answered(ctx, lambda client: answer_task(client.call, params.task_id, told), needs_tasks=True)
        return {}

    async def _cancel_task(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        await answered(ctx, lambda client: cancel_task(client.call, params.task_id), needs_tasks=True)
        return {}


async def _nothing_more() -> dict[str, Any]:
    return {"type": "http.disconnect"}


async def _to_nobody(message: MutableMapping[str, Any]) -> None:
    """The end of a session that somebody has too many of is no answer to anybody."""


def may_have_neighbours(config: Config) -> bool:
    """Whether a client's next request may come to another process, which knows none of its sessions of MCP.

    Then these have no memory: no question is asked during a call, and no notification cancels one.
    """
    return config.worker is not None or not config.embedded_database
