"""Access tokens, the user `local`, the command that makes tokens, and tokens in logs."""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.utils import timezone, translation

from agents.access import credentials
from agents.access.local_user import BANNER_TOKEN_LIFE, ensure_local_user, first_password, issue_banner_token
from agents.log_format import RedactingFormatter, redact
from agents.models import AccessToken, HostedAgent
from agents.models.access_token import hash_token
from myagent import i18n
from tests.support.entries import database

pytestmark = database


@pytest.fixture(autouse=True)
def english():
    language = i18n._language
    i18n.use_language("en")
    yield
    i18n.use_language(language)


@pytest.fixture
def ann():
    return User.objects.create_user("ann")


def test_only_the_hash_is_stored(ann):
    token, plaintext = AccessToken.objects.issue(ann, "laptop")
    assert plaintext.startswith("mya_")
    assert len(plaintext) >= 40
    assert token.token_hash == hash_token(plaintext)
    stored = AccessToken.objects.values().get()
    assert plaintext not in str(stored)
    assert plaintext.startswith(token.prefix)
    assert plaintext not in str(token)


def test_a_token_names_its_user(ann):
    token, plaintext = AccessToken.objects.issue(ann, "laptop", agents=["a"])
    identity = credentials.user_of_token(plaintext)
    expected = {"user_id": ann.pk, "username": "ann", "token_id": token.pk, "agents": frozenset({"a"})}
    assert identity == credentials.Identity(**expected, denied=frozenset())


def test_usable(ann):
    now = timezone.now()
    _, good = AccessToken.objects.issue(ann, "good", expires_at=now + timedelta(hours=1))
    _, old = AccessToken.objects.issue(ann, "old", expires_at=now)
    revoked, gone = AccessToken.objects.issue(ann, "gone")
    revoked.revoke(now)
    assert [token.name for token in AccessToken.objects.usable(now)] == ["good"]
    assert credentials.user_of_token(good) is not None
    assert credentials.user_of_token(old) is None
    assert credentials.user_of_token(gone) is None
    assert credentials.user_of_token("mya_unknown") is None
    assert credentials.user_of_token("") is None
    User.objects.update(is_active=False)
    assert credentials.user_of_token(good) is None


def test_revoking_twice_keeps_the_first_time(ann):
    token, _ = AccessToken.objects.issue(ann, "laptop")
    now = timezone.now()
    token.revoke(now)
    token.revoke(now + timedelta(days=1))
    token.refresh_from_db()
    assert token.revoked_at == now


def test_the_last_use_is_noted_once_a_minute(ann, django_assert_num_queries):
    token, _ = AccessToken.objects.issue(ann, "laptop")
    now = timezone.now()
    token.note_use(now)
    with django_assert_num_queries(0):
        token.note_use(now + timedelta(seconds=59))
    with django_assert_num_queries(1):
        token.note_use(now + timedelta(seconds=60))
    token.refresh_from_db()
    assert token.last_used_at == now + timedelta(seconds=60)


@translation.override("en")
def test_states(ann):
    now = timezone.now()
    token, _ = AccessToken.objects.issue(ann, "laptop", expires_at=now + timedelta(days=1))
    assert token.state(now) == "usable"
    assert token.state(now + timedelta(days=2)) == "expired"
    token.revoke(now)
    assert token.state(now) == "revoked"


@pytest.fixture
def embedded():
    with override_settings(MYAGENT={"EMBEDDED_DATABASE": True}):
        yield


def test_the_local_user_owns_the_embedded_database(embedded):
    user = ensure_local_user()
    assert user.is_superuser
    assert user.is_staff
    assert not user.has_usable_password()
    with first_password(user) as password:
        assert password is not None
    again = ensure_local_user()
    assert again == user
    assert again.check_password(password)
    with first_password(again) as nothing:
        assert nothing is None


def test_the_first_password_is_kept_only_when_it_could_be_shown(embedded):
    user = ensure_local_user()
    with pytest.raises(BrokenPipeError), first_password(user):
        raise BrokenPipeError
    with first_password(ensure_local_user()) as password:
        assert password is not None


def test_a_password_that_was_set_meanwhile_stays(embedded):
    user = ensure_local_user()
    other = ensure_local_user()
    other.set_password("of the user's own")
    other.save()
    with first_password(user) as nothing:
        assert nothing is None
    assert ensure_local_user().check_password("of the user's own")


