"""The pages to log in and out: passwords and links, who is refused and who never is, and what is written down."""

from __future__ import annotations

import logging
import re
import threading
from datetime import timedelta
from io import StringIO
from urllib.parse import urlsplit

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session as BrowserSession
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client
from django.urls import reverse, set_script_prefix
from django.utils import timezone

from agents.models import AccessToken, FailureCount, Invitation, KnownPlace
from agents.web.login import own_path
from tests.support.entries import database, threads

ENGLISH = {"accept-language": "en"}
LOGIN, LINK = reverse("login"), reverse("invitation")
PASSWORD = "a-good-password-9"
pytestmark = pytest.mark.usefixtures("in_english")
HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"


@pytest.fixture
def ann():
    return User.objects.create_user("ann", password=PASSWORD)


class Browser(Client):
    """Somebody at an address, whose forms have to show that they are ours."""

    def __init__(self, address: str = HOME, **options) -> None:
        super().__init__(enforce_csrf_checks=True, headers=ENGLISH, REMOTE_ADDR=address, **options)

    def send(self, path: str, page: str | None = None, **fields: str):
        """Fill in the form on a page and send it."""
        shown = self.get(page or path).content.decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', shown)[1]
        return self.post(path, {"csrfmiddlewaretoken": token, **fields})

    def log_in(self, name: str = "ann", password: str = PASSWORD, path: str = LOGIN, **fields: str):
        return self.send(path, username=name, password=password, **fields)

    @property
    def user_id(self) -> str | None:
        return self.session.get("_auth_user_id")


def words(response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode().partition("<main")[2]))


def audit() -> list[tuple[str, str, str]]:
    return [(it.user.username, it.object_repr, it.change_message) for it in LogEntry.objects.order_by("pk")]


# --- passwords --------------------------------------------------------------------------------------------------------


class TestPasswords:
    pytestmark = database

    def test_every_active_user_can_log_in_and_out(self, ann, caplog):
        browser = Browser()
        caplog.set_level(logging.INFO, "myagent.access")
        answer = browser.log_in()
        assert (answer.status_code, answer["Location"]) == (302, "/")
        assert browser.user_id == str(ann.pk)
        cookie = browser.cookies["sessionid"]
        assert cookie["httponly"] and cookie["samesite"] == "Lax"
        page = browser.get(reverse("account")).content.decode()
        assert "ann" in page and reverse("logout") in page
        assert reverse("admin:index") not in page
        answer = browser.send(reverse("logout"))
        assert urlsplit(answer["Location"]).path == LOGIN
        assert not BrowserSession.objects.exists()
        assert browser.get(reverse("account"))["Location"] == f"{LOGIN}?next={reverse('account')}"
        assert audit() == [
            ("ann", "ann", f"Logged in with a password, from {HOME}."),
            ("ann", "ann", "Logged out."),
        ]
        assert f"ann has logged in from {HOME}" in caplog.text and "ann has logged out" in caplog.text

    @pytest.mark.parametrize("language", ["en", "zh-CN"])
    def test_the_page_speaks_the_language_of_its_reader_and_asks_nothing_of_others(self, language):
        answer = Client(headers={"accept-language": language}).get(LOGIN)
        page = answer.content.decode()
        assert ("登录" in page) == (language == "zh-CN")
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        assert "no-store" in answer["Cache-Control"]
        assert not re.search(r"(src|href)=\"(https?:)?//", page) and "<script" not in page

    def test_staff_are_shown_the_way_to_the_admin(self):
        User.objects.create_superuser("boss", password=PASSWORD)
        browser = Browser()
        browser.log_in("boss")
        assert f'href="{reverse("admin:index")}"' in browser.get(reverse("account")).content.decode()

    def test_the_admins_login_is_the_same_page(self, ann):
        browser = Browser()
        assert browser.get("/admin/")["Location"] == "/admin/login/?next=/admin/"
        assert browser.log_in(path="/admin/login/")["Location"] == "/admin/"
        shown = browser.get("/admin/login/?next=/admin/")
        assert shown.status_code == 200 and "You are logged in as ann" in words(shown)
        assert browser.send("/admin/logout/").status_code == 302
        for _ in range(10):
            browser.log_in(password="wrong", path="/admin/login/")
        assert Browser(ELSEWHERE).log_in("nobody", path="/admin/login/").status_code == 200
        assert Browser(HOME).log_in("nobody", path="/admin/login/").status_code == 200, "at home Ann's are her own"

    def test_a_wrong_password_an_unknown_name_and_one_who_is_not_active_look_alike(self, ann):
        User.objects.create_user("gone", password=PASSWORD, is_active=False)
        User.objects.create_user("none")
        answers = [
            Browser().log_in(name, password)
            for name, password in (("ann", "x"), ("nobody", "x"), ("gone", PASSWORD), ("none", "x"))
        ]
        assert {answer.status_code for answer in answers} == {200}
        assert len({words(answer) for answer in answers}) == 1

    @pytest.mark.parametrize("odd", [{"name": ""}, {"password": ""}, {"name": "a\0"}, {"name": "x" * 300}])
    def test_what_cannot_be_a_name_is_not_tried(self, ann, odd):
        assert Browser().log_in(**odd).status_code == 200
        assert not FailureCount.objects.exists()

    def test_the_session_gets_another_key(self, ann):
        browser = Browser()
        session = browser.session
        session["x"] = 1
        session.save()
        browser.cookies["sessionid"] = session.session_key
        browser.log_in()
        assert browser.cookies["sessionid"].value != session.session_key

    def test_a_form_of_another_page_does_nothing(self, ann):
        answer = Browser().post(LOGIN, {"username": "ann", "password": PASSWORD})
        assert answer.status_code == 403

    def test_whoever_is_logged_in_goes_on(self, ann):
        browser = Browser()
        browser.log_in()
        assert browser.get(f"{LOGIN}?next=/account/")["Location"] == "/account/"


