"""The tables of budgets and of what was used of them; `agents.budgets.allowances` decides with them."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from functools import cache
from typing import Any, Literal, Self

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.validators import MinValueValidator
from django.db import connection, models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from myagent.llm import Usage as Tokens

Measure = Literal["tokens", "cost"]
"""What a budget of a day limits."""
_ADDED = ("input_tokens", "output_tokens", "llm_calls", "cost_nanos", "priced_tokens")
_OF_PRICES = ("cost_nanos", "priced_tokens")
_SUMS: dict[Measure, str] = {
    "tokens": "SUM(used.input_tokens + used.output_tokens)",
    "cost": "SUM(CASE WHEN used.currency = %s THEN used.cost_nanos ELSE 0 END)",
}


def _cost_per_day(words: Any, **options: Any) -> models.DecimalField:
    return models.DecimalField(
        words, max_digits=12, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)], **options
    )


class UserBudget(models.Model):
    """The limits of one user; an empty one is that of the user's groups, else that of the settings."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="budget", verbose_name=_("user")
    )
    tokens_per_day = models.PositiveBigIntegerField(_("model tokens per day"), null=True, blank=True)
    cost_per_day = _cost_per_day(_("cost of models per day"), help_text=_("Of models that have a price."))
    max_runs = models.PositiveIntegerField(_("runs at once"), null=True, blank=True)
    messages_per_minute = models.PositiveIntegerField(_("messages per minute"), null=True, blank=True)

    class Meta:
        verbose_name = _("budget of a user")
        verbose_name_plural = _("budgets of users")

    def __str__(self) -> str:
        return str(self.user)


class GroupBudget(models.Model):
    """The limits of the members of a group, all together and each."""

    group = models.OneToOneField(Group, on_delete=models.CASCADE, related_name="budget", verbose_name=_("group"))
    tokens_per_day = models.PositiveBigIntegerField(
        _("model tokens per day, all members together"), null=True, blank=True
    )
    cost_per_day = _cost_per_day(
        _("cost of models per day, all members together"), help_text=_("Of models that have a price.")
    )
    member_tokens_per_day = models.PositiveBigIntegerField(
        _("model tokens per day, each member"),
        null=True,
        blank=True,
        help_text=_("Of several groups the highest counts; a budget of the user's own comes before it."),
    )
    member_cost_per_day = _cost_per_day(_("cost of models per day, each member"))
    member_max_runs = models.PositiveIntegerField(_("runs at once, each member"), null=True, blank=True)
    member_messages_per_minute = models.PositiveIntegerField(
        _("messages per minute, each member"), null=True, blank=True
    )

    class Meta:
        verbose_name = _("budget of a group")
        verbose_name_plural = _("budgets of groups")

    def __str__(self) -> str:
        return str(self.group)


Spender = tuple[int | None, str]
"""A user, None for anonymous ones, and an agent."""


class UsageQuerySet(models.QuerySet["Usage"]):
    def on(self, day: date) -> Self:
        """What was used on that day."""
        return self.filter(day=day)

    def add(self, day: date, spent: Mapping[Spender, Tokens]) -> None:
        """Add to what was used on that day, atomically also beside other processes. Within the caller's transaction.

        The rows stay locked until it ends, so that all processes update them in one order.
        """
        rows_of_all = [[day, user_id, agent, *_values(spent[user_id, agent])] for user_id, agent in _in_order(spent)]
        for condition, is_anonymous in (("IS NULL", True), ("IS NOT NULL", False)):
            rows = [row for row in rows_of_all if (row[1] is None) is is_anonymous]
            if rows:
                with connection.cursor() as cursor:
                    cursor.executemany(_upsert(self.model, condition), rows)


