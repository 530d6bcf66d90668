"""Two servers behind the nginx of `deploy/compose`: clients are spread, and a server that stops is missed by nobody."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from urllib.error import HTTPError

import pytest

from myagent.client import ConnectionLost, connect
from tests.server.test_metrics import numbers_of
from tests.support.conversation import ended, turn
from tests.support.model_replies import text
from tests.support.nginx import BalancingNginx
from tests.support.two_servers import SQLITE, two_servers

pytestmark = pytest.mark.slow  # nginx
METRICS_TOKEN = "a-token-for-prometheus-alone"
SHOWN = {"Authorization": f"Bearer {METRICS_TOKEN}"}
SETTINGS = {"DRAIN_SECONDS": 0.5}
ENVIRONMENT = {"MYAGENT_TRUSTED_PROXIES": "127.0.0.1", "MYAGENT_METRICS_TOKEN": METRICS_TOKEN}


async def test_a_server_is_stopped_while_clients_talk(model, tmp_path):
    model.reset()
    with two_servers(SQLITE, tmp_path, model, settings=SETTINGS, environments=(ENVIRONMENT, ENVIRONMENT)) as pair:
        token = re.search(r"token=(mya_\S+)", pair[0].banner)[1]
        with BalancingNginx(tmp_path / "nginx", *(server.port for server in pair)) as nginx:
            url = f"ws://localhost:{nginx.port}/"
            async with connect(url, token=token) as first, connect(url, token=token) as second:
                sessions = [await client.create_session() for client in (first, second)]
                numbers = [await numbers_of(server, **SHOWN) for server in pair]
                open_ones = [of_server.get("connections", door="websocket") for of_server in numbers]
                assert open_ones == [1, 1], "the next client goes where there are fewest"
                # What is still being said when its server stops is said to its end by the other one.
                model.script(text("one two three", hang=2), text("four five six"))
                run_id = (await first.say(sessions[0], "go on")).run_id
                await first.wait_for("agent.partial_answer")
                pair[0].terminate()
                with pytest.raises(ConnectionLost, match="1012"):
                    await first.wait_for("agent.never")
            async with connect(url, token=token, cursors=dict(first.cursors)) as again:
                await again.reconnect(sessions[0])
                assert (await again.wait_for(ended(run_id))).content == "four five six"
                assert (await turn(again, sessions[1], "tokens:3"))[-1].event == "agent.final_answer"
            assert await asyncio.to_thread(pair[0].wait_exit) == 0
            with pytest.raises(HTTPError, match="404"):
                await asyncio.to_thread(urllib.request.urlopen, f"http://localhost:{nginx.port}/metrics")
            assert token not in nginx.access_log and " 502 " not in nginx.access_log
