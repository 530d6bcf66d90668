"""Who may ask the API: decided as a WebSocket is that the same caller opens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from http import HTTPStatus
from typing import Any, Concatenate, ParamSpec
from urllib.parse import parse_qs

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from agents.access.asked_language import language_of
from agents.access.decision import ConnectionRefused, Grant, HandshakeForbidden, authorize, authorize_request
from agents.access.request_count import count_request
from agents.budgets.rates import RateExceeded
from agents.conf import get_config
from agents.database.threads import is_away
from agents.metrics import measures
from agents.web.api_errors import ApiRefused, database_away, for_pages, no_such_path, our_mistake, wrong_method
from myagent.i18n import gettext as _
from myagent.i18n import speaking
from myagent.protocol.error_codes import ErrorCode, ProtocolError

logger = logging.getLogger("myagent.connections")

PREFLIGHT_SECONDS = 600
BUSY_SECONDS = 10
PAGE_HEADERS = ("authorization", "content-type", "idempotency-key", "last-event-id", "user-agent")
"""What pages of other origins may send; packages such as the AI SDK name themselves in the last one. Never
x-csrftoken, by which a page shows that it is one of ours.
"""
_Arguments = ParamSpec("_Arguments")
RefusalAnswer = Callable[[ApiRefused, str | None], HttpResponse]
"""Answers what is refused to a page of this origin, in the shape of a door."""
_View = Callable[Concatenate[HttpRequest, _Arguments], Coroutine[Any, Any, HttpResponseBase]]


def api_view(
    *methods: str,
    words_key: str = "message",
    refusal_answer: RefusalAnswer | None = None,
    page_headers: Sequence[str] = (),
) -> Callable[[_View[_Arguments]], _View[_Arguments]]:
    """Make a view of the API of one that answers these `methods` and raises what it refuses.

    Refused with `ApiRefused`, with `ProtocolError` as a WebSocket's request would be, because the database is away, or
    because of a mistake of ours, a request is answered in JSON, with the sentence as `words_key`, too, or as a door's
    own `refusal_answer` says it. Pages of other origins may read the answer; what their browsers ask before (OPTIONS)
    is answered here, and that they may send `page_headers`, too. A view for which a cookie is enough to change
    something checks by itself that the request is not forged.
    """
    allowed = ", ".join((*methods, "OPTIONS"))

    def decorate(view: _View[_Arguments]) -> _View[_Arguments]:
        @csrf_exempt
        @wraps(view)
        async def answered(
            request: HttpRequest, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
        ) -> HttpResponseBase:
            if request.method == "OPTIONS":
                return preflight(allowed, (*PAGE_HEADERS, *page_headers))
            origin = request.headers.get("Origin")
            with speaking(language_of(request)):
                try:
                    if request.method not in methods:
                        raise wrong_method(allowed)
                    return for_pages(await view(request, *args, **kwargs), origin)
                except ApiRefused as error:
                    refused = error
                except ProtocolError as error:
                    refused = ApiRefused.of(error)
                except SuspiciousOperation as error:  # what Django does not read, as an address with 1,001 parameters
                    refused = ApiRefused.of(_unreadable(error))
                except Exception as error:
                    if is_away(error):
                        refused = database_away()
                    else:
                        logger.exception("A request to %s failed.", request.path)
                        refused = ApiRefused.of(our_mistake())
                measures.REFUSALS.add(refused.code)
                if refusal_answer is not None:
                    return refusal_answer(refused, origin)
                return refused.answer(origin, words_key=words_key)

        return answered

    return decorate


def _unreadable(error: SuspiciousOperation) -> ProtocolError:
    return ProtocolError(ErrorCode.BAD_FIELD, _("The request cannot be read: %(error)s") % {"error": error})


@api_view("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
async def unknown_path(request: HttpRequest) -> HttpResponse:
    """The view for what begins like an address of the API and is none."""
    raise no_such_path()


async def admit(request: HttpRequest, *, size: int = 0, changes: bool = False, in_url: bool = True) -> Grant:
    """Decide who asks, and count the request with so many bytes. Raises `ApiRefused`.

    A request that `changes` something has to come with an `Origin` where a browser sends it. A token may be shown
    `in_url` by old addresses only: it ends up in logs there.
    """
    scope = request.scope  # type: ignore[attr-defined]  # ASGIRequest
    engine = scope.get("state", {}).get("engine")
    if engine is not None and engine.memory_watch.is_scarce:
        words = _("The server is short of memory. Nothing was changed; please try again in a while.")
        late = {"Retry-After": str(BUSY_SECONDS)}
        raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, ErrorCode.BUSY, words, headers=late)
    if not in_url and "token" in parse_qs(scope.get("query_string", b"").decode("latin-1")):
        words = _("A token belongs into the header Authorization: Bearer …, not into the address, which logs keep.")
        raise ProtocolError(ErrorCode.BAD_FIELD, words)
    try:
        grant = await (authorize if changes else authorize_request)(scope, get_config())
    except (HandshakeForbidden, ConnectionRefused) as refusal:
        raise _refusal(refusal, in_url=in_url) from refusal
    try:
        count_request(grant, size, get_config())
    except RateExceeded as error:
        headers = {"Retry-After": str(error.retry_after)}
        raise ApiRefused(
            HTTPStatus.TOO_MANY_REQUESTS, ErrorCode.TOO_MANY_REQUESTS, str(error), headers=headers
        ) from error
    return grant


def _refusal(refusal: HandshakeForbidden | ConnectionRefused, *, in_url: bool) -> ApiRefused:
    if isinstance(refusal, HandshakeForbidden):
        words = _("This host or page is not allowed without a token; the server's log says why.")
        return ApiRefused(HTTPStatus.FORBIDDEN, refusal.code, words)
    if refusal.retry_after is not None:
        words = _("Too many invalid tokens came from your address. Please try again later.")
        late = {"Retry-After": str(refusal.retry_after)}
        return ApiRefused(HTTPStatus.TOO_MANY_REQUESTS, refusal.code, words, headers=late)
    words = _("Show a token (the header Authorization: Bearer …), or log in.")
    if in_url:
        words = _("Show a token (?token=… or the header Authorization: Bearer …), or log in.")
    if refusal.code == "invalid_token":
        words = _("The token is unknown, expired or revoked.")
    headers = {"WWW-Authenticate": 'Bearer realm="MyAgent"'}
    return ApiRefused(HTTPStatus.UNAUTHORIZED, refusal.code, words, headers=headers)


def preflight(methods: str, headers: Sequence[str]) -> HttpResponse:
    """What a browser asks before it sends a token for a page of another origin; the request itself is decided on."""
    allowed = {
        "Access-Control-Allow-Headers": ", ".join(headers),
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
    }
    answer = HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"Allow": methods, **allowed})
    return for_pages(answer, "*")
