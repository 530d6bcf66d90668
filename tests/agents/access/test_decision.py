"""Who gets in, who does not, and what the log says of it."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from agents.access import brakes, local_rule
from agents.access import decision as access
from agents.access.decision import ConnectionRefused, Grant, HandshakeForbidden, authorize, require_agent
from agents.access.handshake import Handshake
from agents.access.local_user import ensure_local_user
from agents.access.peer_owner import Holder
from agents.access.visitors import visitor_mark
from agents.addresses import is_loopback, split_host, split_origin
from agents.conf import Config
from agents.database.threads import in_thread, stop_threads
from agents.models import AccessToken

FORWARDING = ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Anything", "X-Real-IP", "Via"]


def scope(*, peer="127.0.0.1", host="localhost:8080", query="", path="/ws/", **headers):
    pairs = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "websocket",
        "client": (peer, 50000),
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"host", host.encode()), *pairs],
    }


def handshake(config=Config(), **facts):  # noqa: B008 - Config is frozen
    return Handshake.from_scope(scope(**facts), config)


# --- hosts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("localhost.", True),
        ("app.localhost", True),
        ("::ffff:10.0.0.1", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("notlocalhost", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1.nip.io", False),
        ("", False),
    ],
)
def test_loopback(host, expected):
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("localhost:8080", ("localhost", 8080)),
        ("Example.COM", ("example.com", 80)),
        ("[::1]:80", ("::1", 80)),
        ("[::1]", ("::1", 80)),
        ("", None),
        ("a b", None),
        ("user@host", None),
        ("host/path", None),
        ("host:port", None),
        ("host:99999", None),
        ("[::1", None),
        (":80", None),
        ("a, b", None),
    ],
)
def test_split_host(value, expected):
    assert split_host(value) == expected


def test_split_origin_knows_the_ports_of_schemes():
    assert split_origin("https://a.example") == ("https", "a.example", 443)
    assert split_origin("http://a.example:81") == ("http", "a.example", 81)
    assert split_origin("null") is None
    assert split_origin("a.example") is None


@given(st.text(max_size=40))
def test_no_header_whatsoever_raises(text):
    split_host(text)
    split_origin(text)
    is_loopback(text)


# --- the local rule ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"host": "127.0.0.1"},
        {"host": "[::1]:9", "peer": "::1"},
        {"peer": "::ffff:127.0.0.1"},
        {"origin": "http://localhost:3000"},
        {"origin": "https://127.0.0.1"},
        {"origin": "http://console.localhost:5173"},
    ],
)
def test_local(facts):
    assert access.is_local(handshake(**facts), Config())


@pytest.mark.parametrize(
    "facts",
    [
        {"peer": "192.168.1.9"},
        {"peer": ""},
        {"host": "192.168.1.5:8080"},
        {"host": "evil.example:8080"},
        {"host": ""},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "http://localhost.evil.example"},
        {"origin": ""},
        *({name: "10.0.0.1"} for name in FORWARDING),
    ],
)
def test_not_local(facts):
    assert not access.is_local(handshake(**facts), Config())


@pytest.mark.parametrize(
    "options",
    [
        {"require_auth": True},
        {"allowed_hosts": ("localhost",)},
        {"trusted_proxies": ("10.0.0.0/8",)},
        {"trusted_proxies": ("127.0.0.1",)},
    ],
)
def test_the_local_rule_is_off(options):
    config = Config(**options)
    assert not access.is_local(handshake(config), config)
    assert access.why_not_local(handshake(config), config)


def test_an_allowed_page_may_connect_and_is_not_local():
    config = Config(allow_origins=("null", "https://app.example"))
    for origin in ("null", "https://app.example", "https://APP.example:443"):
        access.check_origin(handshake(config, origin=origin), config)
        assert not access.is_local(handshake(config, origin=origin), config, Holder.US)
    with pytest.raises(HandshakeForbidden):
        access.check_origin(handshake(config, origin="https://app.example:444"), config)


@pytest.mark.parametrize("scheme", ["ws", "wss", "ftp", "file", "chrome-extension", "moz-extension", "tauri", ""])
def test_only_pages_have_an_origin_that_counts(scheme):
    """Everything else chooses the name in its origin as it likes."""
    origin = f"{scheme}://localhost"
    assert split_origin(origin) is None
    assert not access.is_local(handshake(origin=origin), Config(), Holder.US)
    with pytest.raises(HandshakeForbidden):
        access.check_origin(handshake(origin=origin), Config())


@pytest.mark.parametrize(
    ("options", "holder", "expected"),
    [
        ({}, Holder.US, True),
        ({}, Holder.UNKNOWN, True),
        ({}, Holder.ANOTHER, False),
        ({}, Holder.NOBODY, False),
        # A name usually means a proxy. Where its programs can be told from ours it changes nothing.
        ({"allowed_hosts": ("a.example",)}, Holder.US, True),
        ({"allowed_hosts": ("a.example",)}, Holder.UNKNOWN, False),
        ({"public_url": "https://a.example"}, Holder.US, True),
        ({"public_url": "https://a.example"}, Holder.UNKNOWN, False),
        ({"require_auth": True}, Holder.US, False),
        ({"trusted_proxies": ("127.0.0.1",)}, Holder.US, False),
    ],
)
def test_whose_program_it_is_decides(options, holder, expected):
    config = Config(**options)
    assert access.is_local(handshake(config), config, holder) is expected


# --- Host and Origin --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "host", "good"),
    [
        ({}, "localhost:1", True),
        ({}, "192.168.1.5:8080", True),
        ({}, "[fe80::1]:8080", True),
        ({}, "evil.example", False),
        ({}, "", False),
        ({"served_hosts": ("box.lan",)}, "box.lan:8080", True),
        ({"allowed_hosts": ("a.example",)}, "a.example", True),
        ({"allowed_hosts": (".a.example",)}, "x.a.example:1", True),
        ({"allowed_hosts": ("*",)}, "whatever", True),
        ({"allowed_hosts": ("a.example",)}, "b.example", False),
        ({"allowed_hosts": ("a.example",)}, "127.0.0.1", True),
        ({"allowed_hosts": ("a.example",)}, "localhost:8080", True),
        ({"allowed_hosts": ("a.example",)}, "10.0.0.5:8080", True),
        ({"allowed_hosts": ("a.example",)}, "a.example.", True),
        ({"allowed_hosts": ("a.example",)}, "evil.a.example", False),
        ({"public_url": "https://a.example:8443/chat"}, "a.example:8443", True),
        ({"public_url": "https://a.example:8443/chat"}, "A.example", True),
        ({"public_url": "https://a.example/chat"}, "b.example", False),
        ({}, "127.0.0.1.nip.io", False),
        ({}, "127.1", False),
        ({}, "2130706433", False),
        ({}, "0x7f.1", False),
        ({"allowed_hosts": ("[::1]",)}, "[::1]:8080", True),
    ],
)
def test_hosts(options, host, good):
    config = Config(**options)
    if good:
        access.check_host(handshake(config, host=host), config)
    else:
        with pytest.raises(HandshakeForbidden, match="ALLOWED_HOSTS"):
            access.check_host(handshake(config, host=host), config)


@pytest.mark.parametrize(
    ("host", "origin", "good"),
    [
        ("box.lan:8080", "http://box.lan:8080", True),
        ("box.lan", "http://box.lan", True),
        ("box.lan", "https://box.lan", True),
        ("box.lan:443", "https://box.lan", True),
        ("BOX.lan", "http://box.LAN", True),
        ("box.lan:8080", "http://box.lan", False),
        ("box.lan:8080", "http://box.lan:8081", False),
        ("box.lan", "http://evil.example", False),
        ("10.0.0.5:8080", "http://localhost:3000", False),
        ("localhost:8080", "http://localhost:3000", True),
        ("localhost:8080", "null", False),
        ("localhost:8080", "garbage", False),
    ],
)
def test_origins(host, origin, good):
    if good:
        access.check_origin(handshake(host=host, origin=origin), Config())
    else:
        with pytest.raises(HandshakeForbidden, match=f"--allow-origin {origin}"):
            access.check_origin(handshake(host=host, origin=origin), Config())


def test_no_origin_means_no_page():
    access.check_origin(handshake(host="box.lan"), Config())


def test_a_second_host_or_origin_matches_nothing():
    doubled = scope(origin="http://localhost")
    doubled["headers"].append((b"origin", b"http://localhost"))
    assert not access.is_local(Handshake.from_scope(doubled, Config()), Config())


def test_forwarding_headers_count_only_from_a_trusted_proxy():
    config = Config(trusted_proxies=("10.0.0.0/8",))
    headers = {"x_forwarded_host": "a.example", "x_forwarded_proto": "https", "x_forwarded_for": "8.8.8.8"}
    trusted = handshake(config, peer="10.1.1.1", host="upstream", **headers)
    stranger = handshake(config, peer="11.1.1.1", host="upstream", **headers)
    nobody = handshake(Config(), peer="127.0.0.1", host="upstream", **headers)
    assert (trusted.host, trusted.scheme, trusted.client) == ("a.example", "https", "8.8.8.8")
    assert (stranger.host, stranger.scheme, stranger.client) == ("upstream", None, "11.1.1.1")
    assert (nobody.host, nobody.scheme, nobody.client) == ("upstream", None, "127.0.0.1")


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("1.1.1.1, 8.8.8.8", "8.8.8.8"),  # the client wrote the first
        ("1.1.1.1, 8.8.8.8, 10.2.2.2", "8.8.8.8"),  # two proxies of ours
        ("127.0.0.1, 2001:db8::1", "2001:db8::1"),
        ("", "10.1.1.1"),
        ("10.2.2.2", "10.1.1.1"),
        ("8.8.8.8, unknown", "10.1.1.1"),
    ],
)
def test_who_asked_a_trusted_proxy(forwarded_for, client):
    config = Config(trusted_proxies=("10.0.0.0/8",))
    assert handshake(config, peer="10.1.1.1", x_forwarded_for=forwarded_for).client == client


def test_of_several_proxies_the_one_next_to_us_counts():
    config = Config(trusted_proxies=("10.0.0.0/8",))
    seen = handshake(
        config, peer="10.1.1.1", x_forwarded_host="evil.example, a.example", x_forwarded_proto="http, https"
    )
    assert (seen.host, seen.scheme) == ("a.example", "https")


def test_an_unencrypted_page_is_another_origin_where_the_proxy_tells():
    config = Config(trusted_proxies=("10.0.0.1",), allowed_hosts=("a.example",))
    facts = {"peer": "10.0.0.1", "host": "a.example", "x_forwarded_proto": "https"}
    assert access.is_same_origin(handshake(config, origin="https://a.example", **facts))
    assert not access.is_same_origin(handshake(config, origin="http://a.example", **facts))
    assert not access.is_same_origin(handshake(config, origin="http://a.example:443", **facts))


def test_the_public_url_tells_the_scheme_where_no_proxy_is_trusted():
    config = Config(public_url="https://a.example/chat")
    assert handshake(config, host="a.example").scheme == "https"
    assert handshake(config, host="a.example:8443").scheme == "https"
    assert handshake(config, host="localhost:8080").scheme is None
    knows = Config(public_url="https://a.example/chat", trusted_proxies=("10.0.0.1",))
    assert handshake(knows, host="a.example").scheme is None
    assert handshake(knows, peer="10.0.0.1", host="a.example", x_forwarded_proto="http").scheme == "http"


@pytest.mark.parametrize(
    ("origin", "ours"),
    [
        ("https://a.example", True),
        ("https://A.example:443", True),
        ("http://a.example", False),
        ("https://a.example:444", False),
        ("https://evil.example", False),
        ("null", False),
        (None, False),
    ],
)
def test_pages_of_the_public_url_are_ours_whatever_the_proxy_asks_for(origin, ours):
    config = Config(public_url="https://a.example/chat")
    asked = handshake(config, host="127.0.0.1:8080", **({} if origin is None else {"origin": origin}))
    assert access.is_own_page(asked, config) is ours


def test_of_two_cookies_of_one_name_the_first_counts():
    """Browsers put that of the nearest path first; the other one is another application's."""
    assert handshake(cookie="sessionid=oursoursours; a=b; sessionid=theirs").session_key == "oursoursours"


