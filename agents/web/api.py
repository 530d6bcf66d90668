"""`GET /api/agents/`: the agents that the caller may use, with their tools. Whoever may connect may ask."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt

from agents.access.decision import ConnectionRefused, Grant, HandshakeForbidden, authorize_request
from agents.conf import get_config
from agents.database.threads import is_away
from agents.loading.hosted_rows import tool_facts
from agents.loading.registry import LoadedAgent, Registry, get_registry
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode

METHODS = "GET, HEAD, OPTIONS"
PREFLIGHT_SECONDS = 600


@csrf_exempt  # it changes nothing
async def list_agents(request: HttpRequest) -> HttpResponse:
    """The view. Decided as a WebSocket is that the same caller opens, and from then on as its connection would be."""
    if request.method == "OPTIONS":
        # What a browser asks before it sends a token for a page of another origin; the request itself is decided on.
        headers = {"Access-Control-Allow-Headers": "authorization", "Access-Control-Max-Age": str(PREFLIGHT_SECONDS)}
        answer = HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"Allow": METHODS, **headers})
        return _for_pages(answer, "*")
    if request.method not in ("GET", "HEAD"):
        words = _("Only %(methods)s are supported here.") % {"methods": METHODS}
        return _error(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", words, Allow=METHODS)
    origin = request.headers.get("Origin")
    try:
        grant = await authorize_request(request.scope, get_config())  # type: ignore[attr-defined]  # ASGIRequest
    except HandshakeForbidden as refusal:
        words = _("This host or page is not allowed without a token; the server's log says why.")
        return _error(HTTPStatus.FORBIDDEN, refusal.code, words)
    except ConnectionRefused as refusal:
        words = _("Show a token (?token=… or the header Authorization: Bearer …), or log in.")
        if refusal.code == "invalid_token":
            words = _("The token is unknown, expired or revoked.")
        refused = _error(HTTPStatus.UNAUTHORIZED, refusal.code, words, **{"WWW-Authenticate": 'Bearer realm="MyAgent"'})
        return _for_pages(refused, origin)
    except Error as error:
        if not is_away(error):
            raise
        words = _("The database does not answer at the moment; please try again.")
        return _for_pages(_error(HTTPStatus.SERVICE_UNAVAILABLE, ErrorCode.TRY_AGAIN, words), origin)
    return _for_pages(_json({"agents": usable_agents(grant, get_registry())}), origin)


def usable_agents(grant: Grant, registry: Registry) -> list[dict[str, Any]]:
    """The agents that are enabled and that the caller may use, as JSON; the first is the default at `/`."""
    usable = [loaded for name in registry.names if grant.allows(name) and (loaded := registry.get(name)) is not None]
    return [_facts(loaded, is_default=loaded is usable[0]) for loaded in usable]


def _facts(loaded: LoadedAgent, *, is_default: bool) -> dict[str, Any]:
    return {
        "name": loaded.name,
        "description": loaded.agent.description,
        "path": f"/ws/{quote(loaded.name, safe='')}/",
        "default": is_default,
        "tools": tool_facts(loaded.agent),
    }


def _error(status: HTTPStatus, code: str, words: str, **headers: str) -> HttpResponse:
    answer = _json({"error": words, "code": code}, status=status)
    for name, value in headers.items():
        answer.headers[name] = value
    return answer


def _json(body: dict[str, Any], status: int = HTTPStatus.OK) -> HttpResponse:
    answer = JsonResponse(body, status=status, json_dumps_params={"ensure_ascii": False})
    # It is one caller's, and true for seconds.
    answer.headers["Cache-Control"] = "no-store"
    patch_vary_headers(answer, ("Authorization", "Cookie", "Origin"))
    return answer


def _for_pages(answer: HttpResponse, origin: str | None) -> HttpResponse:
    """Let a page of another origin read what it may ask. Without cookies: with these only our own pages get in."""
    if origin is not None:
        answer.headers["Access-Control-Allow-Origin"] = origin
    return answer
