"""What the look at open connections decides; what it does to people is tested in `tests/server/test_team.py`."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from agents.access.decision import Grant
from sessions_app.upkeep import access_watch
from sessions_app.upkeep.access_watch import AccessWatch
from tests.support.patience import WAIT_SECONDS

ALLOWANCES = SimpleNamespace(
    refresh=lambda: None, nearly_used_up=lambda users: {}, agents_nearly_used_up=lambda names: {}
)


class Connection:
    """An open connection that uses `second`."""

    notified_until = None
    agents_in_use = frozenset({"second"})

    def __init__(self, grant):
        self.grant = grant
        self.is_revoked = False

    def regrant(self, grant):
        self.grant = grant

    async def revoke(self):
        self.is_revoked = True


@pytest.mark.parametrize("already_known", [True, False])
async def test_a_denied_agent_that_is_in_use_closes_the_connection(monkeypatch, already_known):
    """Known already: it began to use the agent by a request that was under way while its rights were taken."""
    allowed = Grant(kind="token", user_id=1)
    denied = Grant(kind="token", user_id=1, denied=frozenset({"second"}))
    monkeypatch.setattr(access_watch, "recheck", lambda grants, user_ids: SimpleNamespace(of=lambda grant: denied))
    monkeypatch.setattr(access_watch, "in_thread", in_thread)
    connection = Connection(denied if already_known else allowed)
    runner = SimpleNamespace(working=[])
    await AccessWatch(allowances=ALLOWANCES, runner=runner, journal=None, connections=[connection]).check_permissions()
    assert connection.is_revoked


async def test_while_one_connection_is_closed_no_other_goes_on(monkeypatch):
    monkeypatch.setattr(access_watch, "recheck", lambda grants, user_ids: SimpleNamespace(of=lambda grant: None))
    monkeypatch.setattr(access_watch, "in_thread", in_thread)
    slow, other = (Connection(Grant(kind="token", user_id=1)) for _ in range(2))
    other_is_revoked = asyncio.Event()

    async def wait_for_the_other():
        await other_is_revoked.wait()

    async def tell():
        other_is_revoked.set()

    slow.revoke, other.revoke = wait_for_the_other, tell
    runner = SimpleNamespace(working=[])
    async with asyncio.timeout(WAIT_SECONDS):
        await AccessWatch(
            allowances=ALLOWANCES, runner=runner, journal=None, connections=[slow, other]
        ).check_permissions()


async def in_thread(function, *args):
    return function(*args)
