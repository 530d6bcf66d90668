"""A part of a host's paths."""

from __future__ import annotations

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.test import override_settings
from django.urls import set_script_prefix

from agents.web.sub_path import Mounted, mounted

PROXY = {"TRUSTED_PROXIES": ["10.0.0.1"]}


def scope(path, *, peer="10.0.0.1", prefix=None, **more):
    headers = [] if prefix is None else [(b"x-forwarded-prefix", prefix.encode())]
    return {"type": "http", "path": path, "client": (peer, 5), "headers": headers, **more}


@pytest.mark.parametrize(
    ("config", "asked", "root_path", "path"),
    [
        ({}, {"path": "/admin/"}, "", "/admin/"),
        ({"ROOT_PATH": "/chat"}, {"path": "/chat/admin/"}, "/chat", "/chat/admin/"),
        ({"ROOT_PATH": "/chat"}, {"path": "/admin/"}, "/chat", "/chat/admin/"),
        ({"ROOT_PATH": "/chat"}, {"path": "/chat"}, "/chat", "/chat"),
        ({"ROOT_PATH": "/chat"}, {"path": "/chatter/"}, "/chat", "/chat/chatter/"),
        ({"PUBLIC_URL": "https://a.example/b/chat/"}, {"path": "/ws/"}, "/b/chat", "/b/chat/ws/"),
        ({"PUBLIC_URL": "https://a.example/chat", "ROOT_PATH": "/x"}, {"path": "/"}, "/x", "/x/"),
        ({}, {"path": "/mine/", "root_path": "/mine"}, "/mine", "/mine/"),
        (PROXY, {"path": "/admin/", "prefix": "/chat"}, "/chat", "/chat/admin/"),
        (PROXY, {"path": "/chat/admin/", "prefix": "/chat/"}, "/chat", "/chat/admin/"),
        (PROXY, {"path": "/", "prefix": "/evil, /chat"}, "/chat", "/chat/"),
        (PROXY, {"path": "/", "prefix": "/chat", "peer": "11.0.0.1"}, "", "/"),
        ({}, {"path": "/", "prefix": "/chat"}, "", "/"),
        (PROXY | {"ROOT_PATH": "/chat"}, {"path": "/", "prefix": "/other"}, "/chat", "/chat/"),
        *(
            (PROXY, {"path": "/", "prefix": evil}, "", "/")
            for evil in ("//evil.example", "/a//b", "/..", "/a/../b", "chat", "/a b", "/a?b", "/\\evil.example", "/%2e")
        ),
    ],
)
def test_where_the_paths_begin(config, asked, root_path, path):
    with override_settings(MYAGENT=config):
        found = mounted(scope(**asked))
    assert (found["root_path"], found["path"]) == (root_path, path)


def test_a_connection_at_the_root_keeps_one_scope():
    """Scopes live as long as connections, of which most are idle."""
    asked = {**scope("/ws/"), "root_path": ""}
    assert mounted(asked) is asked


async def test_what_has_no_path_is_handed_on():
    seen = []

    async def application(scope, receive, send):
        seen.append(scope)

    await Mounted(application)({"type": "lifespan"}, None, None)
    assert seen == [{"type": "lifespan"}]


@pytest.mark.parametrize(("prefix", "url"), [("/", "/static/a.css"), ("/chat/", "/chat/static/a.css")])
def test_static_files(prefix, url):
    set_script_prefix(prefix)
    try:
        assert staticfiles_storage.url("a.css") == url
    finally:
        set_script_prefix("/")
