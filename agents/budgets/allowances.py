"""What somebody may do now: tokens and money that are left today, runs at once, messages per minute. It only reads.

A day is one of the server's time zone. What is used is counted with the calls of models (`Batch.charge`). What a call
is expected to take is reserved while it is made (`reservations.py`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, get_args

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.utils import timezone

from agents.budgets.level import Level, Scope
from agents.budgets.prices import Prices
from agents.conf import Config
from agents.models import HostedAgent
from agents.models.budgets import GroupBudget, Measure, UserBudget, used_by, used_by_anonymous
from myagent.llm import NANOS

Budget = tuple[Measure, int | None]
"""What is limited, and the id of the user or the group."""
MEASURES: tuple[Measure, ...] = get_args(Measure)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What one user may do with one agent. None means no limit; `reached` is a budget that is used up."""

    user_id: int | None
    reached: Level | None = None
    max_runs: int | None = None
    messages_per_minute: int | None = None

    @property
    def is_paced(self) -> bool:
        """Whether runs at once or messages per minute are limited."""
        return self.user_id is not None and (self.max_runs is not None or self.messages_per_minute is not None)

    def next_due(self, due_at: datetime, now: datetime) -> datetime | None:
        """One message more, after those that would be due at `due_at`, had they come evenly; None without a limit.

        As many as are allowed in a minute may come at once, then one more whenever its part of a minute is over.
        Raises `TooFast`.
        """
        if self.messages_per_minute is None:
            return None
        if self.messages_per_minute == 0:
            raise TooFast(None)
        interval = _MINUTE / self.messages_per_minute
        # No message is due later than a minute from now, but for one that was counted by a clock that ran ahead.
        due_at = min(max(due_at, now), now + _MINUTE) + interval
        if (early := due_at - now - _MINUTE) > timedelta(0):
            raise TooFast(math.ceil(early.total_seconds()))
        return due_at


class TooFast(Exception):
    """One message too many; the next one may come after so many seconds, or never."""

    def __init__(self, seconds: int | None) -> None:
        self.seconds = seconds
        super().__init__(seconds)


@dataclass(slots=True)
class _Limits:
    """The limits of one user, and of those of the user's groups that have a budget of their own."""

    per_day: dict[Measure, int]
    max_runs: int | None
    messages_per_minute: int | None
    groups: dict[Budget, int]


