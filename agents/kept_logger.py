"""One logger as it was, to be put back when others have silenced it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, TextIO


class KeptLogger:
    """What a logger and its handlers need so that they say as much as they did. More handlers are nobody's harm."""

    def __init__(self, logger: logging.Logger, *, is_new: bool = False) -> None:
        """`is_new`: it was made after the others, so that it may have been silenced already."""
        self._logger = logger
        self._handlers = [] if is_new else [_KeptHandler(handler) for handler in logger.handlers]
        self._filters = [] if is_new else list(logger.filters)
        self._propagate = is_new or logger.propagate
        self._disabled = not is_new and logger.disabled
        self._level = logging.NOTSET if is_new else logger.level
        self._seen: Any = None

    def write_to(self, stream: TextIO, *, instead_of: TextIO | None) -> None:
        """Let the handlers that write to one stream write to another; None is the one that they were given here."""
        for handler in self._handlers:
            handler.write_to(stream, instead_of=instead_of)

    def mend(self) -> list[str]:
        """Put back what was changed; returns the names of that."""
        if self._seen == self._state():
            return []
        changed = [*self._mend_logger(), *(what for handler in self._handlers for what in handler.mend())]
        self._seen = self._state()
        return changed

    def _state(self) -> Any:
        logger, handlers = self._logger, [kept.handler for kept in self._handlers]
        own = logger.disabled, logger.propagate, logger.level, logger.filters.copy(), logger.handlers.copy()
        return own, [(each.level, each.formatter, each.filters.copy(), getattr(each, "stream", 0)) for each in handlers]

    def _mend_logger(self) -> Iterator[str]:
        logger = self._logger
        if logger.disabled != self._disabled:
            logger.disabled = self._disabled
            yield "disabled"
        if logger.propagate != self._propagate:
            logger.propagate = self._propagate
            yield "propagate"
        if logger.level > self._level and logger.getEffectiveLevel() > self._effective_level():
            logger.setLevel(self._level)
            yield "level"
        if logger.filters != self._filters:
            logger.filters[:] = self._filters
            yield "filters"
        if missing := [kept.handler for kept in self._handlers if kept.handler not in logger.handlers]:
            logger.handlers[:0] = missing
            yield "handlers"

    def _effective_level(self) -> int:
        parent = self._logger.parent
        return self._level or (parent.getEffectiveLevel() if parent is not None else logging.NOTSET)


class _KeptHandler:
    def __init__(self, handler: logging.Handler) -> None:
        self.handler = handler
        self._level, self._formatter, self._filters = handler.level, handler.formatter, list(handler.filters)
        self._stream: Any = None

    def write_to(self, stream: TextIO, *, instead_of: TextIO | None) -> None:
        if not isinstance(self.handler, logging.StreamHandler):
            return
        if self._stream is not None if instead_of is None else self.handler.stream is instead_of:
            self._stream = self.handler.stream = stream

    def mend(self) -> Iterator[str]:
        handler = self.handler
        if handler.level != self._level:
            handler.setLevel(self._level)
            yield "level of a handler"
        if handler.formatter is not self._formatter:
            handler.setFormatter(self._formatter)
            yield "formatter"
        if handler.filters != self._filters:
            handler.filters[:] = self._filters
            yield "filters of a handler"
        if (
            self._stream is not None
            and isinstance(handler, logging.StreamHandler)
            and handler.stream is not self._stream
        ):
            handler.stream = self._stream  # and not setStream(), which flushes the other one: it may be closed
            yield "stream of a handler"
