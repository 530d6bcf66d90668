"""What one transaction of the journal adds to the use of a day."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import fields
from datetime import datetime

from django.utils import timezone

from agents.models.budgets import Spender, Usage
from myagent.llm import Usage as Tokens
from sessions_app.journal.locked_rows import LockedRun, LockedSession
from sessions_app.models import Run


def usage_of(run: Run | LockedRun) -> Tokens:
    """What a run has used so far, by the columns of its row."""
    return Tokens(**{item.name: getattr(run, item.name) for item in fields(Tokens)})


class UsageLedger:
    """Adds up the tokens that runs report and what they cost, each token once."""

    def __init__(self) -> None:
        self._spent: dict[Spender, Tokens] = defaultdict(Tokens)

    def add(self, session: LockedSession, run: LockedRun, total: Tokens) -> None:
        """`total` is what the run has used so far; what exceeds the columns of `run` is new."""
        self._spent[session.user_id, session.agent] += Tokens(
            total.input_tokens - run.input_tokens,
            total.output_tokens - run.output_tokens,
            total.llm_calls - run.llm_calls,
            cost_nanos=total.cost_nanos - run.cost_nanos,
            priced_tokens=total.priced_tokens - run.priced_tokens,
            currency=total.currency,
        )

    def write(self, now: datetime) -> None:
        """Add it to the rows of this day. These stay locked until the commit, so this comes last."""
        if spent := {spender: tokens for spender, tokens in self._spent.items() if tokens.is_any}:
            Usage.objects.add(timezone.localdate(now), spent)
