"""`GET /api/agents/`: told to whom, and what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import OperationalError
from django.test import Client, override_settings

from agents.access import brakes
from agents.access.decision import authorize_request
from agents.access.local_user import ensure_local_user
from agents.database.threads import in_thread, stop_threads
from agents.loading.registry import AgentLimits, LoadedAgent, Registry, set_registry
from agents.models import AccessToken, HostedAgent
from myagent import create_react_agent, tool
from myagent.loop.run_limits import Ceilings
from tests.support.http_request import ask

pytestmark = pytest.mark.database


@tool
def dice(sides: int) -> int:
    """Throw dice."""
    return sides


@pytest.fixture(autouse=True)
def database(transactional_db):
    yield
    stop_threads()


@pytest.fixture(autouse=True)
def registry():
    """Three agents, of which `tools` has one tool."""
    loaded = [
        LoadedAgent(agent=create_react_agent(name=name, **options), source=f"{name}.py", loaded_at=datetime.now(UTC))
        for name, options in {
            "tools": {"tools": [dice], "description": "Throws", "examples": ["Throw!"]},
            "天气": {"max_tokens": 900, "output": {"type": "object", "properties": {"sky": {"type": "string"}}}},
            "third": {},
        }.items()
    ]
    registry = Registry(loaded)
    before = set_registry(registry)
    yield registry
    set_registry(before)


@pytest.fixture
def ann():
    return User.objects.create_user("ann", password="secret-9")


async def test_limits_are_the_lower_ones_of_author_and_operator(registry):
    await in_thread(ensure_local_user)
    ceilings = Ceilings(max_steps=5, max_tokens=1_000, max_seconds=60)
    registry.set_limits({"天气": AgentLimits(of_run=ceilings)})
    told = {agent["name"]: agent["limits"] for agent in (await ask()).json()["agents"]}
    assert told["天气"] == {"max_steps": 5, "max_tokens": 900, "max_seconds": 60, "repeat_limit": 3}
    assert told["third"] == {"max_steps": 20, "repeat_limit": 3}


async def names(*args, **options):
    """The names of the agents that the caller is told."""
    answer = await ask(*args, **options)
    assert answer.status == 200, answer.body
    return [agent["name"] for agent in answer.json()["agents"]]


def issue(user, **options):
    return AccessToken.objects.issue(user, "test", **options)[1]


async def refused(status, code, *args, **options):
    answer = await ask(*args, **options)
    assert (answer.status, answer.json()["code"]) == (status, code)
    assert answer.json()["error"] == answer.json()["message"] != ""
    return answer


async def test_what_is_told():
    await in_thread(ensure_local_user)
    answer = await ask()
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert {"Authorization", "Cookie", "Origin"} <= set(answer.headers["Vary"].split(", "))
    first, second, third = answer.json()["agents"]
    assert first == {
        "name": "tools",
        "description": "Throws",
        "path": "/ws/tools/",
        "default": True,
        "tools": [dice.schema()["function"]],
        "dynamic_tools": False,
        "examples": ["Throw!"],
        "accepts": {"images": True, "files": True, "max_file_bytes": 10 * 1024 * 1024},
        "limits": {"max_steps": 20, "repeat_limit": 3},
        "output": None,
        "when_busy": ["queue"],
    }
    assert second["output"] == {"type": "object", "properties": {"sky": {"type": "string"}}}
    assert (second["name"], second["path"]) == ("天气", "/ws/%E5%A4%A9%E6%B0%94/")
    assert [agent["default"] for agent in (second, third)] == [False, False]
    assert (await ask(method="HEAD")).status == 200


async def test_who_is_on_this_machine_needs_nothing_and_who_is_not_a_token(ann):
    await in_thread(ensure_local_user)
    assert await names() == ["tools", "天气", "third"]
    answer = await refused(401, "credentials_required", peer="192.0.2.1", host="192.0.2.7:8080")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers["Cache-Control"] == "no-store"
    token = await in_thread(issue, ann)
    assert len(await names(f"?token={token}", peer="192.0.2.1", host="192.0.2.7:8080")) == 3
    assert len(await names(authorization=f"Bearer {token}", peer="192.0.2.1", host="any.example")) == 3
    await refused(401, "invalid_token", "?token=mya_wrong")
    await refused(401, "credentials_required", x_forwarded_for="127.0.0.1")


async def test_what_one_may_not_use_is_not_told(ann, registry):
    await in_thread(ensure_local_user)
    limited = await in_thread(issue, ann, agents=["third", "elsewhere", "' OR 1=1 --", "../tools"])
    (only,) = (await ask(f"?token={limited}")).json()["agents"]
    assert (only["name"], only["default"]) == ("third", True)
    registry.set_disabled(["tools"])
    assert await names() == ["天气", "third"]
    await in_thread(limit_to_team, "third")
    assert await names(f"?token={limited}") == []
    assert await names(f"?token={await in_thread(issue, ann)}") == ["天气"]
    await in_thread(lambda: ann.groups.add(Group.objects.get()))
    assert await names(f"?token={limited}") == ["third"]


def limit_to_team(agent):
    HostedAgent.objects.create(name=agent).groups.add(Group.objects.create(name="team"))


async def test_the_login_counts_for_our_own_pages_only(ann):
    """As for WebSockets; but browsers tell by another header where such a request comes from."""
    client = Client()
    await in_thread(client.login, username="ann", password="secret-9")
    far = {"peer": "192.0.2.1", "host": "192.0.2.7:8080", "cookie": client.cookies.output(header="").strip()}
    for site in ("same-origin", "none"):
        assert len(await names(sec_fetch_site=site, **far)) == 3
    assert len(await names(origin="http://192.0.2.7:8080", **far)) == 3
    assert len(await names(x_csrftoken="what the cookie says", **far)) == 3  # without TLS there are no such headers
    await refused(401, "credentials_required", **far)
    await refused(403, "bad_origin", sec_fetch_site="cross-site", x_csrftoken="a guess", **far)
    for site in ("cross-site", "same-site", "nonsense"):
        await refused(403, "bad_origin", sec_fetch_site=site, **far)
    await refused(403, "bad_origin", origin="https://evil.example", **far)
    await refused(403, "bad_origin", origin="https://evil.example", sec_fetch_site="same-origin", **far)


async def test_pages_of_other_sites_get_nothing_of_this_machine():
    await in_thread(ensure_local_user)
    await refused(403, "bad_host", host="evil.example")
    await refused(403, "bad_origin", sec_fetch_site="cross-site")
    answer = await refused(403, "bad_origin", origin="https://evil.example")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert len(await names(sec_fetch_site="same-origin")) == 3


async def test_a_page_may_read_what_it_may_ask(ann):
    """With a token any page; without one those of this machine, and never with a cookie of ours."""
    await in_thread(ensure_local_user)
    token = await in_thread(issue, ann)
    for query, origin in ((f"?token={token}", "https://app.example"), ("", "http://localhost:5173")):
        answer = await ask(query, origin=origin)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, origin)
        assert "Access-Control-Allow-Credentials" not in answer.headers
    answer = await refused(401, "invalid_token", "?token=old", origin="https://app.example")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    before = await ask(method="OPTIONS", origin="https://app.example")
    assert (before.status, before.body) == (204, b"")
    allowed = before.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"authorization", "content-type"} <= set(allowed) and "x-csrftoken" not in allowed
    assert (await ask()).headers.get("Access-Control-Allow-Origin") is None


async def test_after_too_many_wrong_tokens_it_is_told_when_to_try_again(ann, monkeypatch):
    monkeypatch.setattr(brakes, "TOKEN", replace(brakes.TOKEN, limit=1))
    monkeypatch.setattr(brakes, "REFUSED_SECONDS", 0)
    await refused(401, "invalid_token", "?token=mya_wrong")
    answer = await refused(429, "too_many_attempts", "?token=mya_wrong")
    assert 0 < int(answer.headers["Retry-After"]) <= brakes.TOKEN.seconds
    assert (await ask(f"?token={await in_thread(issue, ann)}")).status == 200


async def test_nothing_can_be_changed_here():
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = await refused(405, "method_not_allowed", method=method)
        assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


async def test_while_the_database_is_away_nobody_is_let_in(monkeypatch):
    async def away(scope, config):
        raise OperationalError("server closed the connection")

    assert authorize_request is not away
    monkeypatch.setattr("agents.web.api_admission.authorize_request", away)
    await refused(503, "try_again")


@pytest.mark.parametrize("options", [{"REQUIRE_AUTH": True}, {"ALLOWED_HOSTS": ["localhost"]}])
async def test_the_settings_count_here_too(options):
    await in_thread(ensure_local_user)
    with override_settings(MYAGENT=options):
        await refused(401, "credentials_required")
    with override_settings(MYAGENT={**options, "ALLOW_ANONYMOUS": True}):
        assert len(await names()) == 3


async def test_who_asks_too_fast_is_told_when_to_come_back(ann):
    token = (await in_thread(AccessToken.objects.issue, ann, "x"))[1]
    await in_thread(ensure_local_user)
    with override_settings(MYAGENT={**settings.MYAGENT, "USER_REQUESTS_PER_SECOND": 0.3, "LIMIT_LOCAL": False}):
        statuses = [(await ask(f"token={token}")).status for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        refused = await ask(f"token={token}")
        assert refused.json()["code"] == "too_many_requests" and 1 <= int(refused.headers["Retry-After"]) <= 4
        assert (await ask()).status == 200, "local"


async def test_the_contract_names_the_address_at_which_it_was_asked_for():
    await in_thread(ensure_local_user)
    answer = await ask(path="/api/asyncapi.json", host="localhost:8080")
    assert answer.status == 200
    document = answer.json()
    assert document["servers"]["this"] | {"security": None} == {
        "host": "localhost:8080", "protocol": "ws", "security": None,
    }  # fmt: skip
    assert "FinalAnswer" in document["components"]["schemas"]
    refused = await ask(path="/api/asyncapi.json", peer="192.0.2.7")
    assert (refused.status, refused.json()["code"]) == (401, "credentials_required")
