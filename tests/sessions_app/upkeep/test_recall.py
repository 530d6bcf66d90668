"""What was begun or queued by somebody whom that was taken away from since."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from agents.access.local_user import BANNER_TOKEN_LIFE, issue_banner_token
from agents.models import AccessToken, HostedAgent
from sessions_app.journal.refusal import Refused
from sessions_app.models import Run
from sessions_app.upkeep import recall
from sessions_app.upkeep.recall import Recall, not_permitted
from tests.support import entries as e

pytestmark = e.database


@pytest.fixture
def ann():
    return User.objects.create_user("ann")


def issued(user, **options):
    return AccessToken.objects.issue(user, "flow", **options)[0]


def begun(user, token=None, **options):
    """A run that is active and one that waits behind it."""
    session_id = e.new_session(user_id=user and user.pk, **options)
    key = token and token.pk
    return [(session_id, e.post(session_id, token_id=key, lease=lease).run_id) for lease in (e.LEASE, None)]


def found():
    return set(not_permitted())


def test_what_is_permitted_stays(ann):
    begun(ann)
    begun(None)
    begun(ann, issued(ann))
    begun(ann, issued(ann, expires_at=timezone.now() - timedelta(days=1)))
    assert found() == set()


def test_a_revoked_token_takes_with_it_what_it_began_and_nothing_else(ann):
    token, other = issued(ann), issued(ann)
    mine, _others = begun(ann, token), [begun(ann, other), begun(ann)]
    token.revoke(timezone.now())
    assert found() == set(mine)


def test_one_that_was_revoked_alone_leaves_it(ann):
    token = issued(ann)
    begun(ann, token)
    token.revoke(timezone.now(), stops_runs=False)
    assert found() == set()


def test_a_deleted_token_counts_as_revoked(ann):
    token = issued(ann)
    mine = begun(ann, token)
    token.delete()
    assert found() == set(mine)


def test_tokens_of_the_banner_are_deleted_long_after_they_expired(ann):
    issue_banner_token(ann)
    tokens = AccessToken.objects.filter(user=ann)
    begun(ann, tokens.get())
    tokens.update(expires_at=timezone.now() - timedelta(days=1))
    issue_banner_token(ann)
    assert found() == set() and tokens.count() == 2
    tokens.update(expires_at=timezone.now() - BANNER_TOKEN_LIFE)
    issue_banner_token(ann)
    assert tokens.count() == 1


def test_a_user_who_is_deactivated_has_nothing_left_also_what_no_process_works_on(ann):
    mine = begun(ann) + begun(ann, issued(ann))
    Run.objects.update(owner="a-dead-one", lease_until=timezone.now() - timedelta(hours=1))
    begun(User.objects.create_user("bob"))
    User.objects.filter(pk=ann.pk).update(is_active=False)
    assert found() == set(mine)


def test_what_waits_for_an_agent_that_its_user_may_not_use_any_more(ann):
    (_active, waiting), anonymous = begun(ann, agent="secret"), begun(None, agent="secret")
    HostedAgent.objects.create(name="secret").groups.add(Group.objects.create(name="team"))
    assert found() == {waiting, anonymous[1]}
    ann.groups.add(Group.objects.get())
    assert found() == {anonymous[1]}


async def test_each_is_cancelled_by_itself_and_its_task_stopped(monkeypatch):
    recorded, stopped = [], []

    async def in_thread(function):
        return [("a", 1), ("deleted", 2), ("b", 3), ("b", 4)]

    async def record(entry):
        recorded.append((entry.session_id, entry.only, entry.reason))
        if entry.session_id == "deleted":
            raise Refused("session_not_found")
        return [] if entry.only == 4 else [entry.only]

    monkeypatch.setattr(recall, "in_thread", in_thread)
    runner, journal = SimpleNamespace(stop_runs=stopped.extend), SimpleNamespace(record=record)
    await Recall(runner=runner, journal=journal).cancel_what_is_not_permitted()
    assert [key for _, key, _ in recorded] == [1, 2, 3, 4] and {reason for *_, reason in recorded} == {"access_revoked"}
    assert stopped == [1, 3]
