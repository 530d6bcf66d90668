"""Stores the spans of one traced run. Nothing waits for it, and the run does not suffer when a span is not stored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from myagent.tracing.spans import TracedSpan, Watcher
from sessions_app.journal.entries.spans import BeginSpan, EndSpan
from sessions_app.journal.refusal import Refused
from sessions_app.journal.writer import Journal, JournalClosed

logger = logging.getLogger("myagent.tracing")

_LONGEST_NAME = 200
_LONGEST_FINISH = 64


class SpanRecorder(Watcher):
    """`fields` are those that every entry of the run has."""

    def __init__(self, journal: Journal, fields: Mapping[str, Any]) -> None:
        self._journal = journal
        self._fields = fields

    def begun(self, span: TracedSpan) -> None:
        if span.kind == "run":
            return  # stored in a table of its own
        columns = {
            "kind": span.kind,
            "name": (f"{span.point}: {span.name}" if span.point else span.name)[:_LONGEST_NAME],
            "step": span.step,
            "attempt": span.attempt,
            "step_id": span.call.step_id if span.call is not None else "",
            "started_at": span.started_at,
        }
        self._offer(BeginSpan(**self._fields, span_id=span.id, columns=columns))

    def ended(self, span: TracedSpan) -> None:
        if span.kind == "run":
            return
        usage = span.usage if span.usage is not None and (span.usage.input_tokens or span.usage.output_tokens) else None
        columns = {
            "outcome": span.outcome,
            "finish": span.finish[:_LONGEST_FINISH],
            "error": span.error,
            "duration_ms": span.duration_ms,
            "first_token_ms": span.first_token_ms,
            # A model that does not report its usage has unknown usage, not zero.
            "input_tokens": usage.input_tokens if usage is not None else None,
            "output_tokens": usage.output_tokens if usage is not None else None,
            "cached_input_tokens": usage.cached_input_tokens if usage is not None else 0,
            "cache_write_tokens": usage.cache_write_tokens if usage is not None else 0,
            "reasoning_tokens": usage.reasoning_tokens if usage is not None else 0,
            "retries": span.retries,
        }
        self._offer(EndSpan(**self._fields, span_id=span.id, columns=columns))

    def _offer(self, entry: BeginSpan | EndSpan) -> None:
        try:
            # Not `submit`, which waits for room: a run has few calls at a time, and each waits with its other entries.
            self._journal.offer(entry).add_done_callback(_noted)
        except JournalClosed:
            logger.info("The journal is closed; a span of run %s is not stored.", entry.of_run)


def _noted(outcome: asyncio.Future[Any]) -> None:
    # A refusal means that the run has ended or has another owner, which the driver's own entries tell it.
    if not outcome.cancelled() and (error := outcome.exception()) is not None and not isinstance(error, Refused):
        logger.warning("A span could not be stored: %s", error)