def test_tokens_are_read_from_query_or_header_and_not_shown():
    assert handshake(query="x=1&token=mya_a%2Bb").token == "mya_a+b"
    assert handshake(authorization="Bearer mya_x").token == "mya_x"
    assert handshake(authorization="bearer  mya_x ").token == "mya_x"
    assert handshake(query="token=q", authorization="Bearer h").token == "q"
    assert handshake(authorization="Basic eHg6eXk=").token is None
    assert handshake(authorization="Bearer ").token is None
    assert handshake(query="token=").token is None
    assert "mya_x" not in repr(handshake(query="token=mya_x"))


def test_a_browser_session_is_read_from_its_cookie():
    assert handshake(cookie="a=b; sessionid=abcdefgh").session_key == "abcdefgh"
    assert handshake(cookie="sessionid=eyJhIjoi:1tB-_x:sig=").session_key == "eyJhIjoi:1tB-_x:sig="
    for none in ("", "sessionid=", "session=abcdefgh", 'sessionid="\\000abcdefghij"'):
        assert handshake(cookie=none).session_key is None


# --- decisions with the database --------------------------------------------------------------------------------------


@pytest.fixture
def database(transactional_db):
    yield
    stop_threads()


@pytest.fixture
def local(database):
    return ensure_local_user()


