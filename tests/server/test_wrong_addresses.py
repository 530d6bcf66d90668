"""What looks like an address of a door and is none: refused in the shape that the clients of that door read."""

from __future__ import annotations

import httpx2
import pytest

from tests.support.patience import WAIT_SECONDS

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
WRONG = {
    "native": ("/api", "//api/sessions/", "///api", "/api//sessions/", "/api/nothing", "/api/agui", "/api/agui//"),
    "openai": ("/v1", "//v1/models", "///v1", "/v1//models", "/v1/nothing", "/v1/responses/a/b/c"),
    "mcp": ("/mcp/x", "/mcp//", "//mcp", "//mcp/", "///mcp/x", "/mcp/x/y/"),
}


def code_of(door, body):
    match door:
        case "native":
            return body["code"]
        case "openai":
            assert body["error"]["type"] == "not_found_error"
            return body["error"]["code"]
        case _:
            assert (body["jsonrpc"], body["id"], body["error"]["code"]) == ("2.0", None, -32600)
            return body["error"]["data"]["code"]


@pytest.mark.parametrize("door", WRONG)
async def test_a_wrong_address_is_told_in_the_shape_of_its_door(server, door):
    async with httpx2.AsyncClient(timeout=WAIT_SECONDS, trust_env=False) as client:
        for path in WRONG[door]:
            for method in METHODS:
                answer = await client.request(method, f"http://127.0.0.1:{server.port}{path}")
                assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json"), (method, path)
                assert code_of(door, answer.json()) == "not_found", (method, path)
                assert answer.json().get("message", answer.json().get("error", {}).get("message")), (method, path)


@pytest.mark.parametrize("path", ["/mcpx", "/apix", "/v1x", "//x", "/x/api/sessions/"])
async def test_other_addresses_have_the_page_that_says_so(server, path):
    async with httpx2.AsyncClient(timeout=WAIT_SECONDS, trust_env=False) as client:
        answer = await client.get(f"http://127.0.0.1:{server.port}{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize("path", [paths[0] for paths in WRONG.values()])
async def test_pages_of_other_origins_may_read_it(server, path):
    """Before, `/v1` and `/api` led elsewhere, which browsers do not follow when they ask whether they may."""
    url, page = f"http://127.0.0.1:{server.port}{path}", {"Origin": "https://pages.example"}
    async with httpx2.AsyncClient(timeout=WAIT_SECONDS, trust_env=False) as client:
        assert (await client.options(url, headers=page)).status_code == 204
        assert (await client.get(url, headers=page)).headers["access-control-allow-origin"] == page["Origin"]
