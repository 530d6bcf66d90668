"""What was used, in the admin: of today in the lists of those who used it, and day by day."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Case, F, QuerySet, Subquery, Sum, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agents.admin.read_only import ReadOnlyAdmin
from agents.conf import get_config
from agents.models import ModelPrice, Usage
from myagent.llm import NANOS
from myagent.text import money

_HAS_PRICES = "myagent.has_prices"


def with_use_of_today(rows: QuerySet[Any], **match: Any) -> QuerySet[Any]:
    """`rows` annotated with what was used today: tokens, as `used`, and what they cost in billionths, as `spent`.

    `match` says whose use belongs to a row.
    """
    used = Usage.objects.on(timezone.localdate()).filter(**match).order_by().values(*match)
    tokens = used.annotate(sum=Sum(F("input_tokens") + F("output_tokens"))).values("sum")
    cost = Sum(Case(When(currency=get_config().currency, then=F("cost_nanos")), default=0))
    annotated: QuerySet[Any] = rows.annotate(
        used=Coalesce(Subquery(tokens), 0), spent=Coalesce(Subquery(used.annotate(sum=cost).values("sum")), 0)
    )
    return annotated


class UsedToday(admin.ModelAdmin):
    """A list with a column of the tokens used today, and one of their cost where models have prices."""

    used_by: dict[str, Any]
    of_cost: tuple[str, ...] = ("spent_today",)
    """The columns that are about money."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_use_of_today(super().get_queryset(request), **self.used_by)

    def get_list_display(self, request: HttpRequest) -> Any:
        return _with_cost(request, super().get_list_display(request), "used_today", *self.of_cost)

    @admin.display(description=_("tokens today"), ordering="used")
    def used_today(self, row: Any) -> str:
        return f"{getattr(row, 'used', 0):,}"  # a row that is being added has no use yet

    @admin.display(description=_("cost today"), ordering="spent")
    def spent_today(self, row: Any) -> str:
        return money(getattr(row, "spent", 0) / NANOS, get_config().currency)


def _with_cost(request: HttpRequest, columns: Any, before: str, *of_cost: str) -> list[Any]:
    """`columns`, and those of costs where models have prices: elsewhere nobody is to wonder about it."""
    facts = request.META  # Django asks for the columns twice
    if _HAS_PRICES not in facts:
        facts[_HAS_PRICES] = ModelPrice.objects.exists()
    at = list(columns).index(before) + 1
    return [*columns[:at], *of_cost, *columns[at:]] if facts[_HAS_PRICES] else list(columns)


def cost_in_words(row: Any) -> Any:
    """What a row of use, or a run, has cost; empty where nothing had a price."""
    if not row.currency:
        return ""
    cost = money(row.cost_nanos / NANOS, row.currency)
    if not (unpriced := row.input_tokens + row.output_tokens - row.priced_tokens):
        return cost
    return _("%(cost)s and %(tokens)s tokens without a price") % {"cost": cost, "tokens": f"{unpriced:,}"}


@admin.register(Usage)
class UsageAdmin(ReadOnlyAdmin):
    """What was used, day by day; only the journal writes it. Deleting a row resets that day's use of its user."""

    list_display = ("day", "who", "agent", "tokens", "input_tokens", "output_tokens", "llm_calls")
    list_select_related = ("user",)
    list_filter = ("agent",)
    search_fields = ("user__username", "agent")
    date_hierarchy = "day"
    fields = ("day", "user", "agent", "input_tokens", "output_tokens", "llm_calls", "cost")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).annotate(tokens=F("input_tokens") + F("output_tokens"))
        return rows

    def get_list_display(self, request: HttpRequest) -> Any:
        return _with_cost(request, super().get_list_display(request), "tokens", "cost")

    @admin.display(description=_("user"), ordering="user")
    def who(self, row: Usage) -> Any:
        return row.user or _("anonymous")

    @admin.display(description=_("tokens"), ordering="tokens")
    def tokens(self, row: Any) -> str:
        return f"{row.tokens:,}"

    @admin.display(description=_("cost"), ordering="cost_nanos")
    def cost(self, row: Usage) -> Any:
        return cost_in_words(row) or "-"
