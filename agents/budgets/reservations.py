"""Tokens that are set aside before a model is called, and what they cost, so that calls at the same time do not overrun
a budget together.

Near a limit, calls wait for each other: one is made only while what is used and what is set aside are below the limit.
What a call takes is not known before; it is expected to be no more than any call of its agent was.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from weakref import WeakValueDictionary

from django.db import connection, transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from agents.budgets.allowances import Allowances
from agents.budgets.level import Level
from agents.database.threads import in_thread, in_thread_patiently
from agents.models.budgets import Reservation
from myagent.llm import Usage

LIFE = timedelta(seconds=60)
"""After which the reservations of a process that died do not count."""
RENEW_AFTER = timedelta(seconds=15)
LEAST_OUTPUT = 4_096
"""Tokens of output that a call is expected to take while its agent's calls have taken less."""
POLL_SECONDS = 0.25
"""Between two looks at whether calls of other processes have ended."""
Amounts = tuple[int, int]
"""Tokens, and billionths of the currency."""
_LOCK = 0x6D79_6167_656E_7472
"""The name of PostgreSQL's lock under which all processes reserve."""


class Reservations:
    """Those of this process's calls. Lives on the event loop."""

    def __init__(self, allowances: Allowances) -> None:
        self._allowances = allowances
        self._largest: dict[str, Amounts] = defaultdict(lambda: (0, 0))
        self._live: dict[uuid.UUID, datetime] = {}
        self._turns: WeakValueDictionary[tuple[int | None, str], asyncio.Lock] = WeakValueDictionary()
        self._released = asyncio.Event()
        self._releasing: set[asyncio.Task[None]] = set()

    async def reserve(
        self, user_id: int | None, agent: str, tokens: int, price: Callable[[Usage], Usage] = lambda usage: usage
    ) -> uuid.UUID | Level:
        """Set aside at least so many tokens of input for a call; a budget that is used up, if there is one.

        `price` adds what it costs. Waits while other calls may take what is left.
        """
        expected = price(Usage(tokens, LEAST_OUTPUT))
        most, dearest = self._largest[agent]
        wanted = max(tokens + LEAST_OUTPUT, most), max(expected.cost_nanos, dearest)
        key = uuid.uuid4()
        try:
            found = await self._reserved_in_turn(key, user_id, agent, wanted)
        except asyncio.CancelledError:
            self.release(key)  # the thread may have reserved it already
            raise
        if found == key:
            self._live[key] = timezone.now()
        return found

    async def _reserved_in_turn(
        self, key: uuid.UUID, user_id: int | None, agent: str, wanted: Amounts
    ) -> uuid.UUID | Level:
        turn = self._turns.setdefault((user_id, agent), asyncio.Lock())
        async with turn:  # of those who wait for the same budget, one looks at it
            while True:
                self._released.clear()
                found = await in_thread_patiently(_reserve, self._allowances, key, user_id, agent, wanted)
                if found is not None:
                    return found
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._released.wait()

    def note(self, agent: str, usage: Usage) -> None:
        """A call of this agent took so much."""
        most, dearest = self._largest[agent]
        self._largest[agent] = max(most, usage.input_tokens + usage.output_tokens), max(dearest, usage.cost_nanos)

    def release(self, key: uuid.UUID) -> None:
        """What the call took is stored."""
        self._live.pop(key, None)
        task = asyncio.get_running_loop().create_task(self._delete(key))
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)

    async def _delete(self, key: uuid.UUID) -> None:
        await in_thread_patiently(_delete, [key])
        self._released.set()

    async def renew(self) -> None:
        """Keep those of calls that take long."""
        now = timezone.now()
        if old := [key for key, renewed_at in self._live.items() if now - renewed_at >= RENEW_AFTER]:
            await in_thread(_renew, old, now)
            self._live.update({key: now for key in old if key in self._live})


@lru_cache(maxsize=1)
def reservations_of(allowances: Allowances) -> Reservations:
    """Those of this process."""
    return Reservations(allowances)


# --- in a database thread ---


def _reserve(
    allowances: Allowances, key: uuid.UUID, user_id: int | None, agent: str, wanted: Amounts
) -> uuid.UUID | Level | None:
    """`key` if it is reserved now; a budget that is used up; None while others may take what is left."""
    with transaction.atomic():
        if connection.vendor == "postgresql":  # SQLite lets in one writer at a time
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        now = timezone.now()
        levels = allowances.levels_of(user_id, agent)
        if (reached := next((level for level in levels if level.is_used_up), None)) is not None:
            return reached
        live = Reservation.objects.filter(expires_at__gt=now).exclude(pk=key)
        if any(level.used + _reserved(live, level, user_id, agent) >= level.limit for level in levels):
            return None
        Reservation.objects.filter(expires_at__lte=now).delete()
        tokens, nanos = wanted
        row = Reservation(id=key, user_id=user_id, agent=agent, tokens=tokens, cost_nanos=nanos, expires_at=now + LIFE)
        Reservation.objects.bulk_create([row], ignore_conflicts=True)  # again, after an answer was lost
    return key


def _reserved(live: QuerySet[Reservation], level: Level, user_id: int | None, agent: str) -> int:
    match level.scope:
        case "user":
            rows = live.filter(user=user_id)
        case "group":
            rows = live.filter(user__groups=level.group_id)
        case "agent":
            rows = live.filter(agent=agent)
    return rows.aggregate(sum=Sum("cost_nanos" if level.measure == "cost" else "tokens"))["sum"] or 0


def _renew(keys: Sequence[uuid.UUID], now: datetime) -> None:
    Reservation.objects.filter(pk__in=keys).update(expires_at=now + LIFE)


def _delete(keys: Sequence[uuid.UUID]) -> None:
    Reservation.objects.filter(pk__in=keys)._raw_delete(Reservation.objects.db)
