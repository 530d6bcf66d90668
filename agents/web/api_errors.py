"""What the API refuses: one shape in JSON, and the status of each code of the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from django.http import HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode, ProtocolError

STATUS = {
    ErrorCode.BAD_JSON: HTTPStatus.BAD_REQUEST,
    ErrorCode.BAD_FRAME: HTTPStatus.BAD_REQUEST,
    ErrorCode.TOO_MANY_VALUES: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.UNKNOWN_EVENT: HTTPStatus.BAD_REQUEST,
    ErrorCode.MISSING_FIELD: HTTPStatus.BAD_REQUEST,
    ErrorCode.BAD_FIELD: HTTPStatus.BAD_REQUEST,
    ErrorCode.EMPTY_MESSAGE: HTTPStatus.BAD_REQUEST,
    ErrorCode.SESSION_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.MESSAGE_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.MESSAGE_READ: HTTPStatus.CONFLICT,
    ErrorCode.RUN_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.SESSION_CLOSED: HTTPStatus.CONFLICT,
    ErrorCode.SESSION_BUSY: HTTPStatus.CONFLICT,
    ErrorCode.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.TOO_MANY_SESSIONS: HTTPStatus.CONFLICT,
    ErrorCode.AGENT_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.AGENT_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.BUDGET_EXCEEDED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.TOO_MANY_RUNS: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.TOO_MANY_MESSAGES: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.TOO_MANY_REQUESTS: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.OVER_QUOTA: HTTPStatus.CONFLICT,
    ErrorCode.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.TOO_MANY_FILES: HTTPStatus.CONFLICT,
    ErrorCode.UNSUPPORTED_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.FILE_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.FILE_IN_USE: HTTPStatus.CONFLICT,
    ErrorCode.CURSOR_AHEAD: HTTPStatus.CONFLICT,
    ErrorCode.NO_PENDING_CONFIRMATION: HTTPStatus.CONFLICT,
    ErrorCode.NOT_SUPPORTED: HTTPStatus.BAD_REQUEST,
    ErrorCode.INVALID_STATE: HTTPStatus.BAD_REQUEST,
    ErrorCode.STATE_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.TRY_AGAIN: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.INTERNAL_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Of each code; 409 where it depends on what there is already."""


class ApiRefused(Exception):
    """Answer a request with this status, a code for programs and words for people."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        words: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.words = words
        self.details = details or {}
        self.headers = headers or {}
        super().__init__(words)

    @classmethod
    def of(cls, error: ProtocolError) -> ApiRefused:
        """The same refusal that a WebSocket would be sent; `details` has what is in the metadata there."""
        late = error.data.get("retry_after")
        headers = {"Retry-After": str(late)} if late else {}
        return cls(STATUS[error.code], error.code, str(error), details=error.data, headers=headers)

    def answer(self, origin: str | None, *, words_key: str = "message") -> HttpResponse:
        """The answer to a page of this origin; only those of forbidden ones may not read it."""
        details = {"details": self.details} if self.details else {}
        words = {"message": self.words, words_key: self.words}
        answer = json_answer({**words, "code": self.code, **details}, status=self.status)
        for name, value in self.headers.items():
            answer.headers[name] = value
        return answer if self.status is HTTPStatus.FORBIDDEN else for_pages(answer, origin)


def database_away() -> ApiRefused:
    """While the database does not answer."""
    words = _("The database does not answer at the moment; please try again.")
    return ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, ErrorCode.TRY_AGAIN, words)


def wrong_method(methods: str) -> ApiRefused:
    """For a method that is none of these."""
    words = _("Only %(methods)s are supported here.") % {"methods": methods}
    return ApiRefused(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", words, headers={"Allow": methods})


def no_such_path() -> ApiRefused:
    """For an address of the API that there is not."""
    words = _("There is nothing at this address. What there is: /api/openapi.json")
    return ApiRefused(HTTPStatus.NOT_FOUND, "not_found", words)


def our_mistake() -> ProtocolError:
    """For what went wrong here."""
    words = _("The server made a mistake with this request; its log has the details.")
    return ProtocolError(ErrorCode.INTERNAL_ERROR, words)


def json_answer(body: dict[str, Any], status: int = HTTPStatus.OK) -> HttpResponse:
    """One caller's answer, true for seconds."""
    return for_one_caller(JsonResponse(body, status=status, json_dumps_params={"ensure_ascii": False}))


_Answer = TypeVar("_Answer", bound=HttpResponseBase)


def for_one_caller(answer: _Answer) -> _Answer:
    """Let nothing on the way keep the answer."""
    answer.headers["Cache-Control"] = "no-store"
    patch_vary_headers(answer, ("Authorization", "Cookie", "Origin"))
    return answer


def no_content() -> HttpResponse:
    """For what was done and has nothing to tell."""
    answer = HttpResponse(status=HTTPStatus.NO_CONTENT)
    del answer.headers["Content-Type"]
    return for_one_caller(answer)


def for_pages(answer: _Answer, origin: str | None) -> _Answer:
    """Let a page of another origin read what it may ask. Without cookies: with these only our own pages get in."""
    if origin is not None:
        answer.headers["Access-Control-Allow-Origin"] = origin
        answer.headers["Access-Control-Expose-Headers"] = (
            "Location, Mcp-Session-Id, Retry-After, WWW-Authenticate, X-MyAgent-Session, X-Request-Id, X-Should-Retry"
        )
    return answer
