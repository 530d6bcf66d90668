"""Refusals and failed runs in the shape that clients of OpenAI's API read, with our codes."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse

from agents.web.api_errors import STATUS, ApiRefused, for_pages, json_answer
from myagent.protocol.error_codes import ErrorCode

QUIET_CONFLICTS = {
    ErrorCode.SESSION_BUSY: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.OVER_QUOTA: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.SESSION_CLOSED: HTTPStatus.FORBIDDEN,
}
"""OpenAI's clients send again by themselves what was refused with 409."""
TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}


def error_body(words: str, code: str, details: Mapping[str, Any], status: int | None = None) -> dict[str, Any]:
    """The body of an error; `param`, the field that OpenAI would name, is in the words."""
    known = status or _status_of_failure(code)
    kind = TYPES.get(HTTPStatus(known)) or ("server_error" if known >= 500 else "invalid_request_error")
    told = {"details": dict(details)} if details else {}
    return {"error": {"message": words, "type": kind, "code": code, "param": None, **told}}


def refusal_answer(refused: ApiRefused, origin: str | None) -> HttpResponse:
    """The answer to a request that is refused."""
    status = _without_conflict(refused.code, refused.status)
    answer = json_answer(error_body(refused.words, refused.code, refused.details, status), status=status)
    for name, value in refused.headers.items():
        answer.headers[name] = value
    if not (refused.status is HTTPStatus.SERVICE_UNAVAILABLE or "Retry-After" in refused.headers):
        answer.headers["X-Should-Retry"] = "false"
    return answer if refused.status is HTTPStatus.FORBIDDEN else for_pages(answer, origin)


def failure_answer(words: str, code: str, details: Mapping[str, Any]) -> HttpResponse:
    """The answer to a request whose run has failed: asked once more, the agent would do everything once more."""
    status = _status_of_failure(code)
    answer = json_answer(error_body(words, code, details, status), status=status)
    answer.headers["X-Should-Retry"] = "false"
    return answer


def _without_conflict(code: str, status: HTTPStatus) -> HTTPStatus:
    if status is not HTTPStatus.CONFLICT:
        return status
    return next((known for name, known in QUIET_CONFLICTS.items() if name == code), HTTPStatus.BAD_REQUEST)


def _status_of_failure(code: str) -> HTTPStatus:
    """Of a run that ended with this code: what is none of our refusals is the fault of the model's endpoint."""
    known = next((status for name, status in STATUS.items() if name == code), HTTPStatus.BAD_GATEWAY)
    return _without_conflict(code, known)
