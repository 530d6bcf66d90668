"""Whatever a program sends: one refusal in JSON with a code, nothing changed, and never a mistake of ours."""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import socket
from contextlib import closing
from functools import partial

import pytest

from agents.web.api_errors import STATUS
from myagent.protocol.error_codes import ErrorCode
from tests.server.test_login import PASSWORD, Visitor
from tests.support.backstage import Backstage
from tests.support.http_door import HttpDoor

SERVER = {
    "files": ("tools.py",),
    "options": ("--allow-origin", "https://app.example"),
    "settings": {
        "MAX_FRAME_BYTES": 100_000,
        "LIMIT_LOCAL": True,
        "USER_SESSIONS": 60,
        "USER_REQUESTS_PER_SECOND": None,
    },
}
HERE = "HERE"
"""Stands for the id of a session that exists."""
DEEP = b"[" * 90_000
JSON = "application/json"

BODIES = [
    (b"{", "bad_json"),
    (b"hello", "bad_json"),
    (b'{"content": NaN}', "bad_json"),
    (b'{"content": "\\ud800"}', "bad_json"),
    (b'{"content": "\xff"}', "bad_json"),
    (b"\x00", "bad_json"),
    (DEEP, "bad_json"),
    (b"[]", "bad_frame"),
    (b"3", "bad_frame"),
    (b"null", "bad_frame"),
    (b'{"content": "' + b"x" * 100_000 + b'"}', "too_large"),
    (b"", "missing_field"),
    (b"{}", "missing_field"),
    (b'{"content": null}', "bad_field"),
    (b'{"content": 5}', "bad_field"),
    (b'{"content": ["hi"]}', "bad_field"),
    (b'{"content": {"words": "hi"}}', "bad_field"),
    (b'{"content": "hi", "metadata": 5}', "bad_field"),
    (b'{"content": "hi", "metadata": {"message_id": 5}}', "bad_field"),
    (b'{"content": "hi", "metadata": {"when_busy": "dance"}}', "bad_field"),
    (b'{"content": " "}', "empty_message"),
    (b'{"content": [{"type": "file", "file": {"file_id": "x"}}]}', "file_not_found"),
    (b'{"content": {"text": "hi", "output_schema": {"type": "object"}}}', "unsupported_type"),
]
REQUESTS = [
    ("POST", "sessions", {"title": 5}, "bad_field"),
    ("POST", "sessions", {"title": "x" * 201}, "bad_field"),
    ("POST", "sessions", {"metadata": []}, "bad_field"),
    ("POST", "sessions", {"metadata": {"x": "y" * 70_000}}, "bad_field"),
    ("POST", "sessions", {"agent": "none of them"}, "agent_not_found"),
    ("POST", "sessions", {"agent": 5}, "bad_field"),
    ("POST", "sessions/restore", None, "missing_field"),
    ("POST", "sessions/restore", {"signed_state": 5}, "invalid_state"),
    ("POST", "sessions/restore", {"signed_state": {"state": "{}", "signature": "x"}}, "invalid_state"),
    ("GET", "sessions?limit=0", None, "bad_field"),
    ("GET", "sessions?limit=101", None, "bad_field"),
    ("GET", "sessions?limit=x", None, "bad_field"),
    ("GET", "sessions?families=perhaps", None, "bad_field"),
    ("GET", "sessions?before=nonsense", None, "bad_field"),
    ("GET", f"sessions?query={'x' * 1_001}", None, "bad_field"),
    ("GET", "sessions?" + "a&" * 1_001, None, "bad_field"),
    ("GET", "sessions/nonsense", None, "session_not_found"),
    ("GET", "sessions/%00", None, "session_not_found"),
    ("GET", "sessions/%FF%FE", None, "session_not_found"),
    ("GET", "sessions/0B6D7B1C-5B5E-4E0C-9C39-6A1F4F6F0A01", None, "session_not_found"),
    ("PATCH", f"sessions/{HERE}", None, "missing_field"),
    ("PATCH", f"sessions/{HERE}", {"title": 5}, "bad_field"),
    ("POST", f"sessions/{HERE}/fork", None, "missing_field"),
    ("POST", f"sessions/{HERE}/fork", {"at": 1, "before": "x"}, "missing_field"),
    ("POST", f"sessions/{HERE}/fork", {"at": -1}, "bad_field"),
    ("POST", f"sessions/{HERE}/fork", {"at": 1000}, "cursor_ahead"),
    ("POST", f"sessions/{HERE}/fork", {"before": "none"}, "message_not_found"),
    ("GET", f"sessions/{HERE}/events?limit=0", None, "bad_field"),
    ("GET", f"sessions/{HERE}/events?limit=x", None, "bad_field"),
    ("DELETE", f"sessions/{HERE}/messages/none", None, "message_not_found"),
    ("DELETE", f"sessions/{HERE}/messages/{'x' * 201}", None, "bad_field"),
    ("POST", f"sessions/{HERE}/confirmations/none", {"confirmed": True}, "no_pending_confirmation"),
    ("POST", f"sessions/{HERE}/confirmations/%00", {"approved": False}, "no_pending_confirmation"),
    ("POST", f"sessions/{HERE}/confirmations/none", None, "bad_field"),
    ("POST", f"sessions/{HERE}/confirmations/none", {"confirmed": 1}, "bad_field"),
    ("POST", f"sessions/{HERE}/confirmations/none", {"confirmed": True, "approved": False}, "bad_field"),
    ("POST", f"sessions/{HERE}/runs/none/feedback", {"rating": "up"}, "run_not_found"),
    ("POST", f"sessions/{HERE}/runs/none/feedback", {"rating": "good"}, "bad_field"),
    ("POST", f"sessions/{HERE}/runs/none/feedback", None, "missing_field"),
]


