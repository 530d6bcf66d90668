"""Agents that are limited to groups, and what still holds of what let somebody in."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.backends.file import SessionStore as FileStore
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from agents.access.agent_permissions import denied_to
from agents.access.credentials import Identity, user_of_session
from agents.access.decision import Grant, credentials
from agents.access.revocation import recheck
from agents.models import AccessToken, HostedAgent, SsoIdentity
from tests.support.entries import database

pytestmark = database


@pytest.fixture
def ann():
    return User.objects.create_user("ann", password="secret-9")


@pytest.fixture
def groups():
    return {name: Group.objects.create(name=name) for name in ("red", "blue")}


@pytest.fixture
def agents(groups):
    """`open` is for everybody, `red` and `blue` for the groups of these names, `both` for both."""
    rows = {name: HostedAgent.objects.create(name=name) for name in ("open", "red", "blue", "both")}
    rows["red"].groups.add(groups["red"])
    rows["blue"].groups.add(groups["blue"])
    rows["both"].groups.add(*groups.values())
    return rows


def use_agent():
    return Permission.objects.get(codename="use_agent")


# --- groups -----------------------------------------------------------------------------------------------------------


def test_without_groups_everybody_may_use_everything(ann, django_assert_num_queries):
    HostedAgent.objects.create(name="open")
    with django_assert_num_queries(1):
        assert denied_to(ann.pk) == frozenset()
    with django_assert_num_queries(1):
        assert denied_to(None) == frozenset()


def test_an_agent_is_for_the_members_of_its_groups(ann, groups, agents, django_assert_num_queries):
    assert denied_to(ann.pk) == {"red", "blue", "both"}
    ann.groups.add(groups["red"])
    with django_assert_num_queries(2):
        assert denied_to(ann.pk) == {"blue"}
    ann.groups.add(groups["blue"], Group.objects.create(name="other"))
    assert denied_to(ann.pk) == frozenset()


def test_nobody_is_in_no_group(agents):
    assert denied_to(None) == {"red", "blue", "both"}
    assert denied_to(10**6) == {"red", "blue", "both"}


@pytest.mark.parametrize("way", ["row", "query", "user"])
def test_with_its_last_group_an_agent_does_not_become_everybodys(ann, groups, agents, way, django_assert_num_queries):
    ann.groups.add(groups["red"])
    if way == "user":  # in the admin, by somebody who knows nothing of agents
        boss = Client()
        boss.force_login(User.objects.create_superuser("boss"))
        boss.post(reverse("admin:auth_group_delete", args=[groups["red"].pk]), {"post": "yes"})
    elif way == "row":
        groups["red"].delete()
    else:
        Group.objects.filter(name="red").delete()
    assert not agents["red"].groups.exists()
    for user_id in (ann.pk, None):
        assert denied_to(user_id) == {"red", "blue", "both"}
    _, grant = of_token(ann)
    with django_assert_num_queries(2):
        found = recheck([grant], [ann.pk])
    assert not found.may_use(ann.pk, "red") and not found.may_use(None, "red") and not found.of(grant).allows("red")
    ann.user_permissions.add(use_agent())
    assert denied_to(ann.pk) == frozenset()
    # Other groups make it theirs.
    agents["red"].groups.add(Group.objects.create(name="crimson"))
    assert denied_to(None) == {"red", "blue", "both"}


def test_whoever_takes_the_groups_away_opens_an_agent(groups, agents):
    agents["red"].groups.remove(groups["red"])
    assert denied_to(None) == {"blue", "both"}
    agents["both"].groups.remove(groups["red"])
    assert denied_to(None) == {"blue", "both"}
    agents["both"].groups.set([])
    agents["blue"].groups.clear()
    assert denied_to(None) == frozenset()


def test_an_agent_that_lost_its_groups_is_opened_like_any_other(groups, agents):
    groups["red"].delete()
    agents["red"].groups.clear()
    assert denied_to(None) == {"blue", "both"}


def test_what_is_limited_from_the_side_of_a_group_counts_as_well(groups, agents):
    team = Group.objects.create(name="team")
    team.hostedagent_set.add(agents["open"])
    assert denied_to(None) == {"open", "red", "blue", "both"}
    team.hostedagent_set.remove(agents["open"])
    assert denied_to(None) == {"red", "blue", "both"}
    # Whose it was is not told then; they stay as they were, which publishes nothing.
    groups["red"].hostedagent_set.clear()
    assert denied_to(None) == {"red", "blue", "both"}


def test_a_row_that_is_saved_later_stays_limited(groups, agents):
    agents["red"].save()
    groups["red"].delete()
    assert "red" in denied_to(None)


def test_an_agent_with_groups_is_limited_however_they_came_to_be(groups, agents):
    """As by an older version of the server that shares the database during an update."""
    HostedAgent.groups.through.objects.create(hostedagent=agents["open"], group=groups["red"])
    assert "open" in denied_to(None)


@pytest.mark.django_db(transaction=True)
def test_agents_that_had_groups_before_are_limited():
    executor = MigrationExecutor(connection)
    leaves = executor.loader.graph.leaf_nodes()
    executor.migrate([("agents", "0003_agents_as_rows")])
    old = executor.loader.project_state([("agents", "0003_agents_as_rows")]).apps
    for name in ("open", "red"):
        old.get_model("agents", "HostedAgent").objects.create(name=name)
    red = old.get_model("agents", "HostedAgent").objects.get(name="red")
    red.groups.add(old.get_model("auth", "Group").objects.create(name="red"))
    executor = MigrationExecutor(connection)
    executor.migrate(leaves)
    Group.objects.all().delete()
    assert denied_to(None) == {"red"}


def test_the_permission_lets_use_them_all(ann, groups, agents):
    ann.user_permissions.add(use_agent())
    assert denied_to(ann.pk) == frozenset()
    ann.user_permissions.clear()
    groups["red"].permissions.add(use_agent())
    assert denied_to(ann.pk) == {"red", "blue", "both"}
    ann.groups.add(groups["red"])
    assert denied_to(ann.pk) == frozenset()


def test_superusers_have_every_permission(agents):
    assert denied_to(User.objects.create_superuser("boss").pk) == frozenset()
    # Staff is about the admin.
    assert denied_to(User.objects.create_user("clerk", is_staff=True).pk) == {"red", "blue", "both"}


def test_a_permission_of_the_same_name_elsewhere_is_another_one(ann, agents):
    foreign = Permission.objects.exclude(content_type__app_label="agents").first()
    Permission.objects.filter(pk=foreign.pk).update(codename="use_agent")
    ann.user_permissions.add(foreign)
    assert denied_to(ann.pk) == {"red", "blue", "both"}


def test_every_credential_comes_with_what_is_denied(ann, groups, agents):
    ann.groups.add(groups["red"])
    _, plaintext = AccessToken.objects.issue(ann, "x", agents=["open", "blue"])
    grant = Grant.of("token", credentials.user_of_token(plaintext))
    # A token cannot give more than its user has.
    assert [name for name in agents if grant.allows(name)] == ["open"]
    client = Client()
    client.force_login(ann)
    assert user_of_session(client.cookies["sessionid"].value).denied == {"blue"}


# --- what still holds -------------------------------------------------------------------------------------------------


def of_token(user, **options):
    token, _ = AccessToken.objects.issue(user, "x", **options)
    agents = frozenset(token.agents) or None
    identity = Identity(
        user_id=user.pk, username=user.username, token_id=token.pk, agents=agents, denied=denied_to(user.pk)
    )
    return token, Grant.of("token", identity)


def test_what_was_revoked_is_found_in_one_query_for_all(ann, django_assert_num_queries):
    now = timezone.now()
    users = [ann, User.objects.create_user("bob"), User.objects.create_user("eve")]
    good, expired, revoked, changed, limited, eves = (
        of_token(users[0], expires_at=now + timedelta(days=1)),
        of_token(users[0], expires_at=now - timedelta(seconds=1)),
        of_token(users[1]),
        of_token(users[1], agents=["a"]),
        of_token(users[1], agents=["a", "b"]),
        of_token(users[2]),
    )
    revoked[0].revoke(now)
    AccessToken.objects.filter(pk=changed[0].pk).update(agents=["b"])
    User.objects.filter(username="eve").update(is_active=False)
    anonymous = Grant(kind="anonymous")
    gone = Grant(kind="local", user_id=10**6, username="local")
    of_sso = [
        Grant(kind="jwt", user_id=ann.pk, username="ann", expires_at=now + timedelta(seconds=seconds))
        for seconds in (60, -1)
    ]
    grants = [good[1], expired[1], revoked[1], changed[1], limited[1], eves[1], anonymous, gone, *of_sso]
    with django_assert_num_queries(2):  # the groups of agents, and everything else
        found = recheck(grants)
    assert [grant for grant in grants if found.of(grant) == grant] == [good[1], limited[1], anonymous, of_sso[0]]
    assert [grant for grant in grants if found.of(grant) is None] == [
        expired[1],
        revoked[1],
        changed[1],
        eves[1],
        gone,
        of_sso[1],
    ]
    with django_assert_num_queries(1):
        recheck([anonymous])
    with django_assert_num_queries(2):
        recheck(grants * 50)


def test_what_groups_deny_is_looked_at_for_all_together(ann, groups, agents, django_assert_num_queries):
    bob = User.objects.create_user("bob")
    ann.groups.add(groups["red"])
    _, anns = of_token(ann)
    _, bobs = of_token(bob)
    nobodys = Grant(kind="anonymous", denied=denied_to(None))
    ann.groups.set([groups["blue"]])
    agents["both"].groups.clear()
    with django_assert_num_queries(2):
        found = recheck([anns, bobs, nobodys], [ann.pk])
    assert [name for name in agents if found.of(anns).allows(name)] == ["open", "blue", "both"]
    assert [name for name in agents if found.of(bobs).allows(name)] == ["open", "both"]
    assert [name for name in agents if found.of(nobodys).allows(name)] == ["open", "both"]
    assert [found.may_use(ann.pk, name) for name in ("red", "blue")] == [False, True]
    assert [found.may_use(None, name) for name in ("red", "open")] == [False, True]
    assert not found.may_use(10**6, "open")


def test_an_identity_of_the_single_sign_on_counts_while_it_is_linked(ann, django_assert_num_queries):
    rows = [SsoIdentity.objects.create(subject=str(number), user=ann) for number in range(3)]
    grants = [Grant(kind="jwt", user_id=ann.pk, username="ann", sso_identity_id=row.pk) for row in rows]
    SsoIdentity.objects.filter(subject="0").update(user=User.objects.create(username="bob"))
    rows[1].delete()
    with django_assert_num_queries(3):
        found = recheck(grants)
    assert [found.of(grant) for grant in grants] == [None, None, grants[2]]


def login(user):
    client = Client()
    client.force_login(user)
    return client, Grant.of("cookie", user_of_session(client.cookies["sessionid"].value))


def test_a_login_ends_with_its_browser_session(ann, django_assert_num_queries):
    (browser, logged_out), (_, expired), (_, good) = login(ann), login(ann), login(ann)
    browser.logout()
    Session.objects.filter(pk=expired.login.session_key).update(expire_date=timezone.now())
    with django_assert_num_queries(3):
        found = recheck([logged_out, expired, good])
    assert [found.of(grant) for grant in (logged_out, expired, good)] == [None, None, good]


@pytest.fixture(params=["cache", "file", "cached_db"])
def store(request, tmp_path, monkeypatch):
    """Browser sessions that are kept elsewhere than in the database alone."""
    engine = f"django.contrib.sessions.backends.{request.param}"
    with override_settings(SESSION_ENGINE=engine, SESSION_FILE_PATH=str(tmp_path)):
        # Kept by the class of the store, which outlives this test.
        monkeypatch.setattr(FileStore, "_storage_path", str(tmp_path), raising=False)
        yield request.param
    cache.clear()


def test_a_login_ends_wherever_browser_sessions_are_kept(ann, store):
    (browser, logged_out), (_, expired), (_, good) = login(ann), login(ann), login(ann)
    assert [recheck([grant]).of(grant) for grant in (logged_out, expired, good)] == [logged_out, expired, good]
    browser.logout()
    session = credentials.session_store()(expired.login.session_key)
    session.set_expiry(-1)
    session.save()
    found = recheck([logged_out, expired, good])
    assert [found.of(grant) for grant in (logged_out, expired, good)] == [None, None, good]


def test_a_store_that_is_away_ends_no_login(ann, monkeypatch):
    """Django's own pages take everybody for logged out then; a socket would be told so for good."""
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.cache"):
        grant = login(ann)[1]
        for name in ("get", "has_key", "__contains__"):
            monkeypatch.setattr(LocMemCache, name, Mock(side_effect=ConnectionError("away")))
        with pytest.raises(ConnectionError):
            recheck([grant])
    cache.clear()


def test_a_login_ends_with_its_password(ann):
    grant = login(ann)[1]
    assert recheck([grant]).of(grant) == grant
    ann.set_password("another-9")
    ann.save()
    assert recheck([grant]).of(grant) is None


@override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies")
def test_logins_that_are_cookies_have_no_row_that_could_be_gone(ann):
    client = Client()
    client.force_login(ann)
    grant = Grant.of("cookie", user_of_session(client.cookies["sessionid"].value))
    assert recheck([grant]).of(grant) == grant
    client.logout()
    assert recheck([grant]).of(grant) == grant, "nothing tells that the browser has thrown the cookie away"
    User.objects.update(is_active=False)
    assert recheck([grant]).of(grant) is None
