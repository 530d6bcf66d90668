"""What `/mcp/` refuses and how, what pages may ask, single sign-on, and a server without the extra."""

from __future__ import annotations

import json

import pytest
from mcp.shared.exceptions import MCPError

from tests.support.agent_server import AgentServer
from tests.support.http_door import HttpDoor
from tests.support.mcp_client import LEGACY, MODERN, STATEFUL, called, mcp_client

SERVER = {"files": ("second.py",), "settings": {"MAX_FRAME_BYTES": 100_000}, "options": ("--language", "en")}
SSO = {"JWT_KEYS": ["a secret of thirty-two characters!!"], "JWT_ISSUER": "https://sso.example"}
METADATA = "/.well-known/oauth-protected-resource/mcp"
pytestmark = pytest.mark.database


@pytest.fixture
def token(tokens):
    return tokens["ann"]


@pytest.fixture
async def door(server, token):
    async with HttpDoor(server, token) as client:
        yield client


def refusal_of(answer):
    """The status and our code, of an error of JSON-RPC."""
    body = answer.json()
    assert body["jsonrpc"] == "2.0" and body["id"] in (None, 1) and body["error"]["message"], body
    return answer.status_code, body["error"]["data"]["code"]


def json_of(message):
    """A call with this message, which is JSON already."""
    body, _headers = called("ask_second", message="a message")
    del body["params"]["_meta"]["progressToken"]
    return json.dumps(body).replace('"a message"', message)


async def test_bad_input(server, token, door):
    body, headers = called("ask_second", message="hello")
    post = door.client.post
    typed = {**headers, "Content-Type": "application/json"}
    assert refusal_of(await post("/mcp/", content=b"{", headers=typed)) == (400, "bad_json")
    assert refusal_of(await post("/mcp/", content=b"[" * 50_000, headers=typed))[0] in (400, 413)
    assert refusal_of(await post("/mcp/", json=[body], headers=headers)) == (400, "bad_frame")
    assert refusal_of(await post("/mcp/", content=b"x" * 200_000, headers=typed)) == (413, "too_large")
    assert refusal_of(await post("/mcp/", content=b"{}", headers=headers)) == (415, "unsupported_type")
    assert refusal_of(await post(f"/mcp/?token={token}", json=body, headers=headers)) == (400, "bad_field")
    assert refusal_of(await door.client.get("/mcp/")) == (405, "method_not_allowed")
    assert refusal_of(await door.client.put("/mcp", json={})) == (405, "method_not_allowed")
    torn = await post("/mcp/", content=json_of('"\\ud800 half"'), headers=typed)
    assert refusal_of(torn) == (400, "bad_json")
    odd = await post("/mcp/", content=json_of('"\\u0000天气"'), headers=typed)
    assert "天气" in odd.json()["result"]["structuredContent"]["answer"]
    body["method"] = "tools/nothing"
    wrong = await post("/mcp/", json=body, headers=headers)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, -32020)
    lacking = await post("/mcp/", json={**body, "params": {}}, headers={**headers, "Mcp-Method": "tools/nothing"})
    assert (lacking.status_code, lacking.json()["error"]["code"]) == (400, -32602)
    none = await post("/mcp/", json=body, headers={**headers, "Mcp-Method": "tools/nothing"})
    assert (none.status_code, none.json()["error"]["code"]) == (404, -32601)


async def test_what_the_sdk_refuses_has_a_code_of_ours_too(door):
    body, headers = called("ask_second", message="hello")
    post = door.client.post
    typed = {**headers, "Content-Type": "application/json"}
    old = {"Accept": headers["Accept"], "MCP-Protocol-Version": "2025-11-25"}
    assert refusal_of(await post("/mcp/", headers=headers)) == (400, "bad_json")
    assert refusal_of(await post("/mcp/", content=b"", headers=typed)) == (400, "bad_json")
    for accepted in ("application/json", "text/event-stream", "text/html"):
        for others in (headers, old):
            refused = await post("/mcp/", json=body, headers={**others, "Accept": accepted})
            assert refusal_of(refused) == (406, "unsupported_type")
    lacking = {**body, "params": {**body["params"], "arguments": 5}}
    assert refusal_of(await post("/mcp/", json=lacking, headers=headers)) == (400, "bad_field")
    assert refusal_of(await post("/mcp/", json={**body, "jsonrpc": "1.0"}, headers=headers)) == (400, "bad_frame")
    assert refusal_of(await post("/mcp/", json=body, headers={**headers, "Mcp-Name": "x"})) == (400, "bad_frame")
    assert refusal_of(await post("/mcp/", json=body, headers={**headers, "MCP-Protocol-Version": "x"}))[1]
    task = {**body, "method": "tasks/get", "params": {"taskId": "x", "_meta": body["params"]["_meta"]}}
    lacks = await post("/mcp/", json=task, headers={**headers, "Mcp-Method": "tasks/get", "Mcp-Name": "x"})
    assert refusal_of(lacks) == (400, "not_supported") and lacks.json()["error"]["data"]["requiredCapabilities"]
    for method in ("GET", "HEAD", "PUT", "PATCH"):
        wrong = await door.client.request(method, "/mcp/")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST, DELETE, OPTIONS")