@pytest.fixture
def ann(database):
    return User.objects.create_user("ann", password="secret-9")


async def refused(expected, config=Config(), **facts):  # noqa: B008 - Config is frozen
    with pytest.raises(expected) as caught:
        await authorize(scope(**facts), config)
    return caught.value


async def test_this_machine_is_the_user_local(local):
    grant = await authorize(scope(), Config())
    assert grant == Grant(kind="local", user_id=local.pk, username="local")
    assert grant.allows("anything")


@pytest.mark.parametrize(
    ("holder", "served", "kind"),
    [
        (Holder.US, True, "local"),
        (Holder.ANOTHER, True, None),
        (Holder.NOBODY, True, None),
        (Holder.NOBODY, False, "local"),  # of no server, so there is no connection
        (Holder.UNKNOWN, True, "local"),
    ],
)
async def test_the_owner_of_the_socket_is_asked(local, monkeypatch, holder, served, kind):
    asked = []
    monkeypatch.setattr(local_rule, "holder_of", lambda *ends: asked.append(ends) or holder)
    facts = scope() | {"server": ("127.0.0.1", 8080)} | ({"state": {}} if served else {})
    if kind is not None:
        assert (await authorize(facts, Config())).kind == kind
    else:
        with pytest.raises(ConnectionRefused) as caught:
            await authorize(facts, Config())
        assert caught.value.code == "credentials_required"
        assert "belongs to another user" in caught.value.reason
        assert (await authorize(facts, Config(allow_anonymous=True))).kind == "anonymous"
    client, server = asked[0]
    assert (str(client.address), client.port, str(server.address), server.port) == (
        "127.0.0.1",
        50000,
        "127.0.0.1",
        8080,
    )


