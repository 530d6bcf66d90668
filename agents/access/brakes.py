"""How failures are slowed and then refused: counters in the database, for all processes. All of it blocks.

A counter leaks: each failure adds the time after which it is forgiven, and above a limit there are no further attempts
until some of it has passed. So a row holds one moment, a refused attempt writes nothing, and a row whose moment has
passed means nothing and is removed.
"""

from __future__ import annotations

import math
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F
from django.utils import timezone
from django.utils.crypto import salted_hmac

from agents.addresses import visitor_network
from agents.models import FailureCount, KnownPlace

MOST_ROWS = 10_000
"""Of an attack from very many addresses the newest are remembered."""
REMOVED_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Brake:
    """How many failures are too many (`limit`; None is never), and in how many seconds one is forgiven.

    After `free` of them each answer takes `step` seconds longer than the last, at most `longest`.
    """

    kind: str
    limit: int | None
    seconds: float
    free: int = 3
    step: float = 0.25
    longest: float = 2.0

    def key(self, subject: str) -> str:
        """The key of the counter. Hashed, since people type passwords where a name belongs."""
        return f"{self.kind}:{salted_hmac('agents.brakes', subject, algorithm='sha256').hexdigest()[:40]}"

    def refused_for(self, level: float) -> int:
        """Seconds until the next attempt is allowed; 0 when it is now."""
        return 0 if self.limit is None else max(0, math.ceil((level - self.limit + 1) * self.seconds))

    def delay(self, level: float) -> float:
        """Seconds by which the answer to a failure is late."""
        return min(self.longest, max(0.0, (level - self.free) * self.step))


ADDRESS = Brake(kind="address", limit=10, seconds=60)
NAME = Brake(kind="name", limit=10, seconds=60)
PLACE = Brake(kind="place", limit=None, seconds=60, step=0.5, longest=9)
"""A name at an address from which it has logged in. It is slowed and never refused: this may be its owner."""
BROWSER = Brake(kind="browser", limit=10, seconds=60)
"""A name in a browser in which it has logged in. Above the limit the browser is like any other."""
TOKEN = Brake(kind="token", limit=30, seconds=10, free=10, step=0.05, longest=1)
OWN_PASSWORD = Brake(kind="password", limit=10, seconds=60)
"""What somebody who is logged in types as the present password when changing it."""
AUDIT = Brake(kind="audit", limit=100, seconds=60)
"""New rows of the audit log that tell of failures, so that nobody can fill it."""

REFUSED_SECONDS = 2.0
"""By how much a refusal is late, so that those who ask at once again keep no core busy."""


@dataclass(frozen=True, kw_only=True)
class Counter:
    """A brake on one subject."""

    brake: Brake
    subject: str

    @property
    def key(self) -> str:
        """Its key in the table."""
        return self.brake.key(self.subject)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Somebody who gives a name and a password. `counters` are those of a failure, `rank` is that in the line."""

    name: str
    network: str
    counters: tuple[Counter, ...]
    rank: int

    @classmethod
    def of(cls, name: str, address: str, browser: str | None = None) -> Attempt:
        """The attempt to log in as `name` from `address`, in a browser where this user has logged in (or None).

        Failures of strangers are none of a known browser or place, which have a counter of their own.
        """
        network = visitor_network(address)
        if browser is not None:
            own = (Counter(brake=BROWSER, subject=browser),)
            if not refused_for(own):
                return cls(name=name, network=network, counters=own, rank=0)
        if KnownPlace.objects.knows(name, network):
            own = (Counter(brake=PLACE, subject=f"{network} {name}"),)
            return cls(name=name, network=network, counters=own, rank=1)
        plain = unicodedata.normalize("NFKC", name).casefold()
        strange = (Counter(brake=ADDRESS, subject=network), Counter(brake=NAME, subject=plain))
        return cls(name=name, network=network, counters=strange, rank=2)


def refused_for(counters: Iterable[Counter]) -> int:
    """Seconds until an attempt that these count is allowed; 0 when it is now."""
    counters = list(counters)
    levels = _levels(counters)
    return max(counter.brake.refused_for(levels.get(counter.key, 0)) for counter in counters)


def note_failure(counters: Iterable[Counter]) -> float:
    """Count a failure; returns by how many seconds its answer is late."""
    counters = list(counters)
    for counter in counters:
        _add(counter)
    levels = _levels(counters)
    return max(counter.brake.delay(levels.get(counter.key, 0)) for counter in counters)


@dataclass(frozen=True, kw_only=True)
class WrongToken:
    """What becomes of a failure: its answer is late, and others are refused for some seconds (0: they are not)."""

    delay: float
    refused_for: int


def note_wrong_token(address: str) -> WrongToken:
    """Count a token that is not valid, unless there were too many from there already."""
    counters = [Counter(brake=TOKEN, subject=visitor_network(address))]
    if seconds := refused_for(counters):
        return WrongToken(delay=REFUSED_SECONDS, refused_for=seconds)
    return WrongToken(delay=note_failure(counters), refused_for=0)


def row_of(counter: Counter) -> FailureCount | None:
    """The row of a counter, unless all is forgiven."""
    return FailureCount.objects.filter(key=counter.key, forgiven_at__gt=timezone.now()).first()


def take(counter: Counter) -> bool:
    """Count one, unless that would be too many; says whether it was not."""
    if refused_for([counter]):
        return False
    _add(counter)
    return True


def _levels(counters: Iterable[Counter]) -> dict[str, float]:
    now = timezone.now()
    seconds = {counter.key: counter.brake.seconds for counter in counters}
    rows = FailureCount.objects.filter(key__in=seconds, forgiven_at__gt=now)
    return {row.key: row.seconds_left(now) / seconds[row.key] for row in rows}


def _add(counter: Counter) -> None:
    now, more = timezone.now(), timedelta(seconds=counter.brake.seconds)
    active = FailureCount.objects.filter(key=counter.key, forgiven_at__gt=now)
    # One statement, so that of two processes neither loses what the other counted.
    if active.update(forgiven_at=F("forgiven_at") + more, failures=F("failures") + 1):
        return
    first = {"forgiven_at": now + more, "failures": 1, "entry": None}
    _row, is_new = FailureCount.objects.update_or_create(key=counter.key, defaults=first)
    if is_new and secrets.randbelow(10) == 0:
        _remove_old_rows()


def _remove_old_rows() -> None:
    rows = FailureCount.objects.all()
    too_many = max(0, rows.count() - MOST_ROWS)
    old = list(rows.filter(forgiven_at__lt=timezone.now()).values_list("pk", flat=True)[:REMOVED_AT_ONCE])
    oldest = list(rows.order_by("forgiven_at").values_list("pk", flat=True)[: min(too_many, REMOVED_AT_ONCE)])
    rows.filter(pk__in={*old, *oldest}).delete()
