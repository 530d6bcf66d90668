"""What other people's records look like in our log."""

from __future__ import annotations

import contextvars
import io
import json
import logging
import re
import uuid
from datetime import UTC, datetime

import pytest
from django.conf import settings

from agents.log_context import log_ids
from agents.log_format import (
    FACTS,
    LONGEST_DETAIL,
    ConsoleFormatter,
    JsonFormatter,
    as_warning,
    wants_colour,
    without_traceback,
)
from tests.support.services import module


@pytest.fixture
def record():
    """What `logger.exception` makes."""
    try:
        raise ConnectionError("nobody listens")
    except ConnectionError as error:
        trouble = (type(error), error, error.__traceback__)
    return logging.LogRecord("some.library", logging.ERROR, "a.py", 1, "100%% broken: %s", ("really",), trouble)


def test_words_only(record):
    assert without_traceback(record)
    assert logging.Formatter().format(record) == "100% broken: really"
    assert record.levelno == logging.ERROR


def test_a_warning_with_the_words_of_the_exception(record):
    assert as_warning(record)
    line = logging.Formatter("%(levelname)s %(message)s").format(record)
    assert line == "WARNING 100% broken: really: nobody listens"
    assert record.levelno == logging.WARNING


def test_a_warning_without_an_exception():
    record = logging.LogRecord("some.library", logging.ERROR, "a.py", 1, "broken", (), None)
    assert as_warning(record)
    assert (record.getMessage(), record.levelname) == ("broken", "WARNING")


def test_that_redis_is_away_is_no_error():
    assert settings.LOGGING["loggers"]["channels_redis.pubsub"]["filters"] == ["as_warning"]
    assert settings.LOGGING["filters"]["as_warning"]["callback"] is as_warning


# --- what a person sees -----------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def line(message, *, level=logging.DEBUG, stream=None):
    record = logging.LogRecord("agents.a", level, "a.py", 1, message, (), None)
    return ConsoleFormatter("%(levelname)s %(name)s: %(message)s", stream=stream or io.StringIO()).format(record)


def test_details_are_cut_and_warnings_are_not():
    long = "x" * (LONGEST_DETAIL + 5)
    assert line(long) == f"DEBUG agents.a: {'x' * LONGEST_DETAIL}… (+5)"
    assert line(long[:LONGEST_DETAIL]) == f"DEBUG agents.a: {'x' * LONGEST_DETAIL}"
    assert line(long, level=logging.WARNING) == f"WARNING agents.a: {long}"


def test_a_terminal_has_colours(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = line("-> user.message token=abc", level=logging.ERROR, stream=Terminal())
    assert "\x1b[31mERROR  \x1b[0m" in shown
    assert "\x1b[36muser.message\x1b[0m" in shown
    assert re.sub(r"\x1b\[[\d;]*m", "", shown)[13:] == "ERROR   agents.a -> user.message token=***"
    assert re.match(r"\d\d:\d\d:\d\d\.\d{3} ", re.sub(r"\x1b\[[\d;]*m", "", shown))


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", None)])
def test_nobody_is_forced_to_see_colours(monkeypatch, name, value):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert wants_colour(Terminal()) and not wants_colour(io.StringIO())
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    assert not wants_colour(Terminal())
    assert "\x1b" not in line("user.message", stream=Terminal())


def test_the_server_logs_in_this_way():
    assert settings.LOGGING["formatters"]["line"]["()"] == "agents.log_format.ConsoleFormatter"


def test_a_worker_has_its_number_in_front(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    record = logging.LogRecord("agents.a", logging.INFO, "a.py", 1, "hello", (), None)
    for stream in (io.StringIO(), Terminal()):
        assert ConsoleFormatter("%(message)s", stream=stream, worker=3).format(record).startswith("[3] ")
        assert not ConsoleFormatter("%(message)s", stream=stream).format(record).startswith("[3] ")


# --- what programs read -----------------------------------------------------------------------------------------------


def read(record, **options):
    text = JsonFormatter(**options).format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_line_for_programs(record):
    record.args = ("really\n{not a line}",)
    line = read(record, worker=1)
    assert line["exception"].startswith("Traceback") and line["exception"].endswith("ConnectionError: nobody listens")
    assert datetime.fromisoformat(line.pop("time")).tzinfo is UTC
    del line["exception"]
    message = "100% broken: really\n{not a line}"
    assert line == {"level": "ERROR", "logger": "some.library", "message": message, "worker": 1}


def test_its_ids_are_those_of_the_task_and_of_the_span(record):
    trace = module("opentelemetry.sdk.trace", extra="otel")

    def work():
        log_ids(session="ab12cd34", run="r", user_id=7, connection=None)
        with trace.TracerProvider(shutdown_on_exit=False).get_tracer("t").start_as_current_span("s") as span:
            return read(record), span.get_span_context()

    line, span = contextvars.copy_context().run(work)
    assert (line["session"], line["run"], line["user_id"]) == ("ab12cd34", "r", 7) and "connection" not in line
    assert int(line["trace_id"], 16) == span.trace_id and int(line["span_id"], 16) == span.span_id
    assert not {"run", "trace_id"} & read(record).keys(), "and of no other"


def test_a_line_for_programs_has_no_token_and_fields_of_ours_alone():
    words = 'Bearer "x" token=abc\\"def mya_0123456789 ' + "x" * 9000
    record = logging.LogRecord("agents.a", logging.INFO, "a.py", 1, words, (), None)
    record.password = "swordfish"
    setattr(record, FACTS, {"outcome": "answer", "run": uuid.UUID(int=7)})
    line = read(record)
    assert "abc" not in line["message"] and "0123456789" not in line["message"] and len(line["message"]) < 8100
    assert line["outcome"] == "answer" and line["run"].endswith("07") and "password" not in line