async def test_it_is_asked_only_where_it_matters(local, ann, monkeypatch):
    monkeypatch.setattr(local_rule, "holder_of", lambda *ends: pytest.fail("asked"))
    _, token = await in_thread(AccessToken.objects.issue, ann, "laptop")
    client = Client()
    await in_thread(client.force_login, ann)
    ours = {"cookie": f"sessionid={client.cookies['sessionid'].value}", "origin": "http://localhost:8080"}
    place = {"server": ("127.0.0.1", 8080), "state": {}}
    assert (await authorize(scope(query=f"token={token}") | place, Config())).username == "ann"
    # Also a login on this machine is a credential.
    assert (await authorize(scope(**ours) | place, Config())).username == "ann"
    for facts in ({"peer": "10.0.0.9"}, {"x_forwarded_for": "1.1.1.1"}, {"host": "10.0.0.5"}):
        with pytest.raises(ConnectionRefused):
            await authorize(scope(**facts) | place, Config())


async def test_without_a_user_local_nobody_is(database):
    assert (await refused(ConnectionRefused)).code == "local_user_missing"


async def test_elsewhere_credentials_are_needed(local, caplog):
    error = await refused(ConnectionRefused, peer="192.168.1.9", host="192.168.1.5:8080")
    assert (error.close_code, error.code) == (4401, "credentials_required")
    assert "createtoken" in caplog.text


