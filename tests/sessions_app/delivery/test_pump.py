"""What a connection is sent: every event once, in order, whatever comes in between, and as fast as the client reads."""

import asyncio
import json
import uuid
from contextlib import asynccontextmanager

import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.conf import Config
from agents.database import threads as database
from myagent.protocol.direct_events import SystemNotice
from myagent.protocol.error_codes import ProtocolError
from sessions_app import queries
from sessions_app.delivery import log_pages
from sessions_app.delivery.hub import Hub
from sessions_app.delivery.pump import Pump
from sessions_app.journal.log import Growth, Logged
from sessions_app.run_queue import Place

MINE = "mine"
SESSION = uuid.uuid4()


class Log:
    """The logs of all sessions, as the database has them; reading takes some turns of the loop."""

    def __init__(self):
        self.frames = {}
        self.reads = 0

    def add(self, count=1, session=SESSION, origin=None, event="agent.thinking"):
        """Store events; returns how the log grew."""
        rows = self.frames.setdefault(session, [])
        growth = Growth(session, len(rows))
        for _ in range(count):
            seq = len(rows) + 1
            frame = json.dumps({"event": event, "session": str(session), "seq": seq}, separators=(",", ":"))
            rows.append((seq, frame))
            growth.events.append(Logged(seq, frame, origin))
        return growth

    def events_after(self, session, seq, limit=log_pages.PAGE_EVENTS):
        behind = [row for row in self.frames.get(session, []) if row[0] > seq]
        return log_pages.Page(behind[:limit], len(behind) <= limit)

    def end_of_log(self, session):
        if session not in self.frames:
            raise queries.SessionGone
        return len(self.frames[session]), "idle"


class Client:
    """The far end of a connection; reads only while `reading` is set."""

    def __init__(self):
        self.frames = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.news = asyncio.Event()

    async def send(self, frame):
        await self.reading.wait()
        self.frames.append(json.loads(frame))
        self.news.set()

    def seqs(self, session=SESSION):
        return [frame["seq"] for frame in self.frames if frame.get("session") == str(session)]

    @property
    def notices(self):
        return [frame for frame in self.frames if "seq" not in frame]


@pytest.fixture
def log(monkeypatch):
    log = Log()

    async def in_thread(function, *args):
        log.reads += 1
        await asyncio.sleep(0)
        answer = function(*args)
        await asyncio.sleep(0)
        return answer

    monkeypatch.setattr(database, "in_thread", in_thread)
    monkeypatch.setattr(database, "FIRST_BACK_OFF_SECONDS", 0)
    monkeypatch.setattr(log_pages, "events_after", log.events_after)
    monkeypatch.setattr(queries, "end_of_log", log.end_of_log)
    return log


@asynccontextmanager
async def pumping(**limits):
    hub, client = Hub(), Client()
    pump = Pump(MINE, hub, client.send, Config(**limits))
    task = asyncio.create_task(pump.run())
    try:
        yield hub, client, pump
    finally:
        task.cancel()
        pump.close()
        await asyncio.gather(task, return_exceptions=True)


async def settle(pump, client):
    """Wait until all that can be sent was sent."""
    for _ in range(10_000):
        await asyncio.sleep(0)
        if pump.is_idle and pump._waiter is not None and not pump._waiter.done():
            return
    raise AssertionError("the pump does not come to rest")


async def settled_turns():
    """Let everything come as far as it can without this test."""
    for _ in range(100):
        await asyncio.sleep(0)


def follow(pump, last_seq=0, session=SESSION):
    pump.attach(session)
    pump.follow(session, "agent", last_seq)


async def test_direct_events_are_sent_in_order(log):
    async with pumping() as (_hub, client, pump):
        for number in range(3):
            notice = SystemNotice(content=str(number), metadata={"action": "x"})
            pump.direct(notice, session_id="s", request_id="r")
        await settle(pump, client)
    assert [frame["content"] for frame in client.frames] == ["0", "1", "2"]
    assert client.frames[0]["metadata"] == {"action": "x", "request_id": "r"}


async def test_live_events_are_sent_without_reading_the_log(log):
    async with pumping() as (hub, client, pump):
        follow(pump)
        hub.grown([log.add(3)])
        hub.grown([log.add(2)])
        await settle(pump, client)
    assert client.seqs() == [1, 2, 3, 4, 5]
    assert log.reads == 0


async def test_what_came_between_attaching_and_following_is_read(log):
    async with pumping() as (hub, client, pump):
        log.add(2)
        pump.attach(SESSION)
        hub.grown([log.add(2)])
        await settle(pump, client)
        assert client.seqs() == []
        pump.follow(SESSION, "agent", 2)
        await settle(pump, client)
    assert client.seqs() == [3, 4]


