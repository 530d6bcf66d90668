"""What may be written to the log."""

from __future__ import annotations

import logging
import re

_SECRETS = re.compile(r"(?P<name>\btoken=|\bBearer\s+)[^\s&\"'#;,)\]}]+|\bmya_[\w-]{8,}", re.IGNORECASE)


def redact(text: str) -> str:
    """`text` with every access token in it blotted out."""
    return _SECRETS.sub(lambda match: f"{match['name'] or 'mya_'}***", text)


class RedactingFormatter(logging.Formatter):
    """Formats a record, its traceback included, without the access tokens in it."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


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
