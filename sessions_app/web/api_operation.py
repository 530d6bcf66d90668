"""One operation of the API: where it is asked for, what it takes and answers. Routes and OpenAPI are made of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.http import HttpResponseBase
from pydantic import BaseModel

from myagent.protocol.error_codes import ErrorCode

View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]
JsonSchema = dict[str, Any]
NUMBER: JsonSchema = {"type": "integer", "minimum": 0}
TEXT: JsonSchema = {"type": "string"}
JSON = "application/json"
BYTES = "application/octet-stream"
NOT_FOUND = (ErrorCode.SESSION_NOT_FOUND,)
OF_A_MESSAGE = (
    *NOT_FOUND,
    *(ErrorCode.EMPTY_MESSAGE, ErrorCode.SESSION_CLOSED, ErrorCode.SESSION_BUSY, ErrorCode.AGENT_UNAVAILABLE),
    *(ErrorCode.OVER_QUOTA, ErrorCode.BUDGET_EXCEEDED, ErrorCode.TOO_MANY_RUNS, ErrorCode.TOO_MANY_MESSAGES),
    *(ErrorCode.FILE_NOT_FOUND, ErrorCode.UNSUPPORTED_TYPE),
)
"""Why what is said may be refused, at any door."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OperationParameter:
    """What an address, or a header, may say beside its path."""

    name: str
    text: str
    schema: JsonSchema
    place: str = "query"


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """What is asked at one address with one method. `view` answers a `Call` that was admitted.

    `own_view` is there instead of it where a view admits by itself, which has its address alone then.
    """

    method: str
    path: str
    """Behind `/api/`, without a slash at the end; names are in braces."""
    text: str
    view: Callable[..., Awaitable[HttpResponseBase]] | None = None
    own_view: View | None = None
    also_at: tuple[str, ...] = ()
    """Further paths, which clients make up of the address; not described."""
    asks: type[BaseModel] | None = None
    """The body: of a request of the protocol, less what the address says."""
    asks_as: str = JSON
    parameters: tuple[OperationParameter, ...] = ()
    answer: type[BaseModel] | None = None
    """The body of success where that is JSON."""
    answers_as: tuple[str, ...] = ()
    """The media types of success where that is no JSON, or may be something else."""
    status: HTTPStatus = HTTPStatus.OK
    also: tuple[HTTPStatus, ...] = ()
    """Other ways to succeed; 204 is one without a body."""
    codes: tuple[ErrorCode, ...] = ()
    """Why it may be refused, beside what every operation may be refused for."""

    @property
    def name(self) -> str:
        """Its name among all operations."""
        answering = self.view or self.own_view
        assert answering is not None, self.path
        return answering.__name__
