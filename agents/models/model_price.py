"""The table of what models cost; `agents.budgets.prices` has it in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Self

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agents.conf import get_config
from myagent.llm import NANOS, Usage

LONGEST_NAME = 200
_PER = 1_000_000
"""Tokens that a price is for."""
_NANOS_PER_TOKEN = NANOS // _PER


def _price(words: Any, **options: Any) -> models.DecimalField:
    # Nobody charges less than a millionth for a million tokens; in SQLite as many digits as these are exact.
    return models.DecimalField(words, max_digits=14, decimal_places=6, validators=[MinValueValidator(0)], **options)


class ModelPriceQuerySet(models.QuerySet["ModelPrice"]):
    def in_currency(self, currency: str) -> Self:
        """Those that count while costs are in this currency, the newest of each model first."""
        return self.filter(currency=currency).order_by("model", "-valid_from")

    def at(self, model: str, currency: str, moment: datetime) -> ModelPrice | None:
        """What this model costs at this moment; None where that is not known."""
        return self.in_currency(currency).filter(model=model, valid_from__lte=moment).first()


class ModelPrice(models.Model):
    """What a million tokens of a model cost, from a moment on until a later row of the same model holds.

    What a run has cost is computed when its use is stored, and stored with it: no row changes what is past.
    """

    model = models.CharField(
        _("model"), max_length=LONGEST_NAME, help_text=_("The name by which the endpoint is asked for it, exactly.")
    )
    input_price = _price(_("a million input tokens"))
    cached_input_price = _price(
        _("a million input tokens from the cache"), null=True, blank=True, help_text=_("Empty: as other input.")
    )
    output_price = _price(_("a million output tokens"), help_text=_("Those of reasoning are among them."))
    currency = models.CharField(_("currency"), max_length=3, editable=False)
    """That of the setting when the row was made: a price never changes its currency with the setting."""
    valid_from = models.DateTimeField(_("holds from"), default=timezone.now)

    objects = ModelPriceQuerySet.as_manager()

    class Meta:
        verbose_name = _("price of a model")
        verbose_name_plural = _("model prices")
        ordering = ("model", "-valid_from")
        constraints = [
            models.UniqueConstraint(
                fields=["model", "valid_from"],
                name="one_model_price_at_a_time",
                violation_error_message=_("There is a price of this model from this moment on."),
            )
        ]

    def __str__(self) -> str:
        return self.model

    def save(self, *args: Any, **options: Any) -> None:
        """A new row is in the currency of the settings."""
        if not self.currency:
            self.currency = get_config().currency
        super().save(*args, **options)

    def priced(self, usage: Usage) -> Usage:
        """`usage`, all of it at this price; rounded to a billionth of the currency."""
        cached = min(usage.cached_input_tokens, usage.input_tokens)
        cached_price = self.input_price if self.cached_input_price is None else self.cached_input_price
        cost = (usage.input_tokens - cached) * self.input_price + cached * cached_price
        cost += usage.output_tokens * self.output_price
        tokens = usage.input_tokens + usage.output_tokens
        nanos = round(cost * _NANOS_PER_TOKEN)
        return replace(usage, cost_nanos=nanos, priced_tokens=tokens, currency=self.currency)