@pytest.mark.parametrize("path", ["/", "/?agent=a", "/account/", "/admin/x/?a=//b", "/chat/../account/"])
def test_to_our_own_paths_people_are_sent(path):
    assert own_path(path, "/default/") == path


@pytest.mark.parametrize(
    "url",
    [
        "",
        "account/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "https://evil.example/",
        "https:evil.example",
        "javascript:alert(1)",
        "\x01//evil.example",
        "http://testserver/",
    ],
)
def test_to_other_addresses_nobody_is_sent(url):
    assert own_path(url, "/default/") == "/default/"


@pytest.mark.parametrize("url", ["/other/", "/chat/../other/", "/chat/%2e%2e/other/", "/chatter/"])
def test_what_lies_beside_the_prefix_is_not_ours(url):
    set_script_prefix("/chat/")
    try:
        assert own_path(url, "/chat/") == "/chat/"
        assert own_path("/chat/account/", "/chat/") == "/chat/account/"
    finally:
        set_script_prefix("/")


# --- brakes -----------------------------------------------------------------------------------------------------------


class TestBrakes:
    pytestmark = database

    def test_a_spray_over_names_is_refused(self, ann):
        spray = Browser(ELSEWHERE)
        for number in range(10):
            assert spray.log_in(f"name{number}", "x").status_code == 200
        answer = spray.log_in("ann")
        assert answer.status_code == 429
        assert 0 < int(answer["Retry-After"]) <= 60
        assert f"try again in {answer['Retry-After']} s" in words(answer)
        assert Browser(HOME).log_in().status_code == 302

    def test_a_spray_over_addresses_is_refused_but_where_its_name_is_known(self, ann):
        Browser(HOME).log_in()
        for number in range(10):
            assert Browser(f"192.0.2.{number}").log_in(password="x").status_code == 200
        assert Browser(ELSEWHERE).log_in().status_code == 429
        assert Browser(HOME).log_in().status_code == 302

    def test_nobody_is_refused_for_what_others_do_at_their_address(self, ann):
        laptop = Browser(HOME)
        laptop.log_in()
        for number in range(12):
            Browser(HOME).log_in(f"name{number}", "x")
            Browser(HOME).log_in(password="x")
        assert Browser(HOME).log_in("somebody").status_code == 429
        assert laptop.get(reverse("account")).status_code == 200, "a login stays one"
        assert Browser(HOME).log_in().status_code == 302
        _invitation, secret = Invitation.objects.issue(User.objects.create_user("new"))
        assert Browser(HOME).send(LINK, f"{LINK}?token={secret}", token=secret).status_code == 302, "so does a link"

    def test_a_browser_is_known_again_elsewhere(self, ann):
        laptop = Browser(HOME)
        laptop.log_in()
        laptop.send(reverse("logout"))
        for number in range(10):
            Browser(f"192.0.2.{number}").log_in(password="x")
        laptop.defaults["REMOTE_ADDR"] = ELSEWHERE
        assert laptop.log_in("ben", "x").status_code == 200
        assert laptop.log_in().status_code == 302
        cookie = laptop.cookies["myagent_browser"]
        assert "ann" not in cookie.value and cookie["httponly"]
        stranger = Browser("192.0.2.99")
        stranger.cookies["myagent_browser"] = cookie.value[:-1] + ("a" if cookie.value[-1] != "a" else "b")
        assert stranger.log_in().status_code == 429

    def test_the_address_behind_a_trusted_proxy_counts(self, ann, settings):
        settings.MYAGENT = {**settings.MYAGENT, "TRUSTED_PROXIES": ["10.0.0.1"]}
        behind = Browser("10.0.0.1", HTTP_X_FORWARDED_FOR=f"{HOME}, {ELSEWHERE}")
        for number in range(10):
            behind.log_in(f"name{number}", "x")
        assert behind.log_in().status_code == 429
        assert Browser("10.0.0.1", HTTP_X_FORWARDED_FOR=f"{ELSEWHERE}, {HOME}").log_in().status_code == 302
        assert Browser(ELSEWHERE, HTTP_X_FORWARDED_FOR=HOME).log_in("ben").status_code == 429, "a forged one does not"

    def test_failures_of_a_name_are_one_row_of_the_audit_log(self, ann, caplog):
        for number in range(3):
            Browser(f"192.0.2.{number}").log_in(password="x")
        Browser(ELSEWHERE).log_in("my secret password", "x")
        assert audit() == [
            ("manage.py", "ann", "3 wrong passwords, last from 192.0.2.2."),
            ("manage.py", ELSEWHERE, f"1 wrong password, from {ELSEWHERE}."),
        ]
        assert "'ann' from 192.0.2.2" in caplog.text and "my secret password" not in caplog.text

    def test_nobody_can_fill_the_audit_log(self, ann, monkeypatch):
        monkeypatch.setattr("agents.web.login_audit.brakes.AUDIT.__class__.refused_for", lambda brake, level: 0)
        for number in range(30):
            Browser(ELSEWHERE).log_in(f"name{number}", "x")
        assert len(audit()) == 1

    def test_the_audit_log_shows_them(self, ann, boss):
        Browser(ELSEWHERE).log_in("nobody", "x")
        assert f"1 wrong password, from {ELSEWHERE}." in boss.read(reverse("admin:admin_logentry_changelist"))


