"""What models cost, in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agents.conf import get_config
from agents.models import ModelPrice


@admin.register(ModelPrice)
class ModelPriceAdmin(admin.ModelAdmin):
    """Prices of models. A new price is a new row: what is past keeps its cost either way, and here one sees why."""

    list_display = (
        "model",
        "input_price",
        "cached_input_price",
        "output_price",
        "in_currency",
        "valid_from",
        "holds_now",
    )
    search_fields = ("model",)
    fields = ("model", "input_price", "cached_input_price", "output_price", "in_currency", "valid_from")
    readonly_fields = ("in_currency",)
    save_as = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the key of the row that holds for the same model, as `newest`."""
        same = ModelPrice.objects.in_currency(get_config().currency).filter(model=OuterRef("model"))
        newest = same.filter(valid_from__lte=timezone.now()).values("pk")[:1]
        rows: QuerySet[Any] = super().get_queryset(request).annotate(newest=Subquery(newest))
        return rows

    @admin.display(description=_("currency"), ordering="currency")
    def in_currency(self, row: Any) -> str:
        return row.currency or get_config().currency  # a row that is being added

    @admin.display(description=_("holds now"), boolean=True)
    def holds_now(self, row: Any) -> bool:
        return bool(row.newest == row.pk)
