"""Which function answers which request of a client. `@handles` registers it; `table` refuses to leave one out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import ModuleType
from typing import Any, TypeVar

from myagent.protocol.client_fields import ClientEvent
from myagent.protocol.codec import CLIENT_EVENT_CLASSES
from sessions_app.connection.requester import Requester
from sessions_app.engine import Engine

Request = TypeVar("Request", bound=ClientEvent)
Handler = Callable[[Engine, Requester, Request], Awaitable[None]]
"""Carries out one request and answers it through the requester's pump. Raises `ProtocolError` to refuse it."""

_REGISTERED: dict[type[ClientEvent], Handler[Any]] = {}


def handles(*kinds: type[Request]) -> Callable[[Handler[Request]], Handler[Request]]:
    """Register the decorated function for requests of these classes; the type checker compares it with them."""

    def register(handler: Handler[Request]) -> Handler[Request]:
        for kind in kinds:
            if kind in _REGISTERED:
                raise ValueError(f"{kind.__name__} has a handler already, in {_REGISTERED[kind].__module__}.")
            _REGISTERED[kind] = handler
        return handler

    return register


def table(*modules: ModuleType) -> Mapping[type[ClientEvent], Handler[Any]]:
    """The handlers of these modules. Raises `NotImplementedError` when a request of the protocol has none."""
    names = {module.__name__ for module in modules}
    found = {kind: handler for kind, handler in _REGISTERED.items() if handler.__module__ in names}
    if missing := [kind.__name__ for kind in CLIENT_EVENT_CLASSES if kind not in found]:
        raise NotImplementedError(f"No function in {', '.join(sorted(names))} handles {', '.join(missing)}.")
    return found
