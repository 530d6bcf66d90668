"""System checks of the configuration."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from agents.checks import check_config


def ids(**values):
    with override_settings(MYAGENT=values):
        return [message.id for message in check_config()]


def test_the_shipped_settings_are_in_order():
    assert not [message for message in run_checks() if message.id.startswith("agents.")]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"MODEL": "x"}, "agents.E001"),
        ({"MAX_RUNS": "many"}, "agents.E002"),
        ({"MAX_RUNS": 0}, "agents.E003"),
        ({"ALLOW_ANONYMOUS": True, "REQUIRE_AUTH": True}, "agents.W001"),
        ({"INBOUND_BYTES": 1024}, "agents.W002"),
        ({"JWT_KEYS": ["x" * 32]}, "agents.W003"),
        ({"JWT_KEYS": ["x" * 31], "JWT_AUDIENCE": "myagent"}, "agents.E003"),
        ({"ROOT_PATH": "chat"}, "agents.E003"),
        ({"ROOT_PATH": "/chat/"}, "agents.E003"),
        ({"ROOT_PATH": "//chat"}, "agents.E003"),
        ({"PUBLIC_URL": "agents.example.com"}, "agents.E003"),
        ({"ALLOW_ORIGINS": ["chrome-extension://abcdef"]}, "agents.E003"),
        ({"ROOT_PATH": "/ws/chat"}, "agents.W006"),
        ({"ROOT_PATH": "/static"}, "agents.W006"),
        ({"PUBLIC_URL": "http://a.example/admin"}, "agents.W006"),
    ],
)
def test_a_mistake_has_its_own_id(values, expected):
    assert ids(**values) == [expected]


@pytest.mark.parametrize(
    ("hosts", "of_pages", "expected"),
    [
        ([], ["localhost", ".localhost", "127.0.0.1", "[::1]", "10.0.0.5", "testserver"], []),
        (["app.example"], ["App.Example"], []),
        (["app.example"], ["localhost", "127.0.0.1"], ["agents.W004"]),
        (["app.example"], ["app.example", "admin.example"], ["agents.W004"]),
        ([], ["app.example"], ["agents.W004"]),
        ([], ["*"], ["agents.W004"]),
    ],
)
def test_pages_and_websockets_should_have_the_same_names(hosts, of_pages, expected):
    with override_settings(ALLOWED_HOSTS=of_pages):
        assert ids(ALLOWED_HOSTS=hosts) == expected


def test_what_host_names_is_known_to_both():
    with override_settings(ALLOWED_HOSTS=["app.example"]):
        assert ids(SERVED_HOSTS=["app.example"]) == []


@pytest.mark.parametrize(
    ("proxies", "scheme_header", "forwarded_host", "expected"),
    [
        ([], None, False, []),
        (["10.0.0.1"], ("HTTP_X_FORWARDED_PROTO", "https"), True, []),
        (["10.0.0.1"], None, False, ["agents.W005"]),
        (["10.0.0.1"], ("HTTP_X_FORWARDED_PROTO", "https"), False, ["agents.W005"]),
        ([], ("HTTP_X_FORWARDED_PROTO", "https"), False, ["agents.W005"]),
    ],
)
def test_pages_and_websockets_should_believe_the_same_proxies(proxies, scheme_header, forwarded_host, expected):
    with override_settings(SECURE_PROXY_SSL_HEADER=scheme_header, USE_X_FORWARDED_HOST=forwarded_host):
        assert ids(TRUSTED_PROXIES=proxies) == expected


def test_a_public_url_with_tls_needs_the_scheme_too():
    tls = {"PUBLIC_URL": "https://a.example"}
    with override_settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"), USE_X_FORWARDED_HOST=False):
        assert ids(**tls) == []
    with override_settings(SECURE_PROXY_SSL_HEADER=None, USE_X_FORWARDED_HOST=False):
        assert ids(**tls) == ["agents.W005"]
        assert ids(PUBLIC_URL="http://a.example") == []


def test_the_check_is_registered():
    with override_settings(MYAGENT={"MODEL": "x"}):
        found = [message for message in run_checks() if message.id == "agents.E001"]
    assert len(found) == 1
    assert "MODEL" in found[0].msg
    assert "MAX_RUNS" in found[0].hint
