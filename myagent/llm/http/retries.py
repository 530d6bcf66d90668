"""When a request to an endpoint is repeated, and after how long."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from myagent.llm.http.error_body import ErrorBody
from myagent.llm.http.wordings import says_loading, says_no_pictures, says_too_long, says_used_up

_FIRST_SECONDS, _LONGEST_SECONDS = 0.5, 8.0
_JITTER = 0.25
_LONGEST_ASKED_SECONDS = 120.0
"""The longest wait that an endpoint may ask for; a longer one is not for somebody who waits for an answer."""
_TEMPORARY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS)
_TOLD_FROM_SECONDS = 1.0


class Retries:
    """The repetitions of one request: at most `most`, and for `patience` seconds those while the model is loaded."""

    def __init__(self, most: int, patience: float) -> None:
        self.count = 0
        self._patience = patience
        self._left = most

    def after_refusal(self, status: int, headers: Mapping[str, str], said: ErrorBody) -> float | None:
        """The seconds until the request is sent once more; None when that would not help, or was done often enough."""
        told = headers.get("x-should-retry", "").lower()
        if told == "false" or not (told == "true" or status in _TEMPORARY or status >= 500):
            return None
        if (
            says_too_long(said.text)
            or says_no_pictures(said.text)
            or (status == HTTPStatus.TOO_MANY_REQUESTS and _is_final(headers, said))
        ):
            return None
        asked = _asked_seconds(headers)
        if asked is not None and asked > _LONGEST_ASKED_SECONDS:
            return None
        seconds = asked if asked is not None and asked > 0 else self._backoff()
        if status == HTTPStatus.SERVICE_UNAVAILABLE and says_loading(said.text) and seconds < self._patience:
            self._patience -= seconds
            return self._counted(seconds)
        return self._spent(seconds)

    def after_break(self) -> float | None:
        """The same after a connection that could not be made or broke off before an answer."""
        return self._spent(self._backoff())

    def _spent(self, seconds: float) -> float | None:
        if not self._left:
            return None
        self._left -= 1
        return self._counted(seconds)

    def _counted(self, seconds: float) -> float:
        self.count += 1
        return seconds

    def _backoff(self) -> float:
        seconds: float = min(_FIRST_SECONDS * 2 ** min(self.count, 10), _LONGEST_SECONDS)
        return seconds * (1 - _JITTER * random.random())


def is_told(seconds: float) -> bool:
    """Whether a wait is long enough to speak of."""
    return seconds >= _TOLD_FROM_SECONDS


def _is_final(headers: Mapping[str, str], said: ErrorBody) -> bool:
    """Whether it is the account that is used up, and not the allowance of this minute."""
    return says_used_up(said.text) and _asked_seconds(headers) is None


def _asked_seconds(headers: Mapping[str, str]) -> float | None:
    """What the headers ask to wait, in seconds; None without a usable one."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        return seconds if seconds == seconds else None  # not a number
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
