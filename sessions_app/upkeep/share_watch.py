"""Every 2 s: who has no share, and what all anonymous visitors have stored."""

from __future__ import annotations

from django.contrib.auth import get_user_model

from agents.access.local_user import LOCAL_USERNAME
from agents.budgets.shares import Shares
from agents.database.threads import in_thread
from sessions_app import queries


class ShareWatch:
    """Keeps the shares of this process up to date."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares

    async def look(self) -> None:
        """Look at the database."""
        await in_thread(self._look)

    def _look(self) -> None:
        shares = self._shares
        if not shares.config.limit_local:
            users = get_user_model()._default_manager.filter(**{get_user_model().USERNAME_FIELD: LOCAL_USERNAME})
            shares.exempt = frozenset(users.values_list("pk", flat=True))
        if shares.config.allow_anonymous:
            shares.by_anonymous = queries.stored_by_anonymous()