@pytest.fixture
async def door(server):
    async with HttpDoor(server) as client:
        yield client


@pytest.fixture(scope="module")
def here(running_server):
    """A session, in which nothing is said."""
    with closing(http.client.HTTPConnection("127.0.0.1", running_server.port)) as connection:
        connection.request("POST", "/api/sessions")
        return json.loads(connection.getresponse().read())["session_id"]


def refusal(answer, code):
    assert answer.headers["Content-Type"] == JSON, answer.text
    told = answer.json()
    assert (answer.status_code, told["code"]) == (STATUS[ErrorCode(code)], code), told
    assert told["message"] and told.keys() <= {"code", "message", "details"}


@pytest.mark.parametrize(("body", "code"), BODIES, ids=lambda value: repr(value[:40]))
async def test_bodies(server, door, here, body, code):
    path = f"/api/sessions/{here}/messages"
    refusal(await door.client.post(path, content=body, headers={"Content-Type": JSON}), code)

    async def in_pieces():
        yield body

    refusal(await door.client.post(path, content=in_pieces(), headers={"Content-Type": JSON}), code)
    assert len(await door.log(here)) == 1 and "Traceback" not in server.log


@pytest.mark.parametrize(("method", "path", "body", "code"), REQUESTS)
async def test_requests(server, door, here, method, path, body, code):
    refusal(await door.ask(method, path.replace(HERE, here), body), code)
    assert len(await door.log(here)) == 1 and "Traceback" not in server.log


async def test_a_title_that_no_database_stores_is_mended(door):
    answer = await door.client.post("/api/sessions", content=b'{"title": "a\\u0000b"}', headers={"Content-Type": JSON})
    assert answer.json()["title"] == "a\N{REPLACEMENT CHARACTER}b"
    found = await door.told("GET", "sessions?query=a%00b")
    assert [one["session_id"] for one in found["sessions"]] == [answer.json()["session_id"]]


async def test_forms_are_not_read(door, here):
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "nonsense", ""):
        answer = await door.client.post(
            f"/api/sessions/{here}/messages", content=b'{"content": "hi"}', headers={"Content-Type": kind}
        )
        refusal(answer, "unsupported_type")


@pytest.mark.parametrize("path", ["", "nonsense", "sessions/x/y/z", "sessions/a/messages/b/c", "openapi", "sessions//"])
async def test_addresses_that_there_are_not(door, path):
    for method in ("GET", "POST", "DELETE"):
        answer = await door.ask(method, path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), answer.text


async def test_methods_that_there_are_not(door, here):
    for path, allowed in (("sessions", "GET, POST"), (f"sessions/{here}", "GET, PATCH, DELETE")):
        for method in ("PUT", "TRACE", "NONSENSE"):
            answer = await door.ask(method, path)
            assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
            assert set(answer.headers["Allow"].split(", ")) == {*allowed.split(", "), "HEAD", "OPTIONS"}
    answer = await door.ask("HEAD", f"sessions/{here}/events", headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.content) == (200, b"")


TARGETS = [b"sessions?query=%FF", b"sessions?query=\xff", b"sessions/%ff?lang=%ff", b"agents?\xff", b"\xff"]