def test_no_password_is_made_for_a_local_user_who_lost_the_right_to_one(embedded):
    user = ensure_local_user()
    user.set_unusable_password()  # as the admin does it
    user.save()
    with first_password(ensure_local_user()) as nothing:
        assert nothing is None


def test_the_local_user_is_nobody_special_on_a_shared_database():
    with override_settings(MYAGENT={"EMBEDDED_DATABASE": False}):
        user = ensure_local_user()
        with first_password(user) as password:
            assert password is None
    assert not (user.is_superuser or user.is_staff)
    assert not user.has_usable_password()


def test_banner_tokens_of_earlier_starts_stay_good_until_they_expire():
    user = ensure_local_user()
    first = issue_banner_token(user)
    second = issue_banner_token(user)
    assert credentials.user_of_token(first) is not None
    expired = AccessToken.objects.filter(token_hash=hash_token(first))
    expired.update(expires_at=timezone.now())
    issue_banner_token(user)
    assert credentials.user_of_token(first) is None
    assert expired.exists()  # what was begun with it is not cancelled
    expired.update(expires_at=timezone.now() - BANNER_TOKEN_LIFE)
    issue_banner_token(user)
    assert not expired.exists()
    assert credentials.user_of_token(second) is not None


def test_createtoken_prints_the_token_once(ann):
    out, err = StringIO(), StringIO()
    for name in ("a", "b"):
        HostedAgent.objects.create(name=name)
    call_command("createtoken", "ann", "--name", "ci", "--agents", "a, b", "--expires", "30d", stdout=out, stderr=err)
    assert err.getvalue() == ""
    token = AccessToken.objects.with_plaintext(out.getvalue().strip()).get()
    assert (token.user, token.name, token.agents) == (ann, "ci", ["a", "b"])
    assert timedelta(days=29) < token.expires_at - timezone.now() <= timedelta(days=30)


def test_createtoken_for_nobody_tells_how():
    with pytest.raises(CommandError, match="--create-user"):
        call_command("createtoken", "bob")
    assert not AccessToken.objects.exists()


def test_createtoken_can_make_the_user():
    out = StringIO()
    call_command("createtoken", "bob", "--create-user", stdout=out)
    assert credentials.user_of_token(out.getvalue().strip()).username == "bob"
    assert not User.objects.get(username="bob").has_usable_password()


def test_createtoken_for_an_inactive_user(ann):
    User.objects.update(is_active=False)
    with pytest.raises(CommandError, match="not active"):
        call_command("createtoken", "ann")


@pytest.mark.parametrize("nothing", ["", ",", " , "])
def test_createtoken_for_no_agent_is_not_for_all_of_them(ann, nothing):
    with pytest.raises(CommandError, match="agents.*names nothing"):
        call_command("createtoken", "ann", f"--agents={nothing}")
    assert not AccessToken.objects.exists()


def test_createtoken_warns_of_agents_that_nobody_knows(ann):
    HostedAgent.objects.create(name="a")
    out, err = StringIO(), StringIO()
    call_command("createtoken", "ann", "--agents", "a,elsewhere,typo", stdout=out, stderr=err)
    assert AccessToken.objects.with_plaintext(out.getvalue().strip()).get().agents == ["a", "elsewhere", "typo"]
    assert "elsewhere, typo" in err.getvalue()
    assert out.getvalue().strip() not in err.getvalue()


@pytest.mark.parametrize("period", ["30", "0d", "d", "3y", "-1d", "1.5h"])
def test_createtoken_refuses_odd_periods(ann, period):
    with pytest.raises(CommandError, match="30d"):
        call_command("createtoken", "ann", f"--expires={period}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /ws/?token=mya_abcdefgh123&x=1", "GET /ws/?token=***&x=1"),
        ("GET /?x=1&TOKEN=other HTTP/1.1", "GET /?x=1&TOKEN=*** HTTP/1.1"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("saw mya_abcdefgh123456 there", "saw mya_*** there"),
        ("saw eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.abc-_ there", "saw eyJh*** there"),
        ("used 5 tokens; max_token 3", "used 5 tokens; max_token 3"),
    ],
)
def test_tokens_are_blotted_out(text, expected):
    assert redact(text) == expected


def test_tokens_in_tracebacks_are_blotted_out():
    try:
        raise ValueError("bad URL ws://x/?token=mya_abcdefgh123")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "failed %s", ("mya_abcdefgh123",), sys.exc_info())
    text = RedactingFormatter().format(record)
    assert "abcdefgh" not in text
    assert "ValueError" in text
