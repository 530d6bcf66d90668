"""The pages of the own account: the password, the tokens, and the end of all logins."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session as BrowserSession
from django.test import Client
from django.urls import reverse

from agents.access.browser_logins import end_logins
from agents.models import AccessToken, Invitation
from tests.agents.web.test_login import LOGIN, PASSWORD, Browser, audit, words
from tests.support.entries import database

pytestmark = [*database, pytest.mark.usefixtures("in_english")]
ACCOUNT, CHANGE, EVERYWHERE = reverse("account"), reverse("password"), reverse("logout_everywhere")
NEW = "another-password-8"


@pytest.fixture
def ann():
    return User.objects.create_user("ann", password=PASSWORD)


@pytest.fixture
def browser(ann):
    browser = Browser()
    assert browser.log_in().status_code == 302
    return browser


def change(browser: Browser, old: str = PASSWORD, new: str = NEW, again: str = NEW):
    return browser.send(CHANGE, old_password=old, new_password1=new, new_password2=again)


@pytest.mark.parametrize("path", [ACCOUNT, CHANGE, EVERYWHERE, reverse("revoke_token", args=[1])])
def test_strangers_see_none_of_it(path):
    client = Client()
    answer = client.get(path) if path in (ACCOUNT, CHANGE) else client.post(path)
    assert answer["Location"] == f"{LOGIN}?next={path}"


@pytest.mark.parametrize("path", [EVERYWHERE, reverse("revoke_token", args=[1])])
def test_what_changes_something_is_no_link(browser, path):
    assert browser.get(path).status_code == 405
    assert browser.post(path).status_code == 403


def test_a_new_password_ends_the_other_logins(ann, browser):
    other = Browser()
    other.log_in()
    answer = change(browser)
    assert (answer.status_code, answer["Location"]) == (302, f"{ACCOUNT}?done=password")
    assert "password was changed" in words(browser.get(answer["Location"]))
    assert other.get(ACCOUNT).status_code == 302
    assert Browser().log_in(password=NEW).status_code == 302
    assert Browser().log_in().status_code == 200
    assert ("ann", "ann", "Changed the own password.") in audit()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"old": "x"}, "old password was entered incorrectly"),
        ({"again": "other-password-7"}, "didn’t match"),
        ({"new": "12345678", "again": "12345678"}, "too common"),
    ],
)
def test_a_password_that_cannot_be_is_not_set(ann, browser, given, said):
    answer = change(browser, **given)
    assert answer.status_code == 200 and said in words(answer)
    assert User.objects.get().check_password(PASSWORD)


def test_whoever_has_the_cookie_cannot_guess_the_password(ann, browser):
    for _ in range(10):
        assert change(browser, old="x").status_code == 200
    answer = change(browser)
    assert answer.status_code == 429 and int(answer["Retry-After"]) > 0
    assert User.objects.get().check_password(PASSWORD)
    assert browser.get(ACCOUNT).status_code == 200
    assert Browser().log_in().status_code == 302


def test_own_tokens_are_listed_and_revoked(ann, browser):
    token, _text = AccessToken.objects.issue(ann, "a <b>script</b>")
    foreign, _text = AccessToken.objects.issue(User.objects.create_user("ben"), "of another")
    page = browser.get(ACCOUNT).content.decode()
    assert "a &lt;b&gt;script" in page and "of another" not in page
    assert browser.send(reverse("revoke_token", args=[foreign.pk]), ACCOUNT).status_code == 404
    answer = browser.send(reverse("revoke_token", args=[token.pk]), ACCOUNT)
    assert "was revoked" in words(browser.get(answer["Location"]))
    assert [it.revoked_at is None for it in (AccessToken.objects.get(pk=token.pk), foreign)] == [False, True]
    assert "script" not in browser.get(ACCOUNT).content.decode()
    assert audit()[-1] == ("ann", str(token), "Revoked.")


def test_logging_out_everywhere_ends_the_own_logins_and_links(ann, browser):
    other, ben = Browser(), Browser()
    other.log_in()
    User.objects.create_user("ben", password=PASSWORD)
    ben.log_in("ben")
    token, _text = AccessToken.objects.issue(ann, "stays")
    Invitation.objects.issue(ann)
    answer = browser.send(EVERYWHERE, ACCOUNT)
    assert answer["Location"].startswith(LOGIN)
    assert [it.get(ACCOUNT).status_code for it in (browser, other, ben)] == [302, 302, 200]
    assert BrowserSession.objects.count() == 1
    assert not Invitation.objects.exists()
    assert AccessToken.objects.get().revoked_at is None
    assert ("ann", "ann", "Logged out everywhere: 2 logins.") in audit()


def test_other_stores_of_sessions(ann, browser, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
    client = Client()
    client.force_login(ann)
    assert client.get(ACCOUNT).status_code == 200
    assert end_logins(ann) == 2
    assert client.get(ACCOUNT).status_code == 302
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    cookies = Browser()
    cookies.log_in()
    page = words(cookies.get(ACCOUNT))
    assert "does not store logins" in page
    assert cookies.send(EVERYWHERE, ACCOUNT)["Location"] == ACCOUNT
