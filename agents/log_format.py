"""What may be written to the log, and what it looks like."""

from __future__ import annotations

import logging
import os
import re
import sys
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TextIO

import orjson

from agents.log_context import current_ids

_SECRETS = re.compile(
    r"(?P<name>\btoken=|\bBearer\s+)[^\s&\"'#;,)\]}]+|\bmya_[\w-]{8,}|\beyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)?", re.IGNORECASE
)
_EVENT = re.compile(r"\b(?:user|agent|system|plan|solver|aggregate|pipeline)\.[a-z_]+\b")

LONGEST_DETAIL = 600
"""Characters of a message below a warning; what is longer is cut, since it is there to be read as it goes by."""
LONGEST_MESSAGE = 8_000
"""The same in lines for programs, which many of them cut at 16 KiB themselves."""
FACTS = "myagent_facts"
"""A name in `extra` for a dict whose items become fields of a line for programs."""

_DIM, _BLUE, _CYAN, _YELLOW, _RED = "2", "34", "36", "33", "31"
_LEVELS = {"DEBUG": _DIM, "INFO": _BLUE, "WARNING": _YELLOW, "ERROR": _RED, "CRITICAL": f"1;{_RED}"}


def redact(text: str) -> str:
    """`text` with every access token in it blotted out."""
    return _SECRETS.sub(lambda match: f"{match['name'] or match[0][:4]}***", text)


class RedactingFormatter(logging.Formatter):
    """Formats a record, its traceback included, without the access tokens in it."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class ConsoleFormatter(RedactingFormatter):
    """For people: details cut to a length that can be read, and in colour where `stream` is a terminal.

    With the number of a `worker` each line begins with it, since all workers write to one log.
    """

    def __init__(
        self, *args: object, stream: TextIO | None = None, worker: int | None = None, **options: object
    ) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.in_colour = wants_colour(stream or sys.stderr)
        self._prefix = "" if worker is None else f"[{worker}] "

    def formatMessage(self, record: logging.LogRecord) -> str:
        if record.levelno < logging.WARNING:
            record.message = _cut(record.message)
        if not self.in_colour:
            return self._prefix + super().formatMessage(record)
        level = _painted(f"{record.levelname:<7}", _LEVELS.get(record.levelname, _DIM))
        place = _painted(f"{self.formatTime(record, '%H:%M:%S')}.{record.msecs:03.0f}", _DIM)
        message = _EVENT.sub(lambda match: _painted(match[0], _CYAN), record.message)
        return f"{self._prefix}{place} {level} {_painted(record.name, _DIM)} {message}"


class JsonFormatter(logging.Formatter):
    """For programs: an object in each line, with the ids of what it is about. Without access tokens, too."""

    def __init__(self, *args: object, worker: int | None = None, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self._of_process = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        message = redact(record.getMessage())
        if record.levelno < logging.WARNING:
            message = _cut(message, LONGEST_MESSAGE)
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": message,
            **self._of_process,
            **current_ids(),
        }
        # Only our own: what others put into `extra` may be anything.
        if isinstance(facts := getattr(record, FACTS, None), dict):
            line |= facts
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = redact(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


def wants_colour(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that shows colours, unless NO_COLOR is set (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in (None, "dumb")


def _cut(text: str, longest: int = LONGEST_DETAIL) -> str:
    left_out = len(text) - longest
    return text if left_out <= 0 else f"{text[:longest]}… (+{left_out})"


def _painted(text: str, codes: str) -> str:
    return f"\x1b[{codes}m{text}\x1b[0m"


def without_traceback(record: logging.LogRecord) -> bool:
    """A logging filter: keep the record's words only. For what any stranger can provoke."""
    record.exc_info = record.exc_text = None
    return True


def as_warning(record: logging.LogRecord) -> bool:
    """A logging filter: a warning with the words of the exception. For what a library calls an error and we outlive."""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        record.msg, record.args = f"{record.getMessage()}: {error}", ()
    record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
    return without_traceback(record)


def refusal_of_api(record: logging.LogRecord) -> bool:
    """A logging filter: what the API refuses a program is its own matter, as on a WebSocket, and no line of the log."""
    status, request = getattr(record, "status_code", 500), getattr(record, "request", None)
    return not (
        status < HTTPStatus.INTERNAL_SERVER_ERROR
        and getattr(request, "path_info", "").startswith(("/api/", "/v1/", "/mcp"))
    )


def outage_as_warning(record: logging.LogRecord) -> bool:
    """A logging filter: an unavailable service is a warning without a traceback; our own loggers say why."""
    return as_warning(record) if getattr(record, "status_code", None) == HTTPStatus.SERVICE_UNAVAILABLE else True
