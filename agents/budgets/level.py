"""How much of a day's budget is used, and what people are told of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal

from django.utils import timezone

from agents.models.budgets import Measure
from myagent.exceptions import RunError
from myagent.i18n import gettext as _
from myagent.llm import NANOS
from myagent.protocol.codec import timestamp
from myagent.text import money

Scope = Literal["user", "group", "agent"]
NOTICE_PERCENT = 80


def end_of_day(now: datetime) -> datetime:
    """When the day of `now` is over in the server's time zone."""
    tomorrow = timezone.localtime(now).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time.min, tzinfo=timezone.get_current_timezone())


@dataclass(frozen=True, kw_only=True)
class Level:
    """How much of a day's budget is used; `scope` says whose it is, `anonymous` that all anonymous users share it.

    `used` and `limit` are tokens, or billionths of `currency` where there is one.
    """

    scope: Scope
    used: int
    limit: int
    anonymous: bool = False
    group_id: int | None = None
    currency: str = ""

    @property
    def measure(self) -> Measure:
        """What is limited."""
        return "cost" if self.currency else "tokens"

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

    @property
    def shown_limit(self) -> str:
        """The limit for people: a number of tokens, or an amount with its currency."""
        return money(self.limit / NANOS, self.currency) if self.currency else f"{self.limit:,}"


class BudgetExceeded(RunError):
    """The budget of a day is used up; `free_at` is when the next day begins, `refused` whether nothing was begun."""

    code = "budget_exceeded"

    def __init__(self, level: Level, free_at: datetime, *, refused: bool = True) -> None:
        self.level = level
        self.free_at = free_at
        self.details = {"scope": level.scope, "free_at": timestamp(free_at)}
        words = _sentence(level, free_at)
        super().__init__(words if refused else _("The answer was stopped. %(why)s") % {"why": words})


def notice_of(level: Level) -> str:
    """What a user is told when most of a budget is used."""
    match level.measure, level.scope:
        case "cost", "user":
            words = _("You have used %(percent)d %% of the %(limit)s that you may spend on models today.")
        case "cost", _scope:
            words = _("Your group has used %(percent)d %% of the %(limit)s that it may spend on models today.")
        case "tokens", "user":
            words = _("You have used %(percent)d %% of your %(limit)s model tokens of today.")
        case _:
            words = _("Your group has used %(percent)d %% of its %(limit)s model tokens of today.")
    return words % {"percent": level.percent, "limit": level.shown_limit}


def _sentence(level: Level, free_at: datetime) -> str:
    local = timezone.localtime(free_at)
    facts = {"limit": level.shown_limit, "time": f"{local:%Y-%m-%d %H:%M} ({local.tzname()})"}
    return (_of_cost(level) if level.currency else _of_tokens(level)) % facts


def _of_tokens(level: Level) -> str:
    match level.scope:
        case "user" if level.anonymous:
            return _("Anonymous users have used up today's model tokens. You can continue from %(time)s.")
        case "user":
            return _("You have used up your %(limit)s model tokens of today. You can continue from %(time)s.")
        case "group":
            return _("Your group has used up its %(limit)s model tokens of today. You can continue from %(time)s.")
        case "agent":
            return _("This agent has used up its model tokens of today. It can be used again from %(time)s.")


def _of_cost(level: Level) -> str:
    if level.anonymous:
        return _("Anonymous users have spent what they may on models today. You can continue from %(time)s.")
    if level.scope == "user":
        return _("You have spent the %(limit)s that you may on models today. You can continue from %(time)s.")
    return _("Your group has spent the %(limit)s that it may on models today. You can continue from %(time)s.")
