"""What the log line of some code is about: a connection, a run. Code that it calls, in threads too, inherits it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

_ids: ContextVar[Mapping[str, object]] = ContextVar("myagent_log_ids", default=MappingProxyType({}))


def log_ids(**ids: object) -> None:
    """Name what this task is about from now on, instead of what it was about before. None is left out."""
    _ids.set(MappingProxyType({name: value for name, value in ids.items() if value is not None}))


def current_ids() -> dict[str, object]:
    """What the code that runs now is about, with the ids of OpenTelemetry's span if it is within one."""
    return {**_ids.get(), **_span_ids()}


def _span_ids() -> dict[str, object]:
    # Not imported for this: where nobody else has, there is no span.
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return {}
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return {}
    return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
