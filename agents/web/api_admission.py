"""Who may ask the API, and its answers in JSON: decided as a WebSocket is that the same caller opens."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from http import HTTPStatus
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt

from agents.access.decision import ConnectionRefused, Grant, HandshakeForbidden, authorize, authorize_request
from agents.access.request_count import count_request
from agents.budgets.rates import RateExceeded
from agents.conf import get_config
from agents.database.threads import is_away
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode, ProtocolError

PREFLIGHT_SECONDS = 600
BUSY_SECONDS = 10
_STATUS = {
    ErrorCode.SESSION_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.FILE_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.UNSUPPORTED_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.TRY_AGAIN: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.AGENT_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Of everything else that is refused: 409, it depends on what there is already."""
_Arguments = ParamSpec("_Arguments")
_View = Callable[Concatenate[HttpRequest, _Arguments], Coroutine[Any, Any, HttpResponseBase]]


class ApiRefused(Exception):
    """Answer a request with this status, a code for programs and words for people."""

    def __init__(self, status: HTTPStatus, code: str, words: str, **headers: str) -> None:
        self.status = status
        self.code = code
        self.words = words
        self.headers = headers
        super().__init__(words)

    def answer(self, origin: str | None, *, words_key: str = "message") -> HttpResponse:
        """The answer to a page of this origin; only those of forbidden ones may not read it."""
        answer = json_answer({words_key: self.words, "code": self.code}, status=self.status)
        for name, value in self.headers.items():
            answer.headers[name] = value
        return answer if self.status is HTTPStatus.FORBIDDEN else for_pages(answer, origin)


def api_view(*methods: str, words_key: str = "message") -> Callable[[_View[_Arguments]], _View[_Arguments]]:
    """Make a view of the API of one that answers these `methods` and raises what it refuses.

    Refused with `ApiRefused`, with `ProtocolError` as a WebSocket's request would be, or because the database is away,
    a request is answered in JSON, with the sentence as `words_key`. Pages of other origins may read the answer; what
    their browsers ask before (OPTIONS) is answered here. A view for which a cookie is enough to change something checks
    by itself that the request is not forged.
    """
    allowed = ", ".join((*methods, "OPTIONS"))

    def decorate(view: _View[_Arguments]) -> _View[_Arguments]:
        @csrf_exempt
        @wraps(view)
        async def answered(
            request: HttpRequest, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
        ) -> HttpResponseBase:
            if request.method == "OPTIONS":
                return preflight(allowed)
            origin = request.headers.get("Origin")
            try:
                if request.method not in methods:
                    raise wrong_method(allowed)
                return for_pages(await view(request, *args, **kwargs), origin)
            except ApiRefused as refused:
                return refused.answer(origin, words_key=words_key)
            except ProtocolError as error:
                return _as_refused(error).answer(origin, words_key=words_key)
            except Error as error:
                if not is_away(error):
                    raise
                return database_away().answer(origin, words_key=words_key)

        return answered

    return decorate


def _as_refused(error: ProtocolError) -> ApiRefused:
    headers = {"Retry-After": str(error.data["retry_after"])} if error.data.get("retry_after") else {}
    return ApiRefused(_STATUS.get(error.code, HTTPStatus.CONFLICT), error.code, str(error), **headers)


async def admit(request: HttpRequest, *, size: int = 0, changes: bool = False) -> Grant:
    """Decide who asks, and count the request with so many bytes. Raises `ApiRefused`.

    A request that `changes` something has to come with an `Origin` where a browser sends it.
    """
    scope = request.scope  # type: ignore[attr-defined]  # ASGIRequest
    engine = scope.get("state", {}).get("engine")
    if engine is not None and engine.memory_watch.is_scarce:
        words = _("The server is short of memory. Nothing was changed; please try again in a while.")
        late = {"Retry-After": str(BUSY_SECONDS)}
        raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, ErrorCode.BUSY, words, **late)
    try:
        grant = await (authorize if changes else authorize_request)(scope, get_config())
    except (HandshakeForbidden, ConnectionRefused) as refusal:
        raise _refusal(refusal) from refusal
    try:
        count_request(grant, size, get_config())
    except RateExceeded as error:
        headers = {"Retry-After": str(error.retry_after)}
        raise ApiRefused(HTTPStatus.TOO_MANY_REQUESTS, ErrorCode.TOO_MANY_REQUESTS, str(error), **headers) from error
    return grant


def _refusal(refusal: HandshakeForbidden | ConnectionRefused) -> ApiRefused:
    if isinstance(refusal, HandshakeForbidden):
        words = _("This host or page is not allowed without a token; the server's log says why.")
        return ApiRefused(HTTPStatus.FORBIDDEN, refusal.code, words)
    if refusal.retry_after is not None:
        words = _("Too many invalid tokens came from your address. Please try again later.")
        late = {"Retry-After": str(refusal.retry_after)}
        return ApiRefused(HTTPStatus.TOO_MANY_REQUESTS, refusal.code, words, **late)
    words = _("Show a token (?token=… or the header Authorization: Bearer …), or log in.")
    if refusal.code == "invalid_token":
        words = _("The token is unknown, expired or revoked.")
    return ApiRefused(HTTPStatus.UNAUTHORIZED, refusal.code, words, **{"WWW-Authenticate": 'Bearer realm="MyAgent"'})


def database_away() -> ApiRefused:
    """While the database does not answer."""
    words = _("The database does not answer at the moment; please try again.")
    return ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, ErrorCode.TRY_AGAIN, words)


def wrong_method(methods: str) -> ApiRefused:
    """For a method that is none of these."""
    words = _("Only %(methods)s are supported here.") % {"methods": methods}
    return ApiRefused(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", words, Allow=methods)


def preflight(methods: str, allowed: str = "authorization") -> HttpResponse:
    """What a browser asks before it sends a token for a page of another origin; the request itself is decided on."""
    headers = {
        "Access-Control-Allow-Headers": allowed,
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
    }
    answer = HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"Allow": methods, **headers})
    return for_pages(answer, "*")


def json_answer(body: dict[str, Any], status: int = HTTPStatus.OK) -> HttpResponse:
    """One caller's answer, true for seconds."""
    answer = JsonResponse(body, status=status, json_dumps_params={"ensure_ascii": False})
    answer.headers["Cache-Control"] = "no-store"
    patch_vary_headers(answer, ("Authorization", "Cookie", "Origin"))
    return answer


_Answer = TypeVar("_Answer", bound=HttpResponseBase)


def for_pages(answer: _Answer, origin: str | None) -> _Answer:
    """Let a page of another origin read what it may ask. Without cookies: with these only our own pages get in."""
    if origin is not None:
        answer.headers["Access-Control-Allow-Origin"] = origin
    return answer
