"""What HTTP requests go through on their way in."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, RequestFactory, override_settings

from agents.web.middleware import KnownHosts, SubPath, TrustedProxies
from myagent import i18n


@pytest.fixture(autouse=True)
def in_english(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")


def status(path, host, **config):
    with override_settings(MYAGENT=config):
        return Client().get(path, headers={"host": host}).status_code


# --- hosts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost:8080", "app.localhost", "127.0.0.1", "192.168.1.5:8080", "[fd00::2]:80"])
@pytest.mark.parametrize("names", [(), ("a.example",)])
@pytest.mark.parametrize("path", ["/", "/admin/login/"])
def test_localhost_and_addresses_are_answered(db, path, host, names):
    assert status(path, host, ALLOWED_HOSTS=names) == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.nip.io", "a.example.evil.example", "a b", "[::1", "127.1"])
@pytest.mark.parametrize("path", ["/", "/admin/login/", "/admin/", "/static/admin/css/base.css"])
def test_other_names_are_not(path, host):
    assert status(path, host, ALLOWED_HOSTS=["a.example"]) == 400


@pytest.mark.parametrize(
    "config", [{"ALLOWED_HOSTS": ["a.example"]}, {"SERVED_HOSTS": ["a.example"]}, {"PUBLIC_URL": "https://a.example/x"}]
)
def test_names_that_were_given_are(db, config):
    assert status("/admin/login/", "A.example:8080", **config) == 200


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["evil.example", "a b", ""])
def test_probes_may_ask_under_any_name(host):
    assert status("/healthz", host) == 200


def test_the_answer_says_what_to_set(caplog):
    answer = Client().get("/", headers={"host": "<b>.example:8080"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    answer = Client().get("/", headers={"host": "box.example:8080"})
    assert "ALLOWED_HOSTS=box.example in" in answer.content.decode()
    assert "does not change who needs credentials" in answer.content.decode()
    assert "box.example" in caplog.text


def test_what_was_answered_is_the_host_from_then_on():
    """Django's own rule knows names only, and would refuse an address when something asks for the host."""
    request = RequestFactory().get("/", headers={"host": "192.168.1.5:8080"})
    seen = []
    with override_settings(MYAGENT={}, ALLOWED_HOSTS=[]):
        KnownHosts(lambda request: seen.append(request.get_host()))(request)
    assert seen == ["192.168.1.5:8080"]


# --- proxies ----------------------------------------------------------------------------------------------------------


def arrived(config, **meta):
    seen = []
    with override_settings(MYAGENT=config):
        TrustedProxies(lambda request: seen.append(request.META))(RequestFactory().get("/", **meta))
    return seen[0]


def test_of_lists_what_the_nearest_proxy_said():
    meta = arrived(
        {"TRUSTED_PROXIES": ["10.0.0.0/8"]},
        REMOTE_ADDR="10.1.1.1",
        HTTP_X_FORWARDED_FOR="1.1.1.1, 8.8.8.8, 10.2.2.2",
        HTTP_X_FORWARDED_PROTO="http, https",
        HTTP_X_FORWARDED_HOST="evil.example, a.example",
    )
    assert (meta["REMOTE_ADDR"], meta["HTTP_X_FORWARDED_PROTO"]) == ("8.8.8.8", "https")
    assert meta["HTTP_X_FORWARDED_HOST"] == "a.example"


def test_the_scheme_of_the_public_url_counts_for_its_name():
    config = {"PUBLIC_URL": "https://a.example/chat"}
    assert arrived(config, HTTP_HOST="a.example", HTTP_X_FORWARDED_PROTO="http")["HTTP_X_FORWARDED_PROTO"] == "https"
    assert "HTTP_X_FORWARDED_PROTO" not in arrived(config, HTTP_HOST="localhost", HTTP_X_FORWARDED_PROTO="https")


# --- cookies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("root_path", "path"), [("", "/"), ("/chat", "/chat"), ("/a/b", "/a/b")])
def test_cookies_are_for_our_own_paths(root_path, path):
    def respond(request):
        response = HttpResponse()
        response.set_cookie("session", "x")
        response.delete_cookie("old")
        response.set_cookie("narrow", "x", path="/chat/elsewhere")
        return response

    request = RequestFactory().get("/", SCRIPT_NAME=root_path)
    cookies = SubPath(respond)(request).cookies
    assert [cookies[name]["path"] for name in ("session", "old", "narrow")] == [path, path, "/chat/elsewhere"]


@pytest.mark.django_db
def test_the_first_of_two_logins_counts():
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    cookie = f"sessionid={client.cookies['sessionid'].value}; sessionid=anotherapplications"
    assert Client().get("/admin/", headers={"cookie": cookie}).status_code == 200
