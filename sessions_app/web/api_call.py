"""One request of a program over HTTP: who asks, and the request of the protocol that its body is.

All that doors over HTTP share: the admission, the size of a body, the request read by the classes of the WebSocket.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from pydantic import BaseModel

from agents.access.trace_context import traceparent_of
from agents.conf import get_config
from agents.log_context import log_ids
from agents.web.api_admission import admit
from agents.web.api_errors import database_away
from agents.web.forgery import check_forgery
from myagent.i18n import gettext as _
from myagent.protocol.client_fields import ClientEvent
from myagent.protocol.codec import parse_as, parse_body, parse_event
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.text import clean_value
from sessions_app.engine import Engine
from sessions_app.services.caller import Caller, UsableSession, usable_session
from sessions_app.services.heavy_work import beside_the_loop, is_light

SAFE_METHODS = ("GET", "HEAD")
Asked = TypeVar("Asked", bound=ClientEvent)
Posted = TypeVar("Posted", bound=BaseModel)
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was admitted."""

    request: HttpRequest
    engine: Engine
    caller: Caller
    body: bytes

    @classmethod
    async def admitted(cls, request: HttpRequest) -> Call:
        """Decide who asks, and count it. Raises `ApiRefused` and `ProtocolError`."""
        changes = request.method not in SAFE_METHODS
        limit = get_config().max_frame_bytes
        body: bytes = request.read(limit + 1) if changes else b""
        grant = await admit(request, size=len(body), changes=changes, in_url=False)
        if changes:
            _check_body(request, body, limit)
            check_forgery(request, grant)
        scope = request.scope  # type: ignore[attr-defined]  # ASGIRequest
        caller = Caller(connection_id=str(uuid.uuid4()), grant=grant, traceparent=traceparent_of(scope))
        log_ids(connection=caller.connection_id, user_id=grant.user_id)
        return cls(request, engine_of(request), caller, body)

    async def read(self, kind: type[Asked], shape: Callable[[Body], Body]) -> Asked:
        """The request that the body is, once `shape` has made of it what a frame holds. Raises `ProtocolError`."""
        work = partial(_read, self.body, kind, shape)
        return work() if is_light(self.body.decode("latin-1")) else await beside_the_loop(work)

    async def read_as(self, kind: type[Posted]) -> Posted:
        """The request of another protocol that the body is. Raises `ProtocolError`."""
        work = partial(_read_as, self.body, kind)
        return work() if is_light(self.body.decode("latin-1")) else await beside_the_loop(work)

    def asked(self, kind: type[Asked], **frame: Any) -> Asked:
        """The request that the address is. Raises `ProtocolError`."""
        return _read(b"", kind, lambda body: clean_value(frame))

    async def session(self, session_id: str) -> UsableSession:
        """The session that is asked for. Raises `ProtocolError` when there is none that the caller may use."""
        facts = await usable_session(self.caller, session_id)
        return UsableSession(facts.id, facts.agent)


def _read(body: bytes, kind: type[Asked], shape: Callable[[Body], Body]) -> Asked:
    name = kind.model_fields["event"].default
    return cast(Asked, parse_event({**shape(parse_body(body)), "event": name}))


def _read_as(body: bytes, kind: type[Posted]) -> Posted:
    return parse_as(kind, parse_body(body))


def engine_of(request: HttpRequest) -> Engine:
    """The engine of this process. Raises `ApiRefused` where none is running."""
    engine: Engine | None = request.scope.get("state", {}).get("engine")  # type: ignore[attr-defined]  # ASGIRequest
    if engine is None:
        raise database_away()
    return engine


def _check_body(request: HttpRequest, body: bytes, limit: int) -> None:
    if len(body) > limit:
        words = _("The body is too large: it may have %(limit)s.") % {"limit": filesizeformat(limit)}
        raise ProtocolError(ErrorCode.TOO_LARGE, words, limit=limit)
    if body and request.content_type != "application/json":
        words = _("The body should be JSON, with the header Content-Type: application/json.")
        raise ProtocolError(ErrorCode.UNSUPPORTED_TYPE, words)
