"""One operation of the API: where it is asked for, what it takes and answers. Routes and OpenAPI are made of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.http import HttpResponseBase
from pydantic import BaseModel

from myagent.protocol.client_fields import ClientEvent
from myagent.protocol.error_codes import ErrorCode

JsonSchema = dict[str, Any]
NUMBER: JsonSchema = {"type": "integer", "minimum": 0}
TEXT: JsonSchema = {"type": "string"}


@dataclass(frozen=True, kw_only=True, slots=True)
class OperationParameter:
    """What an address, or a header, may say beside its path."""

    name: str
    text: str
    schema: JsonSchema
    place: str = "query"


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """`asks` is the request of the protocol that its body is, less what the address says; `answer` that of success.

    `view` is None for what is served elsewhere and described here.
    """

    method: str
    path: str
    """Behind `/api/`, without a slash at the end; names are in braces."""
    text: str
    view: Callable[..., Awaitable[HttpResponseBase]] | None = None
    asks: type[ClientEvent] | None = None
    parameters: tuple[OperationParameter, ...] = ()
    answer: type[BaseModel] | None = None
    status: HTTPStatus = HTTPStatus.OK
    codes: tuple[ErrorCode, ...] = ()
    """Why it may be refused, beside what every operation may be refused for."""
    streams: bool = False
    """Whether it answers live, too."""