async def test_following_again_changes_nothing(log):
    async with pumping() as (hub, client, pump):
        follow(pump)
        hub.grown([log.add(2)])
        await settle(pump, client)
        follow(pump)
        hub.grown([log.add(1)])
        await settle(pump, client)
    assert client.seqs() == [1, 2, 3]


async def test_a_gap_is_read_from_the_log(log):
    async with pumping() as (hub, client, pump):
        follow(pump)
        log.add(3)  # another process wrote these
        hub.grown([log.add(2)])
        await settle(pump, client)
    assert client.seqs() == [1, 2, 3, 4, 5]


async def test_news_from_elsewhere_are_read_once(log):
    async with pumping() as (hub, client, pump):
        follow(pump)
        log.add(3)
        hub.grown_elsewhere({SESSION: 3})
        hub.grown_elsewhere({SESSION: 3})
        await settle(pump, client)
    assert client.seqs() == [1, 2, 3]


async def test_a_log_of_many_pages_is_read_to_its_end(log):
    async with pumping() as (hub, client, pump):
        log.add(log_pages.PAGE_EVENTS * 2 + 1)
        follow(pump)
        hub.grown_elsewhere({SESSION: log_pages.PAGE_EVENTS * 2 + 1})
        await settle(pump, client)
    assert client.seqs() == list(range(1, log_pages.PAGE_EVENTS * 2 + 2))


async def test_a_client_does_not_get_back_what_it_said_itself(log):
    async with pumping() as (hub, client, pump):
        follow(pump)
        hub.grown([log.add(1), log.add(1, origin=MINE), log.add(1, origin="another")])
        await settle(pump, client)
        assert client.seqs() == [1, 3]
        log.add(1)
        hub.grown([log.add(1, origin=MINE)])  # behind a gap it comes with the log
        hub.grown([log.add(1)])
        await settle(pump, client)
        assert client.seqs() == [1, 3, 4, 6]
        assert not pump.attachment(SESSION).own


async def test_what_it_said_is_not_read_back_before_it_is_known_to_be_its_own(log):
    async with pumping() as (_, client, pump):
        follow(pump)
        async with pump.requesting:
            said = log.add(origin=MINE, event="user.message")
            pump.heartbeat('{"event": "system.heartbeat"}', {SESSION: 1})  # it is committed, and was not offered yet
            await settled_turns()
            assert log.reads
            pump.offer(said)
        pump.offer(log.add(2))
        await settle(pump, client)
        assert client.seqs() == [2, 3]


async def test_what_was_read_already_is_not_remembered_as_its_own(log):
    async with pumping() as (hub, client, pump):
        follow(pump)
        growth = log.add(1, origin=MINE)
        hub.grown_elsewhere({SESSION: 1})
        await settle(pump, client)
        hub.grown([growth])
        await settle(pump, client)
        assert not pump.attachment(SESSION).own
    assert client.seqs() == [1]


# --- replay ---


async def test_replay_sends_all_after_the_cursor_then_a_notice_then_what_is_new(log):
    async with pumping() as (hub, client, pump):
        log.add(3)
        log.add(1, origin=MINE)
        pump.attach(SESSION)
        pump.replay(SESSION, "agent", 2, "r1")
        await settle(pump, client)
        hub.grown([log.add(1)])
        await settle(pump, client)
    assert client.seqs() == [3, 4, 5]
    (notice,) = client.notices
    assert client.frames.index(notice) == 2
    assert notice["session_id"] == str(SESSION)
    assert notice["metadata"] == {
        "action": "replay", "replayed": 2, "last_seq": 4, "run_status": "idle", "request_id": "r1",
    }  # fmt: skip


async def test_whoever_is_told_that_no_run_goes_on_has_been_sent_its_end(log, monkeypatch):
    ends = iter([2, 1])  # so many events come between the events that were read and the end that is asked for

    def end_of_log(session):
        log.add(next(ends, 0))
        return Log.end_of_log(log, session)

    monkeypatch.setattr(queries, "end_of_log", end_of_log)
    async with pumping() as (_hub, client, pump):
        log.add(3)
        pump.attach(SESSION)
        pump.replay(SESSION, "agent", 0, None)
        await settle(pump, client)
    assert client.seqs() == [1, 2, 3, 4, 5, 6]
    (notice,) = client.notices
    assert client.frames[-1] == notice
    assert (notice["metadata"]["replayed"], notice["metadata"]["last_seq"]) == (6, 6)


async def test_events_during_a_replay_come_once(log):
    async with pumping() as (hub, client, pump):
        client.reading.clear()
        log.add(3)
        pump.attach(SESSION)
        pump.replay(SESSION, "agent", 0, None)
        for _ in range(5):
            await asyncio.sleep(0)
            hub.grown([log.add(1)])
        client.reading.set()
        await settle(pump, client)
    assert client.seqs() == list(range(1, 9))