class Allowances:
    """The limits that hold for this process's requests. All methods but `may_limit` block."""

    def __init__(self, config: Config) -> None:
        self.prices = Prices(config.currency)
        self._config = config
        self._limits_people = True
        self._agents: dict[str, int] = {}
        self._known: dict[int | None, _Limits] = {}

    def refresh(self) -> None:
        """Learn the prices, and what is limited at all, so that all else costs no query; forget the limits of users."""
        self.prices.refresh()
        config, self._known = self._config, {}
        defaults = (
            config.user_tokens_per_day,
            config.user_cost_per_day,
            config.group_tokens_per_day,
            config.group_cost_per_day,
            config.user_max_runs,
            config.user_messages_per_minute,
        )
        self._limits_people = (
            any(limit is not None for limit in defaults) or UserBudget.objects.exists() or GroupBudget.objects.exists()
        )
        limits = HostedAgent.objects.exclude(tokens_per_day=None).values_list("name", "tokens_per_day")
        self._agents = {name: limit for name, limit in limits if limit is not None}

    def may_limit(self, agent: str) -> bool:
        """Whether a request for this agent has to be looked at, as of the last `refresh`."""
        return self._limits_people or self._of_agent(agent) is not None

    def of(self, user_id: int | None, agent: str) -> Allowance:
        """What this user, None for those without a name, may do with this agent now."""
        limits = self._known_limits(user_id)
        return Allowance(
            user_id=user_id,
            reached=next((level for level in self.levels_of(user_id, agent) if level.is_used_up), None),
            max_runs=limits.max_runs,
            messages_per_minute=limits.messages_per_minute,
        )

    def levels_of(self, user_id: int | None, agent: str) -> list[Level]:
        """How much is used of each budget that a call of this agent's model counts to."""
        return [*self._levels({user_id: self._known_limits(user_id)})[user_id], *self._level_of_agent(agent)]

    def nearly_used_up(self, user_ids: Collection[int | None]) -> dict[int | None, list[Level]]:
        """Of these users those who have used most of a budget of theirs, or whose group has, and how much of which.

        Budgets of agents are left out: how much others use an agent is for operators to know.
        """
        named, day = [user_id for user_id in user_ids if user_id is not None], timezone.localdate()
        if not self._limits_people or not named:
            return {}
        # Most people who are connected have used nothing today, and reading their limits is what takes time.
        concerned = used_by("user", named, day).keys() | self._members_of_nearly_used_up(named, day)
        levels = self._levels(self._limits(list(concerned))) if concerned else {}
        nearly = {user_id: [level for level in own if level.is_nearly_used_up] for user_id, own in levels.items()}
        return {user_id: own for user_id, own in nearly.items() if own}

    def _members_of_nearly_used_up(self, user_ids: Collection[int], day: date) -> set[int]:
        """Of these users the members of groups that have used most of their budget, also who had no part in it."""
        rows = Group.objects.values("pk", *(f"budget__{measure}_per_day" for measure in MEASURES))
        limits = {
            (measure, row["pk"]): limit
            for row in rows
            for measure in MEASURES
            if (limit := self._of_group(measure, row[f"budget__{measure}_per_day"])) is not None
        }
        levels = self._levels_of_groups(limits, self._used("group", limits, day))
        nearly = [level.group_id for level in levels if level.is_nearly_used_up]
        if not nearly:
            return set()
        return set(get_user_model().objects.filter(pk__in=user_ids, groups__in=nearly).values_list("pk", flat=True))

    def agents_nearly_used_up(self, names: Iterable[str]) -> dict[str, Level]:
        """Of these agents those that have used most of their budget."""
        limits = {name: limit for name in names if (limit := self._of_agent(name)) is not None}
        used = used_by("agent", limits, timezone.localdate())
        levels = {name: Level(scope="agent", used=used.get(name, 0), limit=limit) for name, limit in limits.items()}
        return {name: level for name, level in levels.items() if level.is_nearly_used_up}

    # --- limits ---

    def _of_agent(self, agent: str) -> int | None:
        return self._agents.get(agent, self._config.agent_tokens_per_day)

    def _known_limits(self, user_id: int | None) -> _Limits:
        known = self._known
        return known[user_id] if user_id in known else known.setdefault(user_id, self._limits([user_id])[user_id])

    def _limits(self, user_ids: Collection[int | None]) -> dict[int | None, _Limits]:
        rows: dict[int, list[dict[str, Any]]] = {}
        if self._limits_people and (named := [user_id for user_id in user_ids if user_id is not None]):
            found = get_user_model().objects.filter(pk__in=named).values("pk", *_OWN, "groups", *_OF_GROUP)
            for row in found:
                rows.setdefault(row["pk"], []).append(row)
        return {user_id: self._resolve(user_id, rows.get(user_id or 0, [])) for user_id in user_ids}

    def _resolve(self, user_id: int | None, rows: list[dict[str, Any]]) -> _Limits:
        config = self._config
        per_day = {measure: _limit(rows, f"{measure}_per_day", self._default(measure, "user")) for measure in MEASURES}
        groups = {
            (measure, row["groups"]): self._of_group(measure, row[f"groups__budget__{measure}_per_day"])
            for row in rows
            for measure in MEASURES
        }
        return _Limits(
            per_day={measure: _whole(measure, limit) for measure, limit in per_day.items() if limit is not None},
            # Anonymous users cannot be told apart, so only what they use together can be limited.
            max_runs=_limit(rows, "max_runs", config.user_max_runs) if user_id is not None else None,
            messages_per_minute=_limit(rows, "messages_per_minute", config.user_messages_per_minute)
            if user_id is not None
            else None,
            groups={key: limit for key, limit in groups.items() if key[1] is not None and limit is not None},
        )

    def _of_group(self, measure: Measure, own: Any) -> int | None:
        limit = _first(own, self._default(measure, "group"))
        return None if limit is None else _whole(measure, limit)

    def _default(self, measure: Measure, scope: Literal["user", "group"]) -> float | None:
        limit: float | None = getattr(self._config, f"{scope}_{measure}_per_day")
        return limit

    # --- levels ---

    def _levels(self, limits: dict[int | None, _Limits]) -> dict[int | None, list[Level]]:
        day = timezone.localdate()
        limited = [(measure, user_id) for user_id, own in limits.items() for measure in own.per_day]
        used = self._used("user", [key for key in limited if key[1] is not None], day)
        for measure, _anonymous in (key for key in limited if key[1] is None):
            used[measure, None] = used_by_anonymous(day, measure, self._currency_of(measure))
        of_groups = self._used("group", {key for own in limits.values() for key in own.groups}, day)
        levels: dict[int | None, list[Level]] = {}
        for user_id, own in limits.items():
            mine = [
                self._level(measure, "user", limit, used.get((measure, user_id), 0), anonymous=user_id is None)
                for measure, limit in own.per_day.items()
            ]
            levels[user_id] = [*mine, *self._levels_of_groups(own.groups, of_groups)]
        return levels

    def _used(self, kind: Literal["user", "group"], keys: Iterable[Budget], day: date) -> dict[Budget, int]:
        """How much was used of each of these, without those of which nothing was."""
        used: dict[Budget, int] = {}
        keys = list(keys)
        for measure in MEASURES:
            ids = [pk for own, pk in keys if own == measure and pk is not None]
            found = used_by(kind, ids, day, measure, self._currency_of(measure))
            used |= {(measure, pk): amount for pk, amount in found.items()}
        return used

    def _levels_of_groups(self, limits: dict[Budget, int], used: dict[Budget, int]) -> list[Level]:
        return [
            self._level(measure, "group", limit, used.get((measure, group), 0), group_id=group)
            for (measure, group), limit in limits.items()
        ]

    def _level(self, measure: Measure, scope: Scope, limit: int, used: int, **whose: Any) -> Level:
        return Level(scope=scope, used=used, limit=limit, currency=self._currency_of(measure), **whose)

    def _currency_of(self, measure: Measure) -> str:
        return self.prices.currency if measure == "cost" else ""

    def _level_of_agent(self, agent: str) -> Iterable[Level]:
        limit = self._of_agent(agent)
        if limit is not None:
            used = used_by("agent", [agent], timezone.localdate()).get(agent, 0)
            yield Level(scope="agent", used=used, limit=limit)


_NAMES = (*(f"{measure}_per_day" for measure in MEASURES), "max_runs", "messages_per_minute")
_OWN = tuple(f"budget__{name}" for name in _NAMES)
_OF_GROUP = (
    *(f"groups__budget__{measure}_per_day" for measure in MEASURES),
    *(f"groups__budget__member_{name}" for name in _NAMES),
)


def _limit(rows: list[dict[str, Any]], name: str, default: Any) -> Any:
    """The user's own limit, else the highest of the user's groups, else the default."""
    of_groups = [limit for row in rows if (limit := row[f"groups__budget__member_{name}"]) is not None]
    return _first(rows[0][f"budget__{name}"] if rows else None, max(of_groups, default=None), default)


def _first(*limits: Any) -> Any:
    return next((limit for limit in limits if limit is not None), None)


def _whole(measure: Measure, limit: float | Decimal) -> int:
    """A limit in the unit of what is counted: tokens, or billionths of the currency."""
    return round(Decimal(str(limit)) * NANOS) if measure == "cost" else int(limit)