# --- links ------------------------------------------------------------------------------------------------------------


def link(*options: str) -> str:
    out = StringIO()
    call_command("createtoken", "ann", "--link", *options, stdout=out)
    return out.getvalue().strip()


def secret_of(url: str) -> str:
    return urlsplit(url).query.removeprefix("token=")


class TestLinks:
    pytestmark = database

    def test_a_link_logs_in_by_its_button_once(self, ann, caplog):
        url = link()
        path = f"{urlsplit(url).path}?{urlsplit(url).query}"
        assert url.startswith("http://localhost:8080/login/link/?token=")
        for _ in range(3):  # scanners of mail
            shown = Browser(ELSEWHERE).get(path)
            assert shown.status_code == 200 and "logs you in as ann" in words(shown)
            assert shown["Referrer-Policy"] == "strict-origin" and "no-store" in shown["Cache-Control"]
        assert Browser(ELSEWHERE).head(path).status_code == 200
        browser = Browser(ELSEWHERE)
        answer = browser.send(LINK, path, token=secret_of(url))
        assert (answer.status_code, answer["Location"]) == (302, "/")
        assert browser.user_id == str(ann.pk)
        assert KnownPlace.objects.knows("ann", ELSEWHERE)
        again = Browser()
        assert again.get(path).status_code == 410
        assert again.send(LINK, LOGIN, token=secret_of(url)).status_code == 410
        assert again.user_id is None
        assert audit()[-1] == ("ann", "ann", f"Logged in with an invitation, from {ELSEWHERE}.")
        assert audit()[0][1:2] == ("ann",) and audit()[0][2].startswith("Made a link to log in.")
        assert secret_of(url) not in caplog.text
        assert not Invitation.objects.filter(secret_hash__contains=secret_of(url)[-10:]).exists()

    def test_without_the_option_there_is_a_token_alone(self, ann):
        out = StringIO()
        call_command("createtoken", "ann", stdout=out)
        assert AccessToken.objects.with_plaintext(out.getvalue().removesuffix("\n")).exists()
        assert not Invitation.objects.exists()

    def test_a_link_leads_to_the_server(self, ann, settings):
        assert link("https://agents.example/chat").startswith("https://agents.example/chat/login/link/?token=")
        settings.MYAGENT = {**settings.MYAGENT, "ALLOWED_HOSTS": [".example.com", "agents.example.com"]}
        assert link().startswith("https://agents.example.com/login/link/?token=")
        for wrong in ("agents.example", "ftp://agents.example", "https://a/?b"):
            with pytest.raises(CommandError, match="no address of a server"):
                link(wrong)

    def test_a_link_has_an_end(self, ann):
        secret = secret_of(link("--expires", "1h"))
        assert Invitation.objects.get().expires_at <= timezone.now() + timedelta(hours=1)
        with pytest.raises(CommandError, match="7 days at most"):
            link("--expires", "8d")
        with pytest.raises(CommandError, match="--agents"):
            link("--agents", "a")
        Invitation.objects.update(expires_at=timezone.now())
        assert Browser().send(LINK, LOGIN, token=secret).status_code == 410

    @pytest.mark.parametrize("comes_back", [False, True])
    def test_a_link_of_one_who_was_deactivated_is_dead(self, ann, comes_back):
        secret = secret_of(link())
        ann.is_active = False
        ann.save()
        if comes_back:
            ann.is_active = True
            ann.save()
        assert Browser().send(LINK, LOGIN, token=secret).status_code == 410

    def test_a_link_of_one_who_is_not_active_in_the_table_is_dead(self, ann):
        secret = secret_of(link())
        User.objects.update(is_active=False)
        assert Browser().send(LINK, LOGIN, token=secret).status_code == 410
        with pytest.raises(CommandError, match="not active"):
            link()

    def test_a_link_for_another_ends_the_login_of_the_first(self, ann):
        ben = User.objects.create_user("ben", password=PASSWORD)
        browser = Browser()
        browser.log_in("ben")
        path = f"{LINK}?token={secret_of(link())}"
        assert "logged in as ben" in words(browser.get(path))
        browser.send(LINK, path, token=path.partition("=")[2])
        assert browser.user_id == str(ann.pk) != str(ben.pk)

    def test_whoever_has_no_password_sets_one_after_a_link_and_not_otherwise(self):
        user = User.objects.create_user("new")
        _invitation, secret = Invitation.objects.issue(user)
        browser, new = Browser(), {"new_password1": PASSWORD, "new_password2": PASSWORD}
        browser.force_login(user)
        assert "<form" not in browser.get(reverse("password")).content.decode().partition("<main")[2]
        assert browser.send(reverse("password"), **new).status_code == 200
        assert not User.objects.get(pk=user.pk).has_usable_password()
        browser.send(LINK, f"{LINK}?token={secret}", token=secret)
        assert browser.send(reverse("password"), **new).status_code == 302
        assert Browser().log_in("new").status_code == 302


@pytest.mark.parametrize("_", range(3))
class TestRaces:
    pytestmark = threads

    def test_of_two_who_press_the_button_one_gets_in(self, _, ann):
        _invitation, secret = Invitation.objects.issue(ann)
        ready, used = threading.Barrier(4), []

        def press() -> None:
            ready.wait()
            used.append(Invitation.objects.use(secret))
            connections.close_all()

        people = [threading.Thread(target=press) for _ in range(4)]
        for person in people:
            person.start()
        for person in people:
            person.join()
        assert len(used) == 4 and len([it for it in used if it is not None]) == 1