@STATEFUL
async def test_a_session_that_there_is_not(door):
    body, headers = called("ask_second", message="hello")
    old = {"Accept": headers["Accept"], "MCP-Protocol-Version": "2025-11-25"}
    unknown = {**old, "Mcp-Session-Id": "0" * 32}
    assert refusal_of(await door.client.post("/mcp/", json=body, headers=unknown)) == (404, "not_found")
    assert refusal_of(await door.client.delete("/mcp/", headers=old)) == (400, "bad_frame")


@pytest.mark.parametrize("mode", [MODERN, LEGACY, "auto"])
async def test_with_and_without_a_slash_and_by_any_negotiation(server, token, mode):
    async with mcp_client(server, token, mode) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["ask_second", "wait_for_answer"]
    async with mcp_client(server, token, mode, path="/mcp") as client:
        assert client.session is not None and len((await client.list_tools()).tools) == 2


async def test_a_wrong_token(server):
    with pytest.raises((MCPError, BaseExceptionGroup)):
        async with mcp_client(server, "mya_nothing", LEGACY) as client:
            await client.list_tools()
    body, headers = called("ask_second", message="hello")
    async with HttpDoor(server, "mya_nothing") as stranger:
        refused = await stranger.client.post("/mcp/", json=body, headers=headers)
        assert refusal_of(refused) == (401, "invalid_token")
        assert refused.headers["www-authenticate"] == 'Bearer realm="MyAgent"'
        assert (await stranger.client.get(METADATA)).status_code == 404


async def test_answers_are_for_one_caller(door):
    body, headers = called("ask_second", message="hello")
    answer = await door.client.post("/mcp/", json=body, headers=headers)
    assert "no-store" in answer.headers["cache-control"] and "Authorization" in answer.headers["vary"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert len(answer.headers.get_list("cache-control")) == len(answer.headers.get_list("content-type")) == 1


async def test_pages_of_other_origins(server, token):
    body, headers = called("ask_second", message="hello")
    async with HttpDoor(server, token, Origin="https://example.com") as page:
        allowed = await page.client.request("OPTIONS", "/mcp/", headers={"Access-Control-Request-Method": "POST"})
        assert allowed.status_code == 204
        for name in ("authorization", "mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name"):
            assert name in allowed.headers["access-control-allow-headers"]
        answer = await page.client.post("/mcp/", json=body, headers=headers)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://example.com")
        assert "Mcp-Session-Id" in answer.headers["access-control-expose-headers"]
    async with HttpDoor(server, Origin="https://example.com") as page:
        refused = await page.client.post("/mcp/", json=body, headers=headers)
        assert refusal_of(refused)[0] == 403
    async with HttpDoor(server, Host="evil.example") as page:
        assert (await page.client.post("/mcp/", json=body, headers=headers)).status_code == 403


@pytest.mark.parametrize("public", ["", "https://agents.example.com/chat"])
async def test_single_sign_on_is_named(tmp_path, model, public):
    environment = {"MYAGENT_PUBLIC_URL": public} if public else {}
    body, headers = called("ask_second", message="hello")
    with AgentServer(tmp_path, "second.py", model=model, settings=SSO, environment=environment) as server:
        root = public or f"http://127.0.0.1:{server.port}"
        async with HttpDoor(server, "no token of yours") as stranger:
            refused = await stranger.client.post("/mcp/", json=body, headers=headers)
            assert refused.status_code == 401
            told = refused.headers["www-authenticate"]
            assert told == f'Bearer realm="MyAgent", resource_metadata="{root}{METADATA}"'
            document = (await stranger.client.get(METADATA)).json()
            assert (document["resource"], document["authorization_servers"]) == (
                f"{root}/mcp",
                ["https://sso.example"],
            )
            if public:
                whole = await stranger.client.get("/.well-known/oauth-protected-resource/chat/mcp/")
                assert whole.json() == document
            assert (await stranger.client.get("/.well-known/oauth-protected-resource/other")).status_code == 404


async def test_without_the_extra(tmp_path, model):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['mcp'] = None\n")
    environment = {"PYTHONPATH": str(tmp_path)}
    body, headers = called("ask_second", message="hello")
    options = ("--language", "en")
    with AgentServer(
        tmp_path / "server", "second.py", model=model, environment=environment, options=options, exec=True
    ) as server:
        async with HttpDoor(server) as door:
            refused = await door.client.post("/mcp/", json=body, headers=headers)
            assert refusal_of(refused) == (404, "not_found")
            assert "pip install 'myagent[mcp]'" in refused.json()["error"]["message"]
            assert (await door.client.get("/api/agents/")).status_code == 200


async def test_logging_stays_as_it_is(server, token):
    async with mcp_client(server, token, LEGACY) as client:
        await client.list_tools()
    assert "StreamableHTTP" not in server.log and "session ID" not in server.log
