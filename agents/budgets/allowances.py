"""What somebody may do now: tokens that are left today, runs at once, messages per minute. It only reads.

A day is one of the server's time zone. What is used is counted with the calls of models (`Batch.charge`). What a call
is expected to take is reserved while it is made (`reservations.py`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Literal

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.utils import timezone

from agents.conf import Config
from agents.models import HostedAgent
from agents.models.budgets import GroupBudget, UserBudget, used_by, used_by_anonymous
from myagent.exceptions import RunError
from myagent.i18n import gettext as _
from myagent.protocol.codec import timestamp

Scope = Literal["user", "group", "agent"]
NOTICE_PERCENT = 80
_MINUTE = timedelta(minutes=1)


def end_of_day(now: datetime) -> datetime:
    """When the day of `now` is over in the server's time zone."""
    tomorrow = timezone.localtime(now).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time.min, tzinfo=timezone.get_current_timezone())


@dataclass(frozen=True, kw_only=True)
class Level:
    """How much of a day's budget is used; `scope` says whose it is, `anonymous` that all anonymous users share it."""

    scope: Scope
    used: int
    limit: int
    anonymous: bool = False
    group_id: int | None = None

    @property
    def percent(self) -> int:
        """Whole per cent, 100 and more when it is used up."""
        return self.used * 100 // self.limit if self.limit else 100

    @property
    def is_used_up(self) -> bool:
        return self.used >= self.limit

    @property
    def is_nearly_used_up(self) -> bool:
        """Whether so much of it is used that it is time to say so; of a budget of nothing at all it never is."""
        return self.used > 0 and self.percent >= NOTICE_PERCENT


class BudgetExceeded(RunError):
    """The tokens of a day are used up; `free_at` is when the next day begins, `refused` whether nothing was begun."""

    code = "budget_exceeded"

    def __init__(self, level: Level, free_at: datetime, *, refused: bool = True) -> None:
        self.level = level
        self.free_at = free_at
        self.details = {"scope": level.scope, "free_at": timestamp(free_at)}
        words = _sentence(level, free_at)
        super().__init__(words if refused else _("The answer was stopped. %(why)s") % {"why": words})


def _sentence(level: Level, free_at: datetime) -> str:
    local = timezone.localtime(free_at)
    facts = {"limit": f"{level.limit:,}", "time": f"{local:%Y-%m-%d %H:%M} ({local.tzname()})"}
    match level.scope:
        case "user" if level.anonymous:
            words = _("Anonymous users have used up today's model tokens. You can continue from %(time)s.")
        case "user":
            words = _("You have used up your %(limit)s model tokens of today. You can continue from %(time)s.")
        case "group":
            words = _("Your group has used up its %(limit)s model tokens of today. You can continue from %(time)s.")
        case "agent":
            words = _("This agent has used up its model tokens of today. It can be used again from %(time)s.")
    return words % facts


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

    tokens_per_day: int | None
    max_runs: int | None
    messages_per_minute: int | None
    groups: dict[int, int]


class Allowances:
    """The limits that hold for this process's requests. All methods but `may_limit` block."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._limits_people = True
        self._agents: dict[str, int] = {}
        self._known: dict[int | None, _Limits] = {}

    def refresh(self) -> None:
        """Learn what is limited at all, so that whatever is not costs no query, and forget the limits of users."""
        config, self._known = self._config, {}
        defaults = (
            config.user_tokens_per_day,
            config.group_tokens_per_day,
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
        rows = Group.objects.values_list("pk", "budget__tokens_per_day")
        default = self._config.group_tokens_per_day
        limits = {pk: limit for pk, own in rows if (limit := _first(own, default)) is not None}
        levels = _levels_of_groups(limits, used_by("group", limits, day))
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
        config, default_of_group = self._config, self._config.group_tokens_per_day
        groups = {row["groups"]: _first(row["groups__budget__tokens_per_day"], default_of_group) for row in rows}
        return _Limits(
            tokens_per_day=_limit(rows, "tokens_per_day", config.user_tokens_per_day),
            # Anonymous users cannot be told apart, so only what they use together can be limited.
            max_runs=_limit(rows, "max_runs", config.user_max_runs) if user_id is not None else None,
            messages_per_minute=_limit(rows, "messages_per_minute", config.user_messages_per_minute)
            if user_id is not None
            else None,
            groups={pk: limit for pk, limit in groups.items() if pk is not None and limit is not None},
        )

    # --- levels ---

    def _levels(self, limits: dict[int | None, _Limits]) -> dict[int | None, list[Level]]:
        day = timezone.localdate()
        limited = [user_id for user_id, own in limits.items() if own.tokens_per_day is not None]
        used: dict[int | None, int] = used_by("user", [user_id for user_id in limited if user_id is not None], day)
        if None in limited:
            used[None] = used_by_anonymous(day)
        of_groups = used_by("group", {group for own in limits.values() for group in own.groups}, day)
        levels: dict[int | None, list[Level]] = {}
        for user_id, own in limits.items():
            levels[user_id] = _levels_of_groups(own.groups, of_groups)
            if own.tokens_per_day is not None:
                mine = used.get(user_id, 0)
                level = Level(scope="user", used=mine, limit=own.tokens_per_day, anonymous=user_id is None)
                levels[user_id].insert(0, level)
        return levels

    def _level_of_agent(self, agent: str) -> Iterable[Level]:
        limit = self._of_agent(agent)
        if limit is not None:
            used = used_by("agent", [agent], timezone.localdate()).get(agent, 0)
            yield Level(scope="agent", used=used, limit=limit)


def _levels_of_groups(limits: dict[int, int], used: dict[int, int]) -> list[Level]:
    return [
        Level(scope="group", used=used.get(group, 0), limit=limit, group_id=group) for group, limit in limits.items()
    ]


_NAMES = ("tokens_per_day", "max_runs", "messages_per_minute")
_OWN = tuple(f"budget__{name}" for name in _NAMES)
_OF_GROUP = ("groups__budget__tokens_per_day", *(f"groups__budget__member_{name}" for name in _NAMES))


def _limit(rows: list[dict[str, Any]], name: str, default: int | None) -> int | None:
    """The user's own limit, else the highest of the user's groups, else the default."""
    of_groups = [limit for row in rows if (limit := row[f"groups__budget__member_{name}"]) is not None]
    return _first(rows[0][f"budget__{name}"] if rows else None, max(of_groups, default=None), default)


def _first(*limits: int | None) -> int | None:
    return next((limit for limit in limits if limit is not None), None)
