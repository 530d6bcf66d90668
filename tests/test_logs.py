"""What other people's records look like in our log."""

from __future__ import annotations

import logging

import pytest
from django.conf import settings

from agents.logs import as_warning, without_traceback


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
