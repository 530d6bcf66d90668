"""A live answer behind the nginx of the documentation, with limits so short that silence would end it."""

from __future__ import annotations

import httpx2
import pytest

from tests.support.agent_server import AgentServer
from tests.support.conversation import ended
from tests.support.http_door import HttpDoor
from tests.support.model_replies import text
from tests.support.nginx import NAME, Nginx

pytestmark = pytest.mark.slow  # nginx
LIMIT_SECONDS = 3


async def test_an_answer_goes_on_through_silence_that_is_longer_than_the_proxy_waits(tmp_path, model):
    held = text("said in the end", hang=0)
    model.script(held)
    wishes = {"settings": {"HEARTBEAT_SECONDS": 1}, "environment": {"ALLOWED_HOSTS": NAME}}
    with AgentServer(tmp_path, "tools.py", model=model, options=("--allow-anonymous",), **wishes) as server:
        shorter = {"proxy_read_timeout 90s": f"proxy_read_timeout {LIMIT_SECONDS}s"}
        with Nginx(tmp_path / "nginx", server.port, edits=shorter) as nginx:
            door = HttpDoor(server, Host=NAME)
            door.client = httpx2.AsyncClient(
                base_url=f"https://127.0.0.1:{nginx.port}", headers={"Host": NAME}, verify=nginx.trust, trust_env=False
            )
            async with door:
                session_id = await door.create()
                async with door.events(session_id) as stream:
                    await door.say(session_id, "hello")
                    await stream.until("agent.thinking")
                    for _ in range(2 * LIMIT_SECONDS + 1):
                        await stream.silence()
                    held.gate.open()
                    assert (await stream.until(ended()))[-1].frame.content == "said in the end"
