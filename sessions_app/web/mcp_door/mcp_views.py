"""`/mcp/`, for clients of the Model Context Protocol, and the document that says where they get tokens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

from django.http import HttpRequest, HttpResponse
from django.urls import path

from agents.conf import get_config
from agents.web.api_admission import api_view
from agents.web.api_errors import ApiRefused, for_one_caller, for_pages, json_answer
from agents.web.live_answers import hand_over
from myagent.daemon_threads import run_in_daemon_thread
from myagent.i18n import gettext as _
from myagent.protocol.codec import parse_body
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app.engine import Engine
from sessions_app.services.heavy_work import beside_the_loop, is_light
from sessions_app.web.api_call import Body, Call
from sessions_app.web.live_log import check_room

if TYPE_CHECKING:
    from sessions_app.web.mcp_door.mcp_server import McpServer

logger = logging.getLogger("myagent.server")

PAGE_HEADERS = ("mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name", "last-event-id")
METADATA = ".well-known/oauth-protected-resource/"
PARSE_ERROR, INVALID_REQUEST, INTERNAL_ERROR = -32700, -32600, -32603
_servers: WeakKeyDictionary[Engine, asyncio.Task[McpServer]] = WeakKeyDictionary()


def refusal_answer(refused: ApiRefused, origin: str | None) -> HttpResponse:
    """What is refused before the protocol begins, as an error of JSON-RPC with our code."""
    kind = INVALID_REQUEST if refused.status < HTTPStatus.INTERNAL_SERVER_ERROR else INTERNAL_ERROR
    data = {**refused.details, "code": refused.code}
    error = {
        "code": PARSE_ERROR if refused.code == ErrorCode.BAD_JSON else kind,
        "message": refused.words,
        "data": data,
    }
    answer = json_answer({"jsonrpc": "2.0", "id": None, "error": error}, status=refused.status)
    for name, value in refused.headers.items():
        answer.headers[name] = value
    return answer if refused.status is HTTPStatus.FORBIDDEN else for_pages(answer, origin)


# No GET: nothing is ever told that was not asked for.
@api_view("POST", "DELETE", refusal_answer=refusal_answer, page_headers=PAGE_HEADERS)
async def mcp(request: HttpRequest) -> HttpResponse:
    """Decide who asks, as everywhere; the SDK answers. To leave cancels nothing."""
    call = await _admitted(request)
    if request.method == "POST":
        message = await _message_of(call)
        if message.get("method") == "tools/call":  # the answers to which go on; others are not to wait for these
            check_room(call)
    server = await _server_of(call.engine)
    hand_over(request, _SdkExchange(server, call))
    answer = for_one_caller(HttpResponse())
    answer.headers["Cache-Control"] = "no-store, no-transform"
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


@api_view("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", refusal_answer=refusal_answer, page_headers=PAGE_HEADERS)
async def unknown_path(request: HttpRequest) -> HttpResponse:
    """The view for what begins like the address of MCP and is none."""
    words = _("There is nothing at this address. What there is: /mcp/")
    raise ApiRefused(HTTPStatus.NOT_FOUND, "not_found", words)


class _SdkExchange:
    """One HTTP request, answered by the SDK."""

    def __init__(self, server: McpServer, call: Call) -> None:
        self.body = call.body
        self._server = server
        self._call = call

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await self._server.serve(self._call, scope, receive, send)

    def close(self) -> None:
        """Nothing is held."""


async def _admitted(request: HttpRequest) -> Call:
    try:
        return await Call.admitted(request)
    except ApiRefused as refused:
        if refused.status is HTTPStatus.UNAUTHORIZED and _issuer() is not None:
            where = f'{refused.headers["WWW-Authenticate"]}, resource_metadata="{_address(request, METADATA + "mcp")}"'
            headers = {**refused.headers, "WWW-Authenticate": where}
            raise ApiRefused(
                refused.status, refused.code, refused.words, details=refused.details, headers=headers
            ) from refused
        raise


async def _message_of(call: Call) -> Body:
    """The message. Raises `ProtocolError` for what is no JSON object: batches are of no version that counts."""
    if not call.body:
        words = _("The body is not JSON: %(error)s.") % {"error": _("it is empty")}
        raise ProtocolError(ErrorCode.BAD_JSON, words)

    def read() -> Body:
        return parse_body(call.body)

    return read() if is_light(call.body.decode("latin-1")) else await beside_the_loop(read)


# --- the SDK, loaded when it is first needed ---


async def _server_of(engine: Engine) -> McpServer:
    """The server of this process. Raises `ApiRefused` where the extra is not installed."""
    if not is_installed():
        words = _("This server has no MCP. Whoever runs it installs that with: pip install 'myagent[mcp]'")
        raise ApiRefused(HTTPStatus.NOT_FOUND, "not_found", words)
    starting = _servers.get(engine)
    if starting is None or (starting.done() and starting.exception() is not None):
        _servers[engine] = starting = asyncio.create_task(_started(engine))
    return await asyncio.shield(starting)


def is_installed() -> bool:
    """Whether the extra `mcp` is there."""
    return find_spec("mcp") is not None


async def _started(engine: Engine) -> McpServer:
    module = await run_in_daemon_thread(lambda: import_module("sessions_app.web.mcp_door.mcp_server"))
    build: Callable[..., McpServer] = module.McpServer
    server = build(engine.config)
    await server.start()
    engine.endings.append(server.stop)
    return server


# --- where clients get tokens (RFC 9728) ---


@api_view("GET", "HEAD")
async def resource_metadata(request: HttpRequest, rest: str = "mcp") -> HttpResponse:
    """Which single sign-on issues tokens for this server, for everybody to read.

    The document is asked for behind the path of the server, and, where a proxy lets that through, with that path
    behind it, as the standard has it.
    """
    issuer = _issuer()
    mounted = request.META.get("SCRIPT_NAME", "").strip("/")
    if issuer is None or rest.strip("/") not in ("mcp", f"{mounted}/mcp"):
        words = _("There is no single sign-on here that a client could get tokens from.")
        raise ApiRefused(HTTPStatus.NOT_FOUND, "not_found", words)
    document = {
        "resource": _address(request, "mcp"),
        "resource_name": get_config().page_title,
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
    }
    return for_pages(json_answer(document), request.headers.get("Origin"))


def _issuer() -> str | None:
    """The single sign-on that can be asked for tokens: one whose name is its address, as the standard wants it."""
    config = get_config()
    issuer = config.jwt_issuer
    return issuer if config.has_sso and issuer and issuer.startswith(("https://", "http://")) else None


def _address(request: HttpRequest, behind: str) -> str:
    """An address of this server as its clients write it."""
    public = get_config().public_url
    if public is not None:
        return f"{public.rstrip('/')}/{behind}"
    return f"{request.scheme}://{request.get_host()}{quote(request.META.get('SCRIPT_NAME', ''))}/{behind}"


urlpatterns = [
    path("mcp", mcp),
    path("mcp/", mcp, name="mcp"),
    path(METADATA.rstrip("/"), resource_metadata),
    path(f"{METADATA}<path:rest>", resource_metadata),
]
