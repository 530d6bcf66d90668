import time
from email.utils import formatdate

import pytest

from myagent.llm.http.error_body import ErrorBody
from myagent.llm.http.retries import Retries, is_told

BUSY = ErrorBody(words="busy")


def test_as_often_as_it_was_said_and_slower_each_time():
    retries = Retries(3, 300)
    waits = [retries.after_refusal(503, {}, BUSY) for _ in range(4)]
    assert waits[3] is None and retries.count == 3
    assert all(before < after for before, after in zip(waits[:2], waits[1:3], strict=True))
    assert 0.3 < waits[0] <= 0.5


@pytest.mark.parametrize("status", [408, 409, 429, 500, 529])
def test_what_is_temporary(status):
    assert Retries(1, 300).after_refusal(status, {}, BUSY) is not None


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_what_is_not(status):
    assert Retries(1, 300).after_refusal(status, {}, BUSY) is None
    assert Retries(1, 300).after_refusal(status, {"x-should-retry": "true"}, BUSY) is not None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "119"}, 119),
    ],
)
def test_the_endpoint_says_how_long(headers, seconds):
    assert Retries(1, 300).after_refusal(429, headers, BUSY) == seconds


def test_a_date_to_wait_for():
    seconds = Retries(1, 300).after_refusal(503, {"retry-after": formatdate(time.time() + 30, usegmt=True)}, BUSY)
    assert seconds is not None and 20 < seconds <= 31


@pytest.mark.parametrize("headers", [{"retry-after": "soon"}, {"retry-after": "nan"}, {"retry-after": "-3"}])
def test_what_is_no_time_counts_as_none(headers):
    seconds = Retries(1, 300).after_refusal(503, headers, BUSY)
    assert seconds is not None and seconds <= 0.5


@pytest.mark.parametrize("headers", [{"retry-after": "3600"}, {"x-should-retry": "false"}, {"retry-after": "inf"}])
def test_what_is_not_worth_waiting_for(headers):
    assert Retries(1, 300).after_refusal(429, headers, BUSY) is None


def test_an_account_that_is_used_up_is_not_asked_again():
    used_up = ErrorBody("insufficient_quota", "see billing")
    assert Retries(9, 300).after_refusal(429, {}, used_up) is None
    assert Retries(9, 300).after_refusal(429, {"retry-after": "5"}, used_up) == 5


def test_what_is_too_long_is_not_asked_again():
    assert Retries(9, 300).after_refusal(500, {}, ErrorBody(words="Context size has been exceeded.")) is None


def test_loading_is_waited_for_as_long_as_there_is_patience():
    retries, waited = Retries(0, 60.0), 0.0
    while (seconds := retries.after_refusal(503, {}, ErrorBody(words="Loading model"))) is not None:
        waited += seconds
        assert waited < 100
    assert 50 < waited <= 60
    assert retries.after_refusal(503, {}, BUSY) is None


def test_long_waits_are_told():
    assert is_told(1.0) and not is_told(0.5)
