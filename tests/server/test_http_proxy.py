"""Each door for programs behind the nginx of the documentation, while a tool says nothing for longer than it waits."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from tests.support.agent_server import AgentServer
from tests.support.http_door import HttpDoor
from tests.support.nginx import NAME, Nginx
from tests.support.program_doors import DOORS, McpDoor

pytestmark = pytest.mark.slow  # nginx
LIMIT_SECONDS = 3
HEARTBEAT_SECONDS = 1
CONVERSATION = {"settings": {"HEARTBEAT_SECONDS": HEARTBEAT_SECONDS}, "environment": {"ALLOWED_HOSTS": NAME}}


async def hears_the_end_of_a_silent_tool(client, kind, comments):
    """The tool waits for another call of it, which comes when the stream has been silent for so many comments."""
    call = f'call:meet {{"place": "{kind.name}"}}'
    door = HttpDoor.of(client)
    session_id, other = await door.create(), await door.create()
    async with kind(client, "tools", session_id).say(call, "m-1") as heard:
        await heard.until(lambda so_far: so_far.comments >= comments)
        assert not heard.is_over
        await door.say(other, call)
        await heard.whole()
    assert heard.said == f"Result: met in {kind.name}"


async def test_a_tool_may_be_silent_for_longer_than_the_proxy_waits(tmp_path, model):
    model.reset()
    with AgentServer(tmp_path, "tools.py", model=model, options=("--allow-anonymous",), **CONVERSATION) as server:
        shorter = {"proxy_read_timeout 90s": f"proxy_read_timeout {LIMIT_SECONDS}s"}
        with Nginx(tmp_path / "nginx", server.port, edits=shorter) as nginx:
            async with httpx2.AsyncClient(
                base_url=f"https://127.0.0.1:{nginx.port}",
                headers={"Host": NAME},
                verify=nginx.trust,
                trust_env=False,
                timeout=httpx2.Timeout(LIMIT_SECONDS * 10),
            ) as client:
                several = 2 * LIMIT_SECONDS // HEARTBEAT_SECONDS + 1
                async with asyncio.TaskGroup() as tasks:
                    for kind in set(DOORS) - {McpDoor}:  # which says after 25 s that the agent still works
                        tasks.create_task(hears_the_end_of_a_silent_tool(client, kind, several))