async def test_a_second_replay_begins_anew(log):
    async with pumping() as (hub, client, pump):
        log.add(2)
        pump.attach(SESSION)
        pump.replay(SESSION, "agent", 0, None)
        pump.replay(SESSION, "agent", 1, None)
        await settle(pump, client)
        hub.grown([log.add(1)])
        await settle(pump, client)
    assert client.seqs() == [1, 2, 2, 3]
    assert [notice["metadata"]["replayed"] for notice in client.notices] == [2, 1]


async def test_a_replay_of_a_session_that_is_gone_ends(log):
    async with pumping() as (hub, client, pump):
        pump.attach(SESSION)
        pump.replay(SESSION, "agent", 0, None)
        await settle(pump, client)
        hub.deleted([SESSION])
        await settle(pump, client)
    assert [frame["event"] for frame in client.frames] == ["agent.session_deleted"]


# --- the end of a session, and of a connection ---


async def test_the_deletion_of_a_session_is_told_after_its_events(log):
    async with pumping() as (hub, client, pump):
        follow(pump)
        hub.grown([log.add(1)])
        hub.deleted([SESSION])
        await settle(pump, client)
        assert pump.attached == ()
        assert list(hub.attached) == []
    assert client.notices[-1]["event"] == "agent.session_deleted"


async def test_nobody_is_told_of_a_session_that_he_was_not_let_into(log):
    async with pumping() as (hub, client, pump):
        pump.attach(SESSION)
        hub.deleted([SESSION])
        await settle(pump, client)
    assert client.frames == []


async def test_a_place_in_the_queue_is_told_when_it_changes_and_only_to_who_was_let_in(log):
    async with pumping() as (_hub, client, pump):
        pump.attach(SESSION)
        pump.tell_place(SESSION, place := Place(uuid.uuid4(), 2))
        follow(pump)
        for told in (place, place, Place(place.run_id, 1), None, Place(place.run_id, 1)):
            pump.tell_place(SESSION, told)
        await settle(pump, client)
    assert [frame["metadata"]["position"] for frame in client.frames] == [2, 1, 1]
    assert {frame["metadata"]["action"] for frame in client.frames} == {"queued"}


async def test_a_closed_pump_follows_nothing(log):
    async with pumping() as (hub, client, pump):
        follow(pump)
        pump.close()
        hub.grown([log.add(1)])
        await settle(pump, client)
    assert (client.frames, list(hub.attached)) == ([], [])


async def test_a_database_that_is_away_is_waited_for(log, monkeypatch):
    """The connection to it may break in the middle of anything; clients only notice that it takes longer."""
    answers = {"events_after": log.events_after, "end_of_log": log.end_of_log}
    broken = dict.fromkeys(answers, 2)

    def breaking(name):
        def query(*args):
            if broken[name]:
                broken[name] -= 1
                raise OperationalError("server closed the connection unexpectedly")
            return answers[name](*args)

        return query

    monkeypatch.setattr(log_pages, "events_after", breaking("events_after"))
    monkeypatch.setattr(queries, "end_of_log", breaking("end_of_log"))
    log.add(3)
    async with pumping() as (_hub, client, pump):
        pump.attach(SESSION)
        pump.replay(SESSION, "agent", 0, None)
        await settle(pump, client)
    assert client.seqs() == [1, 2, 3]
    assert not any(broken.values())
    assert [notice["event"] for notice in client.notices] == ["system.notice"]


async def test_what_send_raises_ends_the_pump():
    async def broken(frame):
        raise ConnectionError("gone")

    pump = Pump(MINE, Hub(), broken, Config())
    pump.direct(SystemNotice(metadata={"action": "x"}))
    with pytest.raises(ConnectionError):
        await pump.run()


# --- a client that does not read ---


async def test_what_a_slow_client_costs_is_bounded(log):
    async with pumping(outbound_frames=256) as (hub, client, pump):
        follow(pump)
        client.reading.clear()
        for _ in range(1000):
            hub.grown([log.add(10)])
            await asyncio.sleep(0)
        assert len(pump._queue) <= 256 + 10
        client.reading.set()
        await settle(pump, client)
    assert client.seqs() == list(range(1, 10_001))


async def test_large_frames_fill_the_buffer_sooner(log):
    async with pumping(outbound_characters=500) as (hub, client, pump):
        follow(pump)
        client.reading.clear()
        for _ in range(100):
            hub.grown([log.add(1)])
        assert len(pump._queue) < 12
        client.reading.set()
        await settle(pump, client)
        assert pump._buffered == 0
    assert client.seqs() == list(range(1, 101))


