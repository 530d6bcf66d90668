"""What models cost, as the operator has filled it in: read again and again, and asked for each reply."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby

from agents.models.model_price import LONGEST_NAME, ModelPrice
from myagent.llm import Usage
from myagent.text import clean


class Prices:
    """The prices in one currency. `refresh` blocks; all else does not."""

    def __init__(self, currency: str) -> None:
        self.currency = currency
        self._rows: dict[str, list[ModelPrice]] | None = None

    def refresh(self) -> None:
        """Read them."""
        rows = ModelPrice.objects.in_currency(self.currency)
        self._rows = {model: list(own) for model, own in groupby(rows, key=lambda row: row.model)}

    @property
    def are_known(self) -> bool:
        """Whether they were read yet."""
        return self._rows is not None

    @property
    def are_needed(self) -> bool:
        """Whether there may be any: then what models take is priced."""
        return self._rows is None or bool(self._rows)

    def has(self, model: str, moment: datetime) -> bool:
        """Whether this model has a price."""
        return self._of(model, moment) is not None

    def priced(self, usage: Usage, model: str, moment: datetime) -> Usage:
        """`usage` with what it cost; as it is where the model has no price."""
        price = self._of(model, moment)
        return usage if price is None else price.priced(usage)

    def _of(self, model: str, moment: datetime) -> ModelPrice | None:
        own = (self._rows or {}).get(stored_name(model), ())
        return next((row for row in own if row.valid_from <= moment), None)


def priced_now(usage: Usage, model: str, currency: str, moment: datetime) -> Usage:
    """The same for one that is asked for seldom: it reads the price from the database. Blocks."""
    price = ModelPrice.objects.at(model, currency, moment) if model else None
    return usage if price is None else price.priced(usage)


def stored_name(model: str) -> str:
    """A model's name as rows have it."""
    return clean(model)[:LONGEST_NAME]