async def test_everybody_if_the_operator_said_so(local):
    config = Config(allow_anonymous=True)
    grant = await authorize(scope(peer="192.168.1.9", host="192.168.1.5:8080"), config)
    assert grant == Grant(kind="anonymous", visitor=visitor_mark("192.168.1.9"))
    assert (await authorize(scope(), config)).kind == "local"


async def test_anonymous_pages_need_an_origin_that_is_ours(local):
    config = Config(allow_anonymous=True)
    facts = {"peer": "192.168.1.9", "host": "192.168.1.5:8080"}
    assert (await authorize(scope(origin="http://192.168.1.5:8080", **facts), config)).kind == "anonymous"
    await refused(HandshakeForbidden, config, origin="https://evil.example", **facts)


async def test_a_name_that_points_at_this_machine_gets_nothing(local, ann):
    """DNS rebinding: the page's own name, as Host and as Origin, leads to the loopback address."""
    rebound = {"host": "evil.example:8080", "origin": "http://evil.example:8080"}
    for config in (Config(), Config(allow_anonymous=True), Config(require_auth=True)):
        assert (await refused(HandshakeForbidden, config, **rebound)).code == "bad_host"


async def test_a_token_lets_in_from_anywhere(ann):
    token, plaintext = await in_thread(AccessToken.objects.issue, ann, "laptop", agents=["a"])
    expected = Grant(kind="token", user_id=ann.pk, username="ann", agents=frozenset({"a"}), token_id=token.pk)
    for facts in (
        {"query": f"token={plaintext}"},
        {"authorization": f"Bearer {plaintext}"},
        {"query": f"token={plaintext}", "peer": "8.8.8.8", "host": "box.lan", "origin": "https://evil.example"},
        {"query": f"token={plaintext}", "origin": "null"},
    ):
        assert await authorize(scope(**facts), Config(require_auth=True)) == expected
    assert expected.allows("a")
    assert not expected.allows("b")


async def test_a_token_does_not_help_where_the_host_is_not_allowed(ann):
    _, plaintext = await in_thread(AccessToken.objects.issue, ann, "laptop")
    config = Config(allowed_hosts=("a.example",))
    await refused(HandshakeForbidden, config, query=f"token={plaintext}", host="b.example")
    assert (await authorize(scope(query=f"token={plaintext}", host="a.example"), config)).kind == "token"


async def test_a_bad_token_is_refused_even_on_this_machine(local, caplog):
    for facts in ({"query": "token=mya_wrong-token"}, {"authorization": "Bearer mya_wrong-token"}):
        error = await refused(ConnectionRefused, **facts)
        assert (error.close_code, error.code) == (4401, "invalid_token")
    await refused(ConnectionRefused, Config(allow_anonymous=True), query="token=mya_wrong-token", peer="8.8.8.8")
    assert "mya_wrong-token" not in caplog.text


async def test_the_login_cookie_counts_from_our_own_page_only(ann):
    client = Client()
    await in_thread(client.force_login, ann)
    cookie = f"sessionid={client.cookies['sessionid'].value}"
    far = {"peer": "192.168.1.9", "host": "192.168.1.5:8080", "cookie": cookie}
    grant = await authorize(scope(origin="http://192.168.1.5:8080", **far), Config())
    assert (grant.kind, grant.user_id, grant.username, grant.token_id) == ("cookie", ann.pk, "ann", None)
    assert client.cookies["sessionid"].value not in repr(grant)
    assert (await refused(ConnectionRefused, **far)).code == "credentials_required"
    await refused(HandshakeForbidden, origin="http://192.168.1.5:3000", **far)
    allowed = Config(allow_origins=("https://app.example",))
    assert (await refused(ConnectionRefused, allowed, origin="https://app.example", **far)).close_code == 4401