async def test_one_slow_client_does_not_delay_another(log):
    async with pumping() as (hub, client, pump):
        slow = Client()
        slow.reading.clear()
        other = Pump("other", hub, slow.send, Config())
        task = asyncio.create_task(other.run())
        follow(pump), follow(other)
        hub.grown([log.add(5)])
        await settle(pump, client)
        assert (client.seqs(), slow.seqs()) == ([1, 2, 3, 4, 5], [])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        other.close()


async def test_requests_wait_until_the_client_reads_the_answers(log):
    async with pumping(outbound_frames=20) as (_hub, client, pump):
        client.reading.clear()
        for _ in range(20):
            pump.direct(SystemNotice(metadata={"action": "x"}))
        waiting = asyncio.create_task(pump.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        client.reading.set()
        await waiting


async def test_a_heartbeat_makes_good_what_was_lost(log):
    async with pumping() as (_hub, client, pump):
        follow(pump)
        log.add(2)  # and nobody said so
        pump.heartbeat('{"event": "system.heartbeat"}', {SESSION: 2})
        await settle(pump, client)
    assert client.seqs() == [1, 2]
    assert client.notices == [{"event": "system.heartbeat"}]


async def test_a_client_that_is_far_behind_gets_no_heartbeats(log):
    async with pumping(outbound_frames=20) as (_hub, client, pump):
        client.reading.clear()
        for _ in range(20):
            pump.direct(SystemNotice(metadata={"action": "x"}))
        pump.heartbeat('{"event": "system.heartbeat"}', {})
        client.reading.set()
        await settle(pump, client)
    assert len(client.frames) == 20


# --- any course of events ---

STEP = st.one_of(
    st.tuples(st.just("commit"), st.integers(1, 5), st.sampled_from([None, MINE, "another"])),
    st.tuples(st.sampled_from(["offer", "offer", "lag", "poll", "stop", "read", "direct"])),
    st.tuples(st.just("turns"), st.integers(1, 8)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=40), start=st.integers(0, 4), replays=st.booleans())
def test_every_event_is_sent_once_and_in_order(log, steps, start, replays):
    log.frames.clear()
    asyncio.run(_play(log, steps, start, replays))


async def _play(log, steps, start, replays):
    """Commits are offered in order, but later, and some by another process are not offered at all."""
    log.add(4)
    offers, own, sent_directly = [], set(), 0
    async with pumping(outbound_frames=4) as (hub, client, pump):
        pump.attach(SESSION)
        if replays:
            pump.replay(SESSION, "agent", start, None)
        else:
            pump.follow(SESSION, "agent", start)
            hub.grown_elsewhere({SESSION: 4})
        for step in steps:
            match step:
                case ("commit", count, origin):
                    growth = log.add(count, origin=origin)
                    if origin == "another":
                        continue  # of another process: only the log has it
                    offers.append(growth)
                    own.update(logged.seq for logged in growth.events if origin == MINE)
                case ("offer",) if offers:
                    hub.grown([offers.pop(0)])
                case ("lag",):
                    hub.grown_elsewhere({SESSION: len(log.frames[SESSION])})
                case ("poll",):
                    pump.heartbeat('{"event": "system.heartbeat"}', {SESSION: len(log.frames[SESSION])})
                case ("stop",):
                    client.reading.clear()
                case ("read",):
                    client.reading.set()
                case ("direct",):
                    pump.direct(SystemNotice(metadata={"action": "x"}))
                    sent_directly += 1
                case ("turns", turns):
                    for _ in range(turns):
                        await asyncio.sleep(0)
        client.reading.set()
        for growth in offers:
            hub.grown([growth])
        await settle(pump, client)
        pump.heartbeat('{"event": "system.heartbeat"}', {SESSION: len(log.frames[SESSION])})
        await settle(pump, client)
        assert pump._buffered == 0
    seqs = client.seqs()
    assert seqs == sorted(set(seqs)), "an event came twice or out of order"
    missing = set(range(start + 1, len(log.frames[SESSION]) + 1)) - set(seqs)
    assert missing <= own, "an event is missing"
    notices = [frame for frame in client.notices if frame["event"] == "system.notice"]
    assert len(notices) == sent_directly + replays


async def test_a_connection_follows_only_so_many_sessions():
    pump = Pump(MINE, Hub(), Client().send, Config(max_attached=2))
    ids = [uuid.uuid4() for _ in range(3)]
    for session_id in (*ids[:2], *ids[:2]):
        pump.attach(session_id)
    with pytest.raises(ProtocolError) as refused:
        pump.attach(ids[2])
    assert (refused.value.code, refused.value.data) == ("too_many_sessions", {"limit": 2})
    assert pump.attached == tuple(ids[:2])
    pump.detach(ids[0])
    pump.attach(ids[2])
    assert pump.attached == (ids[1], ids[2])
    pump.close()
