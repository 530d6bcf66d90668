"""The client that comes back: against a server whose every frame and every end of a connection the test decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from myagent.client import (
    Client,
    ConnectionLost,
    FrameTooLarge,
    HandshakeRefused,
    RequestRefused,
    reconnecting,
    stay_connected,
)
from myagent.client.reconnect_loop import Backoff
from tests.support.peer import GREETING, Peer, Peers, accepted, listening, logged, replay_notice

SESSION = {
    "event": "agent.session_created",
    "session_id": "s",
    "seq": 1,
    "event_id": "s-1",
    "content": "",
    "metadata": {},
}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr("myagent.client.reconnect_loop.Backoff", lambda: Backoff(first=0.01, most=0.05))
    monkeypatch.setattr("myagent.client.reconnect_loop.LIMIT_SECONDS", 0.01)


@asynccontextmanager
async def reconnecting_pair(**options: Any) -> AsyncIterator[tuple[Client, Peers, Peer]]:
    async with listening() as peers, stay_connected(peers.url, **options) as client:
        yield client, peers, await peers.next()
        peers.finish()


async def following(client: Client, peer: Peer) -> None:
    """Let the client follow the session `s`, whose log ends at 3."""
    resuming = asyncio.create_task(client.resume("s"))
    heard = await peer.heard("user.reconnect")
    assert (heard["session_id"], heard["last_seq"]) == ("s", 0)
    await peer.say(*(logged(seq) for seq in (1, 2, 3)))
    await peer.say({**replay_notice(3, 3), "metadata": {**replay_notice(3, 3)["metadata"], **heard["metadata"]}})
    assert (await resuming).last_seq == 3
    assert [(await anext(aiter(client))).seq for _ in range(4)] == [1, 2, 3, None]


async def back(peers: Peers, *, last_seq: int, brings: tuple[dict[str, Any], ...] = (), status: str = "idle") -> Peer:
    """The connection with which the client comes back, after the replay of `brings`."""
    peer = await peers.next()
    heard = await peer.heard("user.reconnect")
    assert (heard["session_id"], heard["last_seq"]) == ("s", last_seq)
    await peer.say(*brings)
    notice = replay_notice(len(brings), last_seq, status)
    await peer.say({**notice, "metadata": {**notice["metadata"], **heard["metadata"]}})
    return peer


async def seqs(client: Client, count: int) -> list[int]:
    """The numbers of the next logged events."""
    found = []
    async for frame in client:
        if frame.seq is not None:
            found.append(frame.seq)
        if len(found) == count:
            return found
    raise AssertionError("never ends by itself")


async def test_it_goes_on_at_its_cursor_and_shows_nothing_twice():
    links = []
    async with reconnecting_pair(on_link=links.append) as (client, peers, peer):
        await following(client, peer)
        await peer.say(logged(4), logged(6))
        assert await seqs(client, 2) == [4, 6]
        peer.cut()
        peer = await back(peers, last_seq=6, brings=(logged(6), logged(7)))
        await peer.say(logged(7), logged(8))
        assert await seqs(client, 2) == [7, 8]
        await peer.socket.close(1012, "service restart")
        peer = await back(peers, last_seq=8)
    assert [link.error and link.error.close_code for link in links] == [None, 1006, None, 1012, None]
    assert all(link.retry_in > 0 for link in links if link.error)


async def test_what_was_read_before_the_loss_comes_first():
    async with reconnecting_pair() as (client, peers, peer):
        await following(client, peer)
        await peer.say(logged(4))
        peer.socket.transport.close()  # after everything was written
        peer = await back(peers, last_seq=4, brings=(logged(5),))
        assert await seqs(client, 2) == [4, 5]


async def test_a_message_without_a_reply_is_said_again_under_its_id():
    async with reconnecting_pair() as (client, peers, peer):
        await following(client, peer)
        saying = asyncio.create_task(client.say("s", "hello", message_id="m"))
        first = await peer.heard("user.message")
        peer.cut()
        own = logged(4, "user.message", metadata={"message_id": "m", "run_id": "r"})
        peer = await back(peers, last_seq=3, brings=(own, logged(5)))
        heard = await peer.answer(accepted("m", duplicate=True), "user.message")
        assert heard == first
        assert (await saying).duplicate
        assert await seqs(client, 1) == [5], "its own message does not come back"
        peer.cut()
        peer = await back(peers, last_seq=5)
        await peer.say(logged(6))
        assert await seqs(client, 1) == [6], "it is said no third time"


async def test_nothing_is_sent_before_the_session_is_followed_again():
    async with reconnecting_pair() as (client, peers, peer):
        await following(client, peer)
        peer.cut()
        saying = asyncio.create_task(client.say("s", "hello", message_id="m"))
        peer = await back(peers, last_seq=3)
        await peer.answer(accepted("m"), "user.message")
        assert (await saying).run_id == "r"


async def test_messages_of_others_come():
    async with reconnecting_pair() as (client, _peers, peer):
        await following(client, peer)
        await peer.say(logged(4, "user.message", metadata={"message_id": "other", "run_id": "r"}))
        assert await seqs(client, 1) == [4]


async def test_a_refused_message():
    async with reconnecting_pair() as (client, _peers, peer):
        await following(client, peer)
        saying = asyncio.create_task(client.say("s", " ", message_id="m"))
        await peer.answer({"event": "agent.error", "content": "blank", "metadata": {"code": "empty_message"}})
        with pytest.raises(RequestRefused, match="blank"):
            await saying
        await peer.say(logged(4, "user.message", metadata={"message_id": "m", "run_id": "r"}))
        assert await seqs(client, 1) == [4], "the id was not used up, so it is somebody else's"


async def test_an_answer_is_given_until_it_is_on_record():
    async with reconnecting_pair() as (client, peers, peer):
        await following(client, peer)
        await client.respond("s", "q", True, args={"a": 1})
        first = await peer.heard("user.response")
        assert first["content"] == {"confirmed": True, "args": {"a": 1}}
        peer.cut()
        peer = await back(peers, last_seq=3)
        assert await peer.heard("user.response") == first
        known = {"code": "no_pending_confirmation", "request_id": first["metadata"]["request_id"]}
        await peer.say({"event": "agent.error", "session_id": "s", "metadata": known}, logged(5))
        frames = [await anext(aiter(client)) for _ in range(2)]
        assert [frame.code for frame in frames] == [None, None], "that it arrived the first time is no error"
        peer.cut()
        own = logged(6, "user.response", step_id="q", content={"confirmed": True}, metadata={"run_id": "r"})
        peer = await back(peers, last_seq=5, brings=(own, logged(7)))
        assert await seqs(client, 1) == [7]


async def test_an_answer_that_is_refused_is_told_once():
    async with reconnecting_pair() as (client, peers, peer):
        await following(client, peer)
        await client.respond("s", "q", False, reason="no")
        refusal = {"event": "agent.error", "session_id": "s", "metadata": {"code": "no_pending_confirmation"}}
        await peer.answer(refusal, "user.response")
        assert (await anext(aiter(client))).code == "no_pending_confirmation"
        await peer.say(logged(4, "user.response", step_id="q", content={"confirmed": True}, metadata={"run_id": "r"}))
        assert await seqs(client, 1) == [4], "the answer of another one"
        peer.cut()
        peer = await back(peers, last_seq=4)
        await peer.say(logged(5))
        assert await seqs(client, 1) == [5]
        peer.cut()
        await back(peers, last_seq=5)


@pytest.mark.parametrize("status", ["running", "idle"])
async def test_a_cancel_is_sent_again_while_something_runs(status):
    async with reconnecting_pair() as (client, peers, peer):
        await following(client, peer)
        await client.cancel("s")
        await peer.heard("user.cancel")
        peer.cut()
        peer = await back(peers, last_seq=3, status=status)
        await peer.heard("user.cancel")  # sent before the replay could say that nothing runs
        if status == "running":
            await peer.say(logged(4, "agent.interrupted", metadata={"run_id": "r", "reason": "user"}))
            assert await seqs(client, 1) == [4]
        else:
            assert (await anext(aiter(client))).metadata["run_status"] == "idle"
        peer.cut()
        peer = await back(peers, last_seq=4 if status == "running" else 3)
        listing = asyncio.create_task(client.list_sessions())
        await peer.answer({"event": "system.sessions", "metadata": {"sessions": []}}, "user.list_sessions")
        assert (await listing).sessions == ()


async def test_a_cancel_is_for_what_was_said_before():
    async with reconnecting_pair() as (client, peers, peer):
        await following(client, peer)
        await client.cancel("s")
        await peer.heard("user.cancel")
        saying = asyncio.create_task(client.say("s", "go on"))
        await peer.answer(accepted(), "user.message")
        await saying
        peer.cut()
        peer = await back(peers, last_seq=3, status="running")
        listing = asyncio.create_task(client.list_sessions())
        await peer.answer({"event": "system.sessions", "metadata": {"sessions": []}}, "user.list_sessions")
        await listing


async def test_sessions_that_it_creates_are_followed():
    async with reconnecting_pair() as (client, peers, peer):
        creating = asyncio.create_task(client.create_session("a"))
        await peer.answer(SESSION)
        assert await creating == "s"
        assert await seqs(client, 1) == [1], "the reply is an event of the log, too"
        peer.cut()
        await back(peers, last_seq=1)


async def test_requests_wait_for_the_next_connection():
    async with reconnecting_pair() as (client, peers, peer):
        listing = asyncio.create_task(client.list_sessions())
        await peer.heard()
        peer.cut()
        peer = await peers.next()
        await peer.answer({"event": "system.sessions", "metadata": {"sessions": []}})
        assert (await listing).sessions == ()


async def test_a_request_that_is_given_up_is_not_sent_again():
    async with reconnecting_pair() as (client, peers, peer):
        listing = asyncio.create_task(client.list_sessions())
        await peer.heard()
        listing.cancel()
        await asyncio.gather(listing, return_exceptions=True)
        peer.cut()
        peer = await peers.next()
        exporting = asyncio.create_task(client.export_state("s"))
        assert (await peer.heard())["event"] == "user.request_state"
        exporting.cancel()


async def test_what_is_no_json_is_refused_at_once():
    async with reconnecting_pair() as (client, peers, peer):
        await following(client, peer)
        with pytest.raises(TypeError):
            await client.respond("s", "q", True, args={"a": object()})
        peer.cut()
        await back(peers, last_seq=3)


async def test_what_the_server_would_not_take_is_not_sent():
    async with listening() as peers:
        peers.greeting = {**GREETING, "metadata": {**GREETING["metadata"], "max_frame_bytes": 400}}
        async with stay_connected(peers.url) as client:
            peer = await peers.next()
            await following(client, peer)
            await client.cancel("s")
            for refused in (
                client.say("s", "é" * 200, message_id="m"),
                client.respond("s", "q", True, reason="x" * 400),
            ):
                with pytest.raises(FrameTooLarge, match="at most 400") as raised:
                    await refused
                assert (raised.value.code, raised.value.limit) == ("frame_too_large", 400)
                assert 400 < raised.value.size < 700
            peer.cut()
            peer = await back(peers, last_seq=3)
            await peer.heard("user.cancel")
            saying = asyncio.create_task(client.say("s", "short", message_id="m"))
            assert (await peer.answer(accepted("m"), "user.message"))["content"] == "short"
            await saying
            peers.finish()


async def test_what_the_server_did_not_take_is_not_sent_again():
    async with reconnecting_pair() as (client, peers, peer):
        await following(client, peer)
        said = [asyncio.create_task(client.say("s", text, message_id=text[:3])) for text in ("one", "x" * 500, "two")]
        await client.respond("s", "q", True, reason="y" * 600)
        assert len([await peer.heard() for _ in range(4)]) == 4
        await peer.socket.close(1009, "message too big")
        peer = await back(peers, last_seq=3)
        await peer.answer(accepted("one"), "user.message")
        assert (await peer.heard("user.message"))["content"] == "x" * 500, "the answer was the larger one"
        await peer.socket.close(1009, "message too big")
        with pytest.raises(FrameTooLarge) as raised:
            await said[1]
        assert (raised.value.limit, raised.value.size > 500) == (None, True)
        peer = await back(peers, last_seq=3)
        assert (await peer.answer(accepted("two"), "user.message"))["content"] == "two"
        assert [(await task).message_id for task in (said[0], said[2])] == ["one", "two"]


async def test_a_frame_that_is_too_large_for_the_client_is_not_its_message(monkeypatch):
    monkeypatch.setattr("myagent.client.connection.MAX_FRAME_BYTES", 1_000)
    async with reconnecting_pair() as (client, peers, peer):
        await following(client, peer)
        saying = asyncio.create_task(client.say("s", "hello", message_id="m"))
        await peer.heard("user.message")
        await peer.say(logged(4, content="x" * 2_000))
        peer = await back(peers, last_seq=3)
        await peer.answer(accepted("m"), "user.message")
        assert (await saying).run_id == "r"


async def test_what_was_read_is_acknowledged(monkeypatch):
    monkeypatch.setattr("myagent.client.reconnect_loop.ACK_SECONDS", 0.01)
    async with reconnecting_pair() as (client, _peers, peer):
        await following(client, peer)
        await peer.say(logged(4), logged(5))
        seen = []
        while not seen or seen[-1] < 5:
            frame = await peer.heard()
            assert (frame["event"], frame["session_id"]) == ("user.ack", "s")
            seen.append(frame["last_seq"])
            if seen[-1] == 3:
                assert await seqs(client, 2) == [4, 5]
        assert seen == sorted(set(seen))


async def test_the_last_acknowledgement_is_sent_on_leaving():
    async with listening() as peers:
        async with stay_connected(peers.url) as client:
            peer = await peers.next()
            await following(client, peer)
            await peer.say(logged(4))
            assert await seqs(client, 1) == [4]
        assert (await peer.heard())["last_seq"] == 4


async def test_a_server_that_cannot_store_anything_is_asked_again():
    async with reconnecting_pair() as (client, peers, peer):
        await following(client, peer)
        peer.cut()
        peer = await peers.next()
        await peer.answer({"event": "agent.error", "session_id": "s", "metadata": {"code": "try_again"}})
        peer = await back(peers, last_seq=3, brings=(logged(4),))
        assert await seqs(client, 1) == [4]


async def test_a_log_that_was_taken_back_goes_on_from_its_end():
    async with reconnecting_pair() as (client, peers, peer):
        await following(client, peer)
        peer.cut()
        peer = await peers.next()
        refusal = {"event": "agent.error", "session_id": "s", "metadata": {"code": "cursor_ahead", "last_seq": 1}}
        await peer.answer(refusal)
        await peer.say(logged(2))
        assert (await anext(aiter(client))).code == "cursor_ahead"
        assert await seqs(client, 1) == [2]


async def test_a_session_that_is_gone_is_followed_no_more():
    async with reconnecting_pair() as (client, peers, peer):
        await following(client, peer)
        peer.cut()
        peer = await peers.next()
        await peer.answer({"event": "agent.error", "session_id": "s", "metadata": {"code": "session_not_found"}})
        assert (await anext(aiter(client))).code == "session_not_found"
        with pytest.raises(ValueError, match="not followed"):
            await client.say("s", "hello")
        resuming = asyncio.create_task(client.resume("s"))
        await peer.answer({"event": "agent.error", "session_id": "s", "metadata": {"code": "session_not_found"}})
        with pytest.raises(RequestRefused):
            await resuming


async def test_a_session_that_is_deleted_during_its_replay():
    async with reconnecting_pair() as (client, _peers, peer):
        resuming = asyncio.create_task(client.resume("s"))
        await peer.heard()
        await peer.say({"event": "agent.session_deleted", "session_id": "s", "metadata": {}})
        with pytest.raises(RequestRefused):
            await resuming


async def test_a_session_is_resumed_once():
    async with reconnecting_pair() as (client, _peers, peer):
        await following(client, peer)
        with pytest.raises(ValueError, match="followed already"):
            await client.resume("s")


async def test_a_slow_reader_holds_the_server_up_and_still_gets_replies(monkeypatch):
    monkeypatch.setattr(reconnecting, "MAX_UNREAD", 5)
    async with reconnecting_pair() as (client, _peers, peer):
        await following(client, peer)
        await peer.say(*(logged(seq) for seq in range(4, 40)))
        listing = asyncio.create_task(client.list_sessions())
        await peer.answer({"event": "system.sessions", "metadata": {"sessions": []}}, "user.list_sessions")
        assert (await listing).sessions == ()
        assert await seqs(client, 36) == list(range(4, 40))
        await peer.say(*(logged(seq) for seq in range(40, 400)))
        assert await seqs(client, 1) == [40]
        assert len(client.unread) <= 5
        assert await seqs(client, 359) == list(range(41, 400))


async def test_waiting_for_a_frame_leaves_the_others_unread_and_unacknowledged(monkeypatch):
    monkeypatch.setattr("myagent.client.reconnect_loop.ACK_SECONDS", 0.01)
    async with reconnecting_pair() as (client, peers, peer):
        await following(client, peer)
        waiting = asyncio.create_task(client.wait_for(lambda frame: frame.seq == 7))
        await peer.say(logged(4), logged(5))
        await client.request({"event": "user.list_sessions"}, answered_by=lambda frame: frame.seq == 5)
        peer.cut()
        peer = await back(peers, last_seq=5, brings=(logged(6), logged(7)))
        assert (await waiting).seq == 7
        assert client.cursors == {"s": 7}
        assert [frame.seq for frame in client.unread][:3] == [4, 5, 6]
        assert [frame.seq for frame in await client.until(lambda frame: frame.seq == 6)] == [4, 5, 6]
        acknowledged = []
        while not acknowledged or acknowledged[-1] < 7:
            acknowledged.append((await peer.heard())["last_seq"])
        assert set(acknowledged) <= {3, 7}, "nothing between, as 4 was unread when 7 was read"
        with pytest.raises(ValueError, match="followed already"):
            await client.reconnect("s")


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [4400, 4401, 4403, 4404])
async def test_what_will_not_change_is_raised(code):
    async with reconnecting_pair() as (client, _peers, peer):
        await following(client, peer)
        listing = asyncio.create_task(client.list_sessions())
        await peer.heard()
        await peer.say(logged(4))
        await peer.socket.close(code, "why")
        for waiting in (listing, client.list_sessions(), client.resume("t"), client.cancel("s")):
            with pytest.raises(ConnectionLost) as raised:
                await waiting
            assert raised.value.close_code == code
        assert (await anext(aiter(client))).seq == 4, "what came before the end can be read"
        with pytest.raises(ConnectionLost, match="why"):
            await anext(aiter(client))


@pytest.mark.parametrize("code", [4401, 4404])
async def test_a_first_connection_that_is_refused(code):
    async with listening() as peers:
        peers.refuse_with = code, "no"
        with pytest.raises(ConnectionLost) as raised:
            async with stay_connected(peers.url):
                raise AssertionError("must not connect")
        assert raised.value.close_code == code


async def test_nobody_listens():
    async with listening() as peers:
        url = peers.url
    with pytest.raises(OSError):
        async with stay_connected(url):
            raise AssertionError("must not connect")


async def test_no_server_of_ours_listens():
    async with listening() as peers:
        peers.greeting = {"hello": "world"}
        with pytest.raises(HandshakeRefused):
            async with stay_connected(peers.url):
                raise AssertionError("must not connect")


@pytest.mark.parametrize("code", [1011, 1012, 4408, 4429])
async def test_a_server_that_will_let_it_in_later_is_waited_for(code):
    links = []
    async with listening() as peers:
        peers.refuse_with = code, "later"

        def on_link(link):
            links.append(link)
            if len(links) == 2:
                peers.refuse_with = None

        async with stay_connected(peers.url, on_link=on_link) as client:
            assert client.agents == ("a", "b")
    assert [link.error and link.error.close_code for link in links] == [code, code, None]


async def test_a_mistake_of_its_own_is_not_hidden(monkeypatch):
    async def broken(self, *_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(reconnecting.Reconnecting, "take", broken)
    with pytest.raises(ZeroDivisionError):
        async with reconnecting_pair() as (client, _peers, peer):
            await peer.say(logged(1))
            with pytest.raises(ConnectionLost):
                await anext(aiter(client))


async def test_it_gives_up_when_it_is_told_to():
    async with listening() as peers, stay_connected(peers.url, give_up_after=0.1) as client:
        peers.refuse_with = 1012, "for ever"
        (await peers.next()).cut()
        with pytest.raises(ConnectionLost, match="for ever"):
            await anext(aiter(client))


async def test_a_server_that_went_away_is_waited_for():
    """Also while nobody listens on its port, which at the first connection is the end."""
    async with listening() as peers, stay_connected(peers.url) as client:
        port = peers.server.sockets[0].getsockname()[1]
        peer = await peers.next()
        await following(client, peer)
        peers.server.close(close_connections=False)
        peer.cut()
        waiting = asyncio.create_task(anext(aiter(client)))
        async with listening(port) as again:
            peer = await back(again, last_seq=3, brings=(logged(4),))
            assert (await waiting).seq == 4


async def test_iteration_after_the_end():
    async with listening() as peers:
        async with stay_connected(peers.url) as client:
            pass
        with pytest.raises(ConnectionLost, match="was closed"):
            await anext(aiter(client))
        with pytest.raises(ConnectionLost, match="was closed"):
            await client.list_sessions()


async def test_leaving_does_not_wait_for_a_server_that_is_silent(monkeypatch):
    monkeypatch.setattr(reconnecting, "CLOSE_SECONDS", 0.05)
    async with listening() as peers, asyncio.timeout(5):
        async with stay_connected(peers.url):
            peer = await peers.next()
            peer.socket.transport.pause_reading()
        peer.cut()
