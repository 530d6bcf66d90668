"""How fast somebody may ask: requests and bytes per second. Each process counts what comes to it.

So somebody with connections to several processes gets the rate of each; their number bounds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from django.template.defaultfilters import filesizeformat

from agents.budgets.shares import Scope, Sharer
from agents.conf import Config
from myagent.i18n import gettext as _

BURST_SECONDS = 10
"""What was not used of so many seconds may be used at once."""
FORGET_AT = 10_000
"""Sharers that are remembered before those are forgotten who have been quiet."""

Rate = Literal["requests_per_second", "bytes_per_second"]


class RateExceeded(Exception):
    """One request too many; the next one may come after so many seconds."""

    def __init__(self, rate: Rate, limit: float, scope: Scope, retry_after: int) -> None:
        self.rate = rate
        self.limit = limit
        self.scope = scope
        self.retry_after = retry_after
        super().__init__(self._words)

    @property
    def _words(self) -> str:
        if self.scope == "anonymous":
            words = _("Anonymous visitors ask more than the server answers. Please try again in %(seconds)d s.")
        elif self.rate == "requests_per_second":
            words = _("Too many requests: at most %(limit)g a second are answered. Please try again in %(seconds)d s.")
        else:
            words = _("Too much at once: at most %(size)s a second are taken. Please try again in %(seconds)d s.")
        return words % {"limit": self.limit, "size": filesizeformat(self.limit), "seconds": self.retry_after}


@dataclass(slots=True)
class Bucket:
    """What is left of a rate: it fills with time, up to a burst. The last one may overdraw it, however large it is."""

    rate: float
    filled_at: float
    left: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.most

    @property
    def most(self) -> float:
        return max(self.rate * BURST_SECONDS, 1.0)

    def fill(self, now: float) -> None:
        self.left = min(self.most, self.left + max(now - self.filled_at, 0) * self.rate)
        self.filled_at = now

    def wait(self, needed: float) -> float:
        """Seconds until `needed` is left."""
        return max(needed - self.left, 0) / self.rate


@dataclass(slots=True)
class _Pace:
    """The buckets of one sharer, where there is a limit."""

    scope: Scope
    requests: Bucket | None
    bytes: Bucket | None

    def check(self, now: float) -> None:
        """Raise `RateExceeded` when nothing more may come."""
        named: tuple[tuple[Rate, Bucket | None, float], ...] = (
            ("requests_per_second", self.requests, 1.0),
            ("bytes_per_second", self.bytes, 0.0),
        )
        for rate, bucket, needed in named:
            if bucket is not None:
                bucket.fill(now)
                if bucket.left < needed or bucket.left < 0:
                    raise RateExceeded(rate, bucket.rate, self.scope, math.ceil(bucket.wait(needed)) or 1)

    def take(self, size: int) -> None:
        if self.requests is not None:
            self.requests.left -= 1
        if self.bytes is not None:
            self.bytes.left -= size

    def is_quiet(self, now: float) -> bool:
        """Whether it is as if nothing had ever come."""
        buckets = [bucket for bucket in (self.requests, self.bytes) if bucket is not None]
        for bucket in buckets:
            bucket.fill(now)
        return all(bucket.left >= bucket.most for bucket in buckets)


class Rates:
    """Lives on the event loop."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._paces: dict[Sharer, _Pace] = {}
        self._all_anonymous: _Pace | None = None

    def admit(self, sharer: Sharer, size: int, now: float) -> None:
        """Count one request of so many bytes. Raises `RateExceeded`, and then it does not count."""
        paces = list(self._paces_of(sharer, now))
        for pace in paces:
            pace.check(now)
        for pace in paces:
            pace.take(size)

    def _paces_of(self, sharer: Sharer, now: float) -> Iterable[_Pace]:
        config = self._config
        if (pace := self._paces.get(sharer)) is None:
            if len(self._paces) >= FORGET_AT:
                self._paces = {key: kept for key, kept in self._paces.items() if not kept.is_quiet(now)}
            limits = (
                (config.user_requests_per_second, config.user_bytes_per_second)
                if sharer.user_id is not None
                else (config.address_requests_per_second, config.address_bytes_per_second)
            )
            pace = self._paces[sharer] = _pace(sharer.scope, *limits, now)
        yield pace
        if sharer.user_id is None:
            if self._all_anonymous is None:
                limits = config.anonymous_requests_per_second, config.anonymous_bytes_per_second
                self._all_anonymous = _pace("anonymous", *limits, now)
            yield self._all_anonymous


@lru_cache(maxsize=1)
def rates_of(config: Config) -> Rates:
    """Those of this process."""
    return Rates(config)


def _pace(scope: Scope, requests: float | None, size: float | None, now: float) -> _Pace:
    return _Pace(
        scope,
        Bucket(requests, now) if requests is not None else None,
        Bucket(size, now) if size is not None else None,
    )
