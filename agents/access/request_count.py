"""Counting the requests of whoever was let in."""

from __future__ import annotations

import asyncio

from agents.access.decision import Grant
from agents.access.local_user import LOCAL_USERNAME
from agents.budgets.rates import rates_of
from agents.budgets.shares import Sharer
from agents.conf import Config


def sharer_of(grant: Grant) -> Sharer:
    """Whose share requests count to, and sessions that are created."""
    return Sharer(grant.user_id, grant.visitor or None)


def count_request(grant: Grant, size: int, config: Config) -> None:
    """Count one request of so many bytes, on the event loop. Raises `RateExceeded`."""
    if grant.username != LOCAL_USERNAME or config.limit_local:
        rates_of(config).admit(sharer_of(grant), size, asyncio.get_running_loop().time())