@pytest.mark.parametrize("target", TARGETS)
def test_bytes_that_are_no_text(server, target):
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(b"GET /api/" + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(partial(sock.recv, 65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] in (b"200", b"400", b"404"), answer
    assert body == b"" or b"Transfer-Encoding: chunked" in head or json.loads(body), answer


async def test_noise(server, door, here):
    """Whatever is built of the words of the API."""
    draw = random.Random(11)
    values = [None, True, 0, -1, 1.5, 10**30, "", "x", "\0", "é" * 50, [], {}, [[]], {"type": "text"}, here]
    keys = ["content", "metadata", "title", "agent", "at", "before", "confirmed", "rating", "signed_state", "text"]
    operations = {(method, path) for method, path, _body, _code in REQUESTS}

    def value(depth=2):
        if depth and draw.random() < 0.3:
            return {draw.choice(keys): value(depth - 1) for _ in range(draw.randint(0, 3))}
        return draw.choice(values)

    for method, path in sorted(operations) * 8:
        body = {draw.choice(keys): value() for _ in range(draw.randint(0, 4))}
        answer = await door.ask(method, path.replace(HERE, here), body)
        assert answer.status_code < 500 and answer.headers.get("Content-Type", JSON) == JSON, (path, body, answer.text)
    assert "Traceback" not in server.log


async def test_a_token_in_the_address_is_refused(server, door):
    token = server.manage("createtoken", "zoe", "--create-user").strip()
    refusal(await door.ask("GET", f"sessions?token={token}"), "bad_field")
    async with HttpDoor(server, "mya_wrong") as wrong:
        answer = await wrong.ask("GET", "sessions")
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    async with HttpDoor(server, token) as zoe:
        assert await zoe.told("GET", "sessions") == {"sessions": [], "next": None}


async def test_pages_of_other_origins(server, door, here):
    """Those that the operator allows, or with a token; what a browser asks before permits no more than that."""
    path = f"/api/sessions/{here}"
    token = {"Authorization": "Bearer " + server.manage("createtoken", "local").strip()}
    for origin, status in (("https://app.example", 401), ("https://evil.example", 403), ("null", 403)):
        for method, target in (("GET", path), ("POST", f"{path}/cancel"), ("GET", f"{path}/events")):
            answer = await door.client.request(method, target, headers={"Origin": origin})
            assert answer.status_code == status, (origin, method)
            assert answer.headers.get("Access-Control-Allow-Origin") == (origin if status == 401 else None)
            answer = await door.client.request(method, target, headers={"Origin": origin, **token})
            assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, origin)
    before = await door.client.options(f"{path}/messages", headers={"Origin": "https://app.example"})
    assert before.status_code == 204 and before.headers["Access-Control-Allow-Methods"] == "POST, OPTIONS"
    wanted = {"authorization", "content-type", "idempotency-key", "last-event-id", "user-agent"}
    assert set(before.headers["Access-Control-Allow-Headers"].split(", ")) == wanted


async def test_the_login_needs_what_only_our_pages_know(server):
    with Backstage(server) as backstage:
        backstage.do("User.objects.create_user('ann', password=password)", password=PASSWORD)
    visitor = Visitor(server)
    assert visitor.log_in()[0] == 302
    origin, csrf = f"http://127.0.0.1:{server.port}", visitor._cookies["csrftoken"]
    async with HttpDoor(server, Cookie=visitor.cookie, Origin=origin) as page:
        for method, path in (("POST", "sessions"), ("POST", "sessions/restore"), ("PATCH", "sessions/x")):
            answer = await page.ask(method, path, {"title": "forged"})
            assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")
        session = await page.told("POST", "sessions", {"title": "mine"}, headers={"X-CSRFToken": csrf})
        listed = (await page.told("GET", "sessions"))["sessions"]
        assert [one["title"] for one in listed] == ["mine"]
        async with page.events(session["session_id"]) as stream:
            await stream.until("system.notice")
    async with HttpDoor(server, Cookie=visitor.cookie, Origin="https://evil.example", X_CSRFToken=csrf) as foreign:
        for method in ("GET", "POST"):
            answer = await foreign.ask(method, "sessions")
            assert (answer.status_code, answer.json()["code"]) == (403, "bad_origin")


async def test_shares_hold_here_too(door):
    answers = [await door.ask("POST", "sessions") for _ in range(61)]
    refusal(answers[-1], "over_quota")
    assert answers[-1].json()["details"] == {"quota": "sessions", "limit": 60, "scope": "user"}


def test_each_code_has_its_status():
    assert STATUS.keys() == set(ErrorCode)


async def test_many_at_once(door, here):
    """The same key at the same moment is one message."""
    session_id = (await door.told("GET", "sessions"))["sessions"][0]["session_id"]
    said = await asyncio.gather(*(door.say(session_id, "hello", key="same") for _ in range(10)))
    assert len({one["run_id"] for one in said}) == 1
    assert sorted(one["duplicate"] for one in said) == [False] + [True] * 9