@pytest.mark.database
async def test_a_stale_cookie_is_no_credential(ann):
    facts = {"peer": "10.0.0.9", "host": "10.0.0.5", "origin": "http://10.0.0.5"}
    for nonsense in ("nonsense", '"\\000abcdefghij"', '"\\377abcdefghij"', "x" * 3000):
        error = await refused(ConnectionRefused, cookie=f"sessionid={nonsense}", **facts)
        assert error.code == "credentials_required"
    client = Client()
    await in_thread(client.force_login, ann)
    await in_thread(User.objects.update, is_active=False)
    await refused(ConnectionRefused, cookie=f"sessionid={client.cookies['sessionid'].value}", **facts)


@pytest.mark.database
@pytest.mark.parametrize("key", ["\0abcdefghij", "\xffabcdefghij", "nonsense"])
def test_the_admin_takes_a_nonsense_cookie_for_none(database, key):
    client = Client()
    client.cookies["sessionid"] = key
    assert client.get("/admin/login/").status_code == 200
    assert client.get("/admin/").status_code == 302


async def test_every_refusal_is_logged_with_its_cure(local, caplog):
    with caplog.at_level(logging.WARNING, "myagent.access"):
        await refused(HandshakeForbidden, origin="https://app.example")
        await refused(HandshakeForbidden, host="box.lan")
    assert "--allow-origin https://app.example" in caplog.text
    assert "'box.lan'" in caplog.text
    assert "ALLOWED_HOSTS" in caplog.text
    assert {record.name for record in caplog.records} == {"myagent.access"}


def test_an_agent_one_may_not_use_looks_like_none(caplog):
    """To the client, and in what is done: a line more in the log could be measured."""
    grant = Grant(kind="token", username="ann", agents=frozenset({"a", "d"}), denied=frozenset({"d"}))
    require_agent(grant, "a", ["a", "b", "d"])
    told = set()
    for name in ("b", "c", "d"):
        caplog.clear()
        with pytest.raises(ConnectionRefused) as caught:
            require_agent(grant, name, ["a", "b", "d"])
        (line,) = caplog.messages
        told.add(
            (
                caught.value.close_code,
                caught.value.code,
                *(text.replace(repr(name), "X") for text in (caught.value.reason, line)),
            )
        )
    assert len(told) == 1
    assert told.pop()[0] == 4404


async def test_database_work_runs_in_few_threads_of_its_own(database):
    import asyncio
    import threading

    names = await asyncio.gather(*(in_thread(lambda: threading.current_thread().name) for _ in range(20)))
    assert len(set(names)) <= 4
    assert all(name.startswith("myagent-database") for name in names)
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 1, 0)


async def test_wrong_tokens_are_refused_in_other_words_and_valid_ones_never(ann, monkeypatch, caplog):
    monkeypatch.setattr(brakes, "TOKEN", replace(brakes.TOKEN, limit=2, free=2))
    monkeypatch.setattr(brakes, "REFUSED_SECONDS", 0)
    _token, text = await in_thread(AccessToken.objects.issue, ann, "x")
    remote = {"peer": "192.168.1.9", "host": "192.168.1.5:8080"}
    for _ in range(2):
        error = await refused(ConnectionRefused, query="token=mya_wrong", **remote)
        assert (error.close_code, error.code, error.retry_after) == (4401, "invalid_token", None)
    error = await refused(ConnectionRefused, query="token=mya_wrong", **remote)
    assert (error.close_code, error.code) == (4429, "too_many_attempts")
    assert 0 < error.retry_after <= brakes.TOKEN.seconds
    assert "too many invalid tokens" in caplog.text
    assert (await authorize(scope(query=f"token={text}", **remote), Config())).username == "ann"
    error = await refused(ConnectionRefused, query="token=mya_wrong", **remote | {"peer": "192.168.1.10"})
    assert error.code == "invalid_token"
    jwt_config = Config(jwt_keys=("k" * 40,))
    assert (await refused(ConnectionRefused, jwt_config, query="token=e30.e30.x", **remote)).code == "too_many_attempts"
