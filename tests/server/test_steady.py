"""The client that comes back, against a real server over a connection that is cut again and again."""

from __future__ import annotations

import asyncio

from myagent.client import stay_connected
from myagent.client.reconnect_loop import Backoff
from tests.support.conversation import whole_log
from tests.support.patience import WAIT_SECONDS
from tests.support.proxy import Proxy

CUTS = 6


async def test_every_event_once_over_many_connections(server, tmp_path, monkeypatch):
    # Pauses that double would make the most of the test.
    monkeypatch.setattr("myagent.client.reconnect_loop.Backoff", lambda: Backoff(first=0.02, most=0.1))
    events, losses = [], 0

    def on_link(link):
        nonlocal losses
        losses += link.error is not None

    with Proxy("127.0.0.1", server.port) as proxy:
        async with stay_connected(f"ws://127.0.0.1:{proxy.port}/", on_link=on_link) as client:
            session_id = await client.create_session()
            path = str(tmp_path / "written")
            said = [
                await client.say(session_id, "tokens:400 delay:5"),
                await client.say(session_id, f'call:write {{"path": "{path}", "text": "x"}}'),
            ]

            async def cut():
                for _ in range(CUTS):
                    await asyncio.to_thread(proxy.cut)
                    await asyncio.to_thread(proxy.mend)
                    await asyncio.to_thread(proxy.wait_accepted, 1)

            cutting = asyncio.create_task(cut())
            async with asyncio.timeout(WAIT_SECONDS):
                async for frame in client:
                    if frame.seq is not None:
                        events.append(frame)
                    if frame.event == "agent.user_confirm":
                        await client.respond(session_id, frame.step_id, True)
                        await asyncio.to_thread(proxy.cut)
                        await asyncio.to_thread(proxy.mend)
                    if frame.ends_run and frame.run_id == said[-1].run_id:
                        break
            await cutting
    assert losses >= CUTS
    log = await whole_log(server, session_id)
    # What this client says is told to its other connections: to its next one, when it is cut meanwhile.
    own = ("user.message", "user.response")
    events = [frame for frame in events if frame.event not in own]
    assert [frame.seq for frame in events] == [frame.seq for frame in log if frame.event not in own]
    assert events == [frame for frame in log if frame.event not in own]
    assert (tmp_path / "written").read_text() == "x", "the answer was given more than once and taken once"
