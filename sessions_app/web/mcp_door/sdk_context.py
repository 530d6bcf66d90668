"""What the SDK knows of a message: who asks, what that client can do, and how it is told of errors.

Like `mcp_server.py` it is imported late.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import mcp_types as types
from mcp.server.auth.provider import AccessToken
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from agents.access.asked_language import language_of
from agents.access.decision import Grant
from agents.access.trace_context import checked_traceparent
from agents.database.threads import is_away
from agents.metrics import measures
from agents.web.api_errors import our_mistake
from myagent.i18n import gettext as _
from myagent.i18n import speaking
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app.services.refusals import try_again
from sessions_app.web.api_call import Call
from sessions_app.web.mcp_door.asking_client import TASKS, AskingClient, Elicits, NobodyAsked
from sessions_app.web.mcp_door.called_tool import UnknownTool, error_data

logger = logging.getLogger("myagent.connections")

CALL = "myagent.mcp_call"
"""Where the scope of a request has the call that was admitted."""
SESSION = b"mcp-session-id"
_INTERNAL = (ErrorCode.INTERNAL_ERROR, ErrorCode.TRY_AGAIN, ErrorCode.BUSY)

Context = ServerRequestContext[Any, Any]
_Told = TypeVar("_Told")


def principal(grant: Grant) -> AccessToken:
    """Who a session of MCP belongs to: to others it looks as if it did not exist."""
    subject = f"{grant.user_id} {grant.token_id} {grant.visitor}"
    return AccessToken(token="", client_id=grant.kind, scopes=[], subject=subject)


def session_of(ctx: Context) -> str:
    """The session of MCP that a message belongs to; empty for none.

    Without sessions nothing has checked whose the header is: anybody could name that of somebody else.
    """
    has_session = ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS and ctx.session.can_send_request
    found: str = ctx.request.headers.get(SESSION.decode(), "") if has_session and ctx.request is not None else ""
    return found


async def answered(
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
    call: Call = ctx.request.scope[CALL]
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
        except (MCPError, ValidationError) as error:  # it says that it cannot, or what is no answer
            raise NobodyAsked(str(error)) from error
        return told.model_dump(include={"action", "content"})

    return AskingClient(
        call=call,
        has_tasks=is_modern and TASKS in ((abilities.extensions if abilities is not None else None) or {}),
        elicits=asked if shows_forms else "no",
        report=report,
        elicit=elicit,
    )
