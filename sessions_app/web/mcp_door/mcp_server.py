"""The SDK's side of MCP: which method is answered by what, for both eras of the protocol, as an ASGI application.

It is imported late, in a thread: the SDK takes more than a second, and is an extra.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import mcp_types as types
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from agents.access.asked_language import language_of
from agents.access.decision import Grant
from agents.access.trace_context import checked_traceparent
from agents.conf import Config
from agents.database.threads import is_away
from agents.metrics import measures
from agents.web.api_errors import our_mistake
from myagent import __version__
from myagent.i18n import gettext as _
from myagent.i18n import speaking
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app.services.refusals import try_again
from sessions_app.web.api_call import Call
from sessions_app.web.mcp_door.asking_client import TASKS, AskingClient, Elicits, NobodyAsked
from sessions_app.web.mcp_door.run_tasks import answer_task, cancel_task, shown_task
from sessions_app.web.mcp_door.tool_calls import ToolCall, UnknownTool, error_data, tools_of

logger = logging.getLogger("myagent.connections")

LIST_MILLISECONDS = 10_000
"""For how long a client may keep the list of tools: agents are added, switched off and reloaded."""
CANCEL_SECONDS = 30.0
"""How long a call is remembered whose handler was ended, since the notification says later that the client did it."""
_CALL = "myagent.mcp_call"
_INTERNAL = (ErrorCode.INTERNAL_ERROR, ErrorCode.TRY_AGAIN, ErrorCode.BUSY)

Context = ServerRequestContext[Any, Any]
Params = Mapping[str, Any]
_Told = TypeVar("_Told")


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
            max_sessions=config.max_connections,
        )
        self._calls: dict[tuple[str, str], ToolCall] = {}
        """Those of clients that may cancel them by a notification: by session of MCP and id of the request."""
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
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        self._closing.set()
        if self._keeping is not None:
            await asyncio.wait({self._keeping})

    async def serve(self, call: Call, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one HTTP request. Where it returns without an end of the answer, the server is stopping."""
        known = {**scope, "user": AuthenticatedUser(_principal(call.caller.grant)), _CALL: call}
        task = asyncio.create_task(self._manager.handle_request(known, receive, send))
        self._serving.add(task)
        try:
            await asyncio.wait({task})
        finally:
            self._serving.discard(task)
            task.cancel()
        if not task.cancelled():
            task.result()

    # --- methods ---

    async def _list_tools(self, ctx: Context, params: Any) -> dict[str, Any]:
        async def listed(client: AskingClient) -> dict[str, Any]:
            return {"resultType": "complete", "tools": tools_of(client.call)}

        return await _answered(ctx, listed)

    async def _call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> dict[str, Any]:
        async def called(client: AskingClient) -> dict[str, Any]:
            told = ctx.params or {}
            call = ToolCall(
                client=client,
                tool=params.name,
                arguments=params.arguments or {},
                state=told.get("requestState"),
                inputs=told.get("inputResponses") or {},
            )
            key = (_session_of(ctx), str(ctx.request_id))
            if not key[0]:
                return await call.result()
            self._calls[key] = call
            try:
                result = await call.result()
            except asyncio.CancelledError:
                asyncio.get_running_loop().call_later(CANCEL_SECONDS, self._forget, key, call)
                raise
            except BaseException:
                self._forget(key, call)
                raise
            self._forget(key, call)
            return result

        return await _answered(ctx, called)

    def _forget(self, key: tuple[str, str], call: ToolCall) -> None:
        if self._calls.get(key) is call:
            del self._calls[key]

    async def _cancelled(self, ctx: Context, params: types.CancelledNotificationParams) -> None:
        call = self._calls.pop((_session_of(ctx), str(params.request_id)), None)
        if call is not None:
            with suppress(ProtocolError):  # nobody is answered
                await call.cancel()

    async def _get_task(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        return await _answered(ctx, lambda client: shown_task(client.call, params.task_id), needs_tasks=True)

    async def _update_task(self, ctx: Context, params: TaskUpdateParams) -> dict[str, Any]:
        told = params.input_responses
        await _answered(ctx, lambda client: answer_task(client.call, params.task_id, told), needs_tasks=True)
        return {}

    async def _cancel_task(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        await _answered(ctx, lambda client: cancel_task(client.call, params.task_id), needs_tasks=True)
        return {}


def may_have_neighbours(config: Config) -> bool:
    """Whether a client's next request may come to another process, which knows none of its sessions of MCP.

    Then these have no memory: no question is asked during a call, and no notification cancels one.
    """
    return config.worker is not None or not config.embedded_database


def _principal(grant: Grant) -> AccessToken:
    """Who a session of MCP belongs to: to others it looks as if it did not exist."""
    subject = f"{grant.user_id} {grant.token_id} {grant.visitor}"
    return AccessToken(token="", client_id=grant.kind, scopes=[], subject=subject)


def _session_of(ctx: Context) -> str:
    found: str = ctx.request.headers.get("mcp-session-id", "") if ctx.request is not None else ""
    return found if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS else ""


async def _answered(
    ctx: Context, work: Callable[[AskingClient], Awaitable[_Told]], *, needs_tasks: bool = False
) -> _Told:
    """Do what is asked, with errors as the SDK writes them."""
    client = _client_of(ctx)
    with speaking(language_of(client.call.request)):
        try:
            if needs_tasks:
                _check_tasks(ctx, client)
            return await work(client)
        except UnknownTool as error:
            words = _("There is no tool %(name)r here.") % {"name": str(error)[:100]}
            refused = ProtocolError(ErrorCode.AGENT_NOT_FOUND, words)
        except ProtocolError as error:
            refused = error
        except MCPError:
            raise
        except Exception as error:
            if is_away(error):
                refused = try_again()
            else:
                logger.exception("A request of MCP (%s) failed.", ctx.method)
                refused = our_mistake()
        measures.REFUSALS.add(refused.code)
        kind = types.INTERNAL_ERROR if refused.code in _INTERNAL else types.INVALID_PARAMS
        raise MCPError(kind, str(refused), error_data(refused))


def _check_tasks(ctx: Context, client: AskingClient) -> None:
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        raise MCPError(types.METHOD_NOT_FOUND, "Method not found", ctx.method)
    if not client.has_tasks:
        needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
        words = _("This method needs the extension %(name)s.") % {"name": TASKS}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, words, needed)


def _client_of(ctx: Context) -> AskingClient:
    assert ctx.request is not None
    call: Call = ctx.request.scope[_CALL]
    traceparent = checked_traceparent((ctx.meta or {}).get("traceparent")) or call.caller.traceparent
    call = replace(call, caller=replace(call.caller, traceparent=traceparent))
    session, abilities = ctx.session, ctx.session.client_capabilities
    is_modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
    shown = abilities.elicitation if abilities is not None else None
    # Without a mode it is that of forms, which came first.
    shows_forms = shown is not None and (shown.form is not None or shown.url is None)
    asked: Elicits = "returned" if is_modern else "asked" if session.can_send_request else "no"

    async def report(progress: float, words: str) -> None:
        await session.report_progress(progress, message=words)

    async def elicit(words: str, form: dict[str, Any]) -> dict[str, Any]:
        try:
            told = await session.elicit_form(words, form, related_request_id=ctx.request_id)
        except MCPError as error:
            raise NobodyAsked(error.message) from error
        return told.model_dump(include={"action", "content"})

    return AskingClient(
        call=call,
        has_tasks=is_modern and TASKS in ((abilities.extensions if abilities is not None else None) or {}),
        elicits=asked if shows_forms else "no",
        report=report,
        elicit=elicit,
    )