def used_by(
    kind: Literal["user", "group", "agent"],
    keys: Collection[int | str],
    day: date,
    measure: Measure = "tokens",
    currency: str = "",
) -> dict[Any, int]:
    """The tokens used on that day by these users, by the members of these groups, or with these agents, or what they
    cost in billionths of `currency`; without those who used nothing.

    Plain SQL: called for each message and each call of a model, and the ORM would take several times as long.
    """
    if not keys:
        return {}
    key, where = _place(kind)
    statement = (
        f"SELECT {key}, {_SUMS[measure]} FROM {where} "
        f"WHERE used.day = %s AND {key} IN ({', '.join(['%s'] * len(keys))}) GROUP BY {key}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*_values_of(measure, currency), day, *keys])
        return {name: int(amount) for name, amount in cursor.fetchall()}


def _values_of(measure: Measure, currency: str) -> list[str]:
    return [currency] if measure == "cost" else []


@cache
def _place(kind: str) -> tuple[str, str]:
    """The column to group by, and the tables that have it."""
    used = f"{Usage._meta.db_table} used"
    if kind != "group":
        return ("used.user_id" if kind == "user" else "used.agent"), used
    members: Any = get_user_model().groups.through._meta
    user = members.get_field(get_user_model()._meta.model_name).column
    return "member.group_id", f"{used} JOIN {members.db_table} member ON member.{user} = used.user_id"


def used_by_anonymous(day: date, measure: Measure = "tokens", currency: str = "") -> int:
    """The tokens that anonymous users used on that day, or what they cost in billionths of `currency`."""
    statement = f"SELECT {_SUMS[measure]} FROM {Usage._meta.db_table} used WHERE used.day = %s AND used.user_id IS NULL"
    with connection.cursor() as cursor:
        cursor.execute(statement, [*_values_of(measure, currency), day])
        return int(cursor.fetchone()[0] or 0)


def _in_order(spent: Mapping[Spender, Tokens]) -> Iterable[Spender]:
    return sorted(spent, key=lambda spender: (spender[0] is not None, spender[0] or 0, spender[1]))


def _values(spent: Tokens) -> list[int | str]:
    return [*(getattr(spent, name) for name in _ADDED), spent.currency]


@cache
def _upsert(model: type[models.Model], condition: str) -> str:
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    columns = ", ".join(map(quote, ("day", "user_id", "agent", *_ADDED, "currency")))
    unique = "day, agent" if condition == "IS NULL" else "day, user_id, agent"
    sums = [f"{quote(name)} = {table}.{quote(name)} + {_addend(name, table)}" for name in _ADDED]
    sums.append(f"currency = CASE WHEN {table}.currency = '' THEN excluded.currency ELSE {table}.currency END")
    places = ", ".join(["%s"] * (4 + len(_ADDED)))
    return (
        f"INSERT INTO {table} ({columns}) VALUES ({places}) "
        f"ON CONFLICT ({unique}) WHERE user_id {condition} DO UPDATE SET {', '.join(sums)}"
    )


def _addend(name: str, table: str) -> str:
    """What is added to a column: as `Usage.__add__` of the library does it, of costs those in the same currency."""
    if name not in _OF_PRICES:
        return f"excluded.{name}"
    return f"CASE WHEN {table}.currency IN ('', excluded.currency) THEN excluded.{name} ELSE 0 END"


class Usage(models.Model):
    """What one user's conversations with one agent used on one day, by the server's clock and time zone.

    Only the journal writes it, in the transactions that record what calls of models took.
    """

    day = models.DateField(_("day"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="agent_usage",
        verbose_name=_("user"),
        help_text=_("None: everybody who was let in without a name."),
    )
    agent = models.CharField(_("agent"), max_length=64)
    input_tokens = models.PositiveBigIntegerField(_("input tokens"), default=0)
    output_tokens = models.PositiveBigIntegerField(_("output tokens"), default=0)
    llm_calls = models.PositiveBigIntegerField(_("model calls"), default=0)
    cost_nanos = models.PositiveBigIntegerField(_("cost in billionths"), default=0, db_default=0)
    priced_tokens = models.PositiveBigIntegerField(_("tokens with a price"), default=0, db_default=0)
    currency = models.CharField(_("currency"), max_length=3, blank=True, default="", db_default="")
    """That of the cost, which is all in one: what a model costs in another one is not added."""

    objects = UsageQuerySet.as_manager()

    class Meta:
        verbose_name = _("use of a day")
        verbose_name_plural = _("use by day")
        ordering = ("-day", "agent")
        constraints = [
            models.UniqueConstraint(
                fields=["day", "user", "agent"], condition=Q(user__isnull=False), name="usage_of_user_once"
            ),
            models.UniqueConstraint(
                fields=["day", "agent"], condition=Q(user__isnull=True), name="usage_of_nobody_once"
            ),
        ]
        indexes = [models.Index(fields=["day", "agent"], name="usage_of_agent")]

    def __str__(self) -> str:
        return f"{self.day} {self.agent}"


class Reservation(models.Model):
    """What a call of a model is expected to take and to cost, from before it is made until its use is stored.

    It expires by itself unless its process renews it: a process that died holds nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    agent = models.CharField(max_length=64)
    tokens = models.PositiveBigIntegerField()
    cost_nanos = models.PositiveBigIntegerField(default=0, db_default=0)
    expires_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.id)


class Pace(models.Model):
    """The rate of one user's messages. The row is locked while a message is admitted, in whichever process."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="pace"
    )
    due_at = models.DateTimeField()
    """When the last message so far would have come, had they come evenly (a leaky bucket)."""

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.user_id)
