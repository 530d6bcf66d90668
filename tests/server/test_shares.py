"""One who asks too fast, stores too much, or sends the heaviest frames: refused with words, and nobody else notices."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.client import connect as open_websocket

from myagent.client import RequestRefused
from tests.conftest import connected
from tests.support.backstage import Backstage
from tests.support.conversation import ended, turn
from tests.support.model_replies import text
from tests.support.patience import WAIT_SECONDS

SERVER = {
    "options": ("--allow-anonymous",),
    "settings": {
        "LIMIT_LOCAL": True,
        "GRANTS_SECONDS": 0.1,
        "USER_REQUESTS_PER_SECOND": 5,
        "USER_STORED_BYTES": 60_000,
        "USER_SESSIONS": 3,
    },
}
ISSUE = """
for name in ("ann", "bob", "eve"):
    user = User.objects.get_or_create(username=name)[0]
    result = {**(result or {}), name: AccessToken.objects.issue(user, "flow")[1]}
"""

pytestmark = pytest.mark.database


@pytest.fixture(scope="module")
def tokens(running_server):
    with Backstage(running_server) as backstage:
        yield backstage.do(ISSUE)


async def frames(socket, count):
    async with asyncio.timeout(WAIT_SECONDS):
        return [json.loads(await socket.recv()) for _ in range(count)]


async def test_what_comes_too_fast_is_refused_by_its_id_and_acknowledgements_are_dropped(server, tokens):
    async with open_websocket(server.url, additional_headers={"Authorization": f"Bearer {tokens['eve']}"}) as socket:
        await socket.send('{"event": "user.create_session"}')
        _connected, created = await frames(socket, 2)
        acknowledgement = {"event": "user.ack", "session_id": created["session_id"], "content": 1}
        for number in range(90):
            await socket.send(json.dumps({"event": "user.list_sessions", "metadata": {"request_id": str(number)}}))
            await socket.send(json.dumps(acknowledgement))
        answers = await frames(socket, 90)
        refused = [frame for frame in answers if frame["metadata"].get("code") == "too_many_requests"]
        assert len(refused) > 30 and all(frame["event"] == "agent.error" for frame in refused)
        facts = refused[-1]["metadata"]
        assert (facts["rate"], facts["limit"], facts["request"]) == ("requests_per_second", 5, "user.list_sessions")
        assert facts["retry_after"] >= 1 and facts["request_id"] == "89"
        async with connected(server, token=tokens["ann"]) as ann:
            await ann.create_session()


async def test_a_full_share_ends_the_answer_that_was_begun_and_begins_no_other(server, tokens, model):
    async with connected(server, token=tokens["bob"]) as bob:
        session_id = await bob.create_session()
        model.script(long := text("a" * 100_000, hang=1))
        run = await bob.say(session_id, "x" * 30_000)
        await asyncio.to_thread(long.gate.entered.wait, 10)
        long.gate.open()
        assert (await bob.wait_for(ended(run.run_id))).event == "agent.final_answer"
        with pytest.raises(RequestRefused) as error:
            await bob.say(session_id, "more")
        assert (error.value.code, error.value.frame.metadata["quota"]) == ("over_quota", "stored_bytes")
        with pytest.raises(RequestRefused, match="Delete some"):
            await bob.create_session()
        await bob.delete_session(session_id)
        for _ in range(3):
            await bob.create_session()
        with pytest.raises(RequestRefused) as error:
            await bob.create_session()
        assert error.value.frame.metadata["quota"] == "sessions"


async def test_a_frame_of_too_many_values_is_refused_and_the_connection_stays(server, tokens, client):
    async with open_websocket(server.url, additional_headers={"Authorization": f"Bearer {tokens['ann']}"}) as socket:
        await socket.recv()
        await socket.send('{"event": "user.list_sessions", "content": [' + "{}," * 1_300_000 + "{}]}")
        await socket.send('{"event": "user.list_sessions", "x": "' + "1," * 1_000_000 + '"}')
        refused, listed = await frames(socket, 2)
        assert (refused["event"], refused["metadata"]["code"]) == ("system.error", "too_many_values")
        assert listed["event"] == "system.sessions"
    session_id = await client.create_session()
    await turn(client, session_id, "hi")


async def test_a_revoked_token_takes_with_it_what_it_began_and_what_waits(server, tokens, running_server, model):
    with Backstage(running_server) as backstage:
        lost = backstage.do("result = AccessToken.objects.issue(User.objects.get(username='ann'), 'lost')[1]")
        async with connected(server, token=tokens["ann"]) as watching:
            model.script(slow := text("never", hang=1))
            async with connected(server, token=lost) as ann:
                session_id = await ann.create_session()
                active = await ann.say(session_id, "one")
                waiting = await ann.say(session_id, "two")
            await watching.reconnect(session_id)
            await asyncio.to_thread(slow.gate.entered.wait, 10)
            backstage.do("AccessToken.objects.get(name='lost').revoke(timezone.now())")
            for run in (active, waiting):
                end = await watching.wait_for(ended(run.run_id))
                assert (end.event, end.metadata["reason"]) == ("agent.interrupted", "access_revoked")
            slow.gate.open()
            await turn(watching, session_id, "hi")
