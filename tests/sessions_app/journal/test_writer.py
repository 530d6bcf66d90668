"""The writer thread: what it batches, in which order, and what it does when the database refuses."""

import asyncio
import logging
import select
import threading
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson
import pytest
from django.db import InternalError, OperationalError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.database.threads import in_thread
from sessions_app import queries
from sessions_app.journal import commit as committing
from sessions_app.journal import commit_gap, outage
from sessions_app.journal import writer as module
from sessions_app.journal.entries.ownership import ClaimNext
from sessions_app.journal.entries.sessions import CancelRuns, CreateSession, DeleteSession
from sessions_app.journal.entry import Entry
from sessions_app.journal.queued_entry import NotStored, QueuedEntry
from sessions_app.journal.refusal import Refused
from sessions_app.journal.writer import Journal, JournalClosed
from sessions_app.models import Run, Session
from sessions_app.upkeep import readiness
from tests.support import entries as e

pytestmark = e.threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch(Entry):
    """Writes nothing, or fails; `seen` gets its name when it is applied."""

    name: str = ""
    error: Exception | None = None
    seen: list[str] = field(default_factory=list)
    begun: threading.Event | None = None
    gate: threading.Event | None = None

    def apply(self, batch: Any) -> str:
        if self.begun is not None and self.gate is not None:
            self.begun.set()
            assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        self.seen.append(self.name)
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientTouch(Touch):
    may_wait: ClassVar[bool] = True


NOWHERE = uuid.UUID(int=0)


def touch(name: str = "x", kind: type[Touch] = Touch, **options: Any) -> Touch:
    return kind(session_id=NOWHERE, name=name, **options)


@pytest.fixture
def commits():
    """What `on_commit` was called with."""
    return []


@pytest.fixture
async def journal(commits):
    journal = Journal(asyncio.get_running_loop(), commits.append)
    journal.start()
    yield journal
    await journal.stop()


@pytest.fixture
def batches(monkeypatch):
    """The names in each batch that was written."""
    written: list[list[str]] = []
    write = committing._write

    def noting(entries, *known):
        written.append([getattr(entry, "name", type(entry).__name__) for entry in entries])
        return write(entries, *known)

    monkeypatch.setattr(committing, "_write", noting)
    return written


@contextmanager
def held(journal, futures):
    """Lets the thread stand still at one entry, so that the others pile up behind it."""
    begun, gate = threading.Event(), threading.Event()
    futures.append(journal.offer(touch("held", begun=begun, gate=gate)))
    try:
        assert begun.wait(10)
        yield
    finally:
        gate.set()


async def test_an_outcome_comes_after_the_announcement_of_its_commit(journal, commits):
    session = await in_thread(e.new_session)
    posted = await journal.record(e.message(session))
    assert [growth.events[-1].seq for growth in commits[-1].growths] == [2]
    assert await in_thread(lambda: Run.objects.get().pk) == posted.run_id


async def test_a_refusal_is_raised_to_its_caller_alone(journal):
    session = await in_thread(e.new_session)
    good, bad = await journal.submit(e.message(session)), await journal.submit(e.message(uuid.uuid4()))
    with pytest.raises(Refused, match="session_not_found"):
        await bad
    assert (await good).position == 0


async def test_what_piles_up_is_one_batch_in_order(journal, batches):
    futures: list[Any] = []
    with held(journal, futures):
        for number in range(20):
            futures.append(await journal.submit(touch(str(number))))
    assert await asyncio.gather(*futures) == ["held", *map(str, range(20))]
    assert [name for batch in batches for name in batch] == ["held", *map(str, range(20))]
    assert len(batches) == 2


async def test_a_batch_has_a_limit(journal, batches, monkeypatch):
    monkeypatch.setattr(module, "MAX_BATCH", 8)
    futures: list[Any] = []
    with held(journal, futures):
        futures += [await journal.submit(touch(str(number))) for number in range(20)]
    await asyncio.gather(*futures)
    assert [len(batch) for batch in batches[-3:]] == [8, 8, 4]


async def test_deltas_wait_for_others_of_their_kind(journal, batches, monkeypatch):
    monkeypatch.setattr(commit_gap, "SHORTEST_SECONDS", 60)
    monkeypatch.setattr(commit_gap, "LONGEST_SECONDS", 60)
    await journal.record(touch("before"))
    waiting = [await journal.submit(touch(str(number), PatientTouch)) for number in range(3)]
    assert await journal.record(touch("now")) == "now"
    assert await asyncio.gather(*waiting) == ["0", "1", "2"]
    assert batches[-1] == ["0", "1", "2", "now"]


async def test_deltas_alone_go_when_their_time_has_come(journal, monkeypatch):
    monkeypatch.setattr(commit_gap, "LONGEST_SECONDS", 0.01)
    await journal.record(touch("before"))
    assert await journal.record(touch("delta", PatientTouch)) == "delta"


async def test_one_bad_entry_fails_alone(journal, caplog):
    session = await in_thread(e.new_session)
    futures: list[Any] = []
    with held(journal, futures):
        first = await journal.submit(e.message(session, "one"))
        bad = await journal.submit(touch("bad", error=ValueError("bad entry")))
        second = await journal.submit(e.message(session, "two"))
    with pytest.raises(ValueError, match="bad entry"):
        await bad
    assert [(await first).position, (await second).position] == [0, 1]
    assert "one by one" in caplog.text
    assert len(await in_thread(e.events, session)) == 3


async def test_a_session_that_exists_already_fails_alone(journal):
    session = await in_thread(e.new_session)
    twice = CreateSession(session_id=session, agent="tester", user_id=None, connection_id="c")
    with pytest.raises(Exception, match=r"(?i)unique"):
        await journal.record(twice)
    assert (await journal.record(e.message(session))).position == 0


# --- the database does not take a commit ---


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(outage, "FIRST_BACK_OFF_SECONDS", 0.001)
    monkeypatch.setattr(outage, "LONGEST_BACK_OFF_SECONDS", 0.004)
    monkeypatch.setattr(outage, "PATIENCE_SECONDS", 0.002)
    monkeypatch.setattr(module, "GIVE_UP_SECONDS", 0.008)


class Troubles:
    """Stands for `django.db.transaction`; commits fail before they write anything, or after they took effect."""

    def __init__(self) -> None:
        self.before = self.after = 0
        self.meanwhile = lambda: None
        """What another process does before the journal can look whether a commit took effect."""
        self.met = threading.Event()

    @contextmanager
    def atomic(self, **options):
        if self.before:
            self.before -= 1
            self.met.set()
            raise OperationalError("database is locked")
        with transaction.atomic(**options):
            yield
        if self.after:
            self.after -= 1
            self.meanwhile()
            self.met.set()
            raise OperationalError("server closed the connection unexpectedly")


@pytest.fixture
def troubles(monkeypatch, impatient):
    troubles = Troubles()
    monkeypatch.setattr(committing, "transaction", troubles)
    return troubles


async def test_a_locked_database_is_asked_again(journal, troubles, caplog):
    session = await in_thread(e.new_session)
    troubles.before = 1
    assert (await journal.record(e.message(session))).position == 0
    assert len(await in_thread(e.events, session)) == 2
    assert "database is locked" in caplog.text
    assert journal.is_healthy


async def test_a_commit_that_only_seemed_to_fail_is_not_written_twice(journal, troubles, commits):
    session = await in_thread(e.new_session)
    troubles.after = 1
    posted = await journal.record(e.message(session))
    assert posted.begun is not None
    assert len(await in_thread(e.events, session)) == 2
    assert [growth.events[-1].seq for growth in commits[-1].growths] == [2]


async def test_a_message_that_steers_is_stored_once_when_its_commit_only_seemed_to_fail(journal, troubles):
    session = await in_thread(e.new_session)
    ref = await in_thread(e.running, session)
    troubles.after = 1
    posted = await journal.record(e.message(session, "rather this", when_busy="steer"))
    assert posted.steers and posted.run_id == ref.run_id
    assert await in_thread(lambda: [run.steers for run in Run.objects.order_by("queued_at")]) == [False, True]


async def test_a_claim_whose_commit_only_seemed_to_fail_is_still_ours(journal, troubles):
    session = await in_thread(e.new_session)
    await in_thread(lambda: e.post(session, lease=None))
    troubles.after = 1
    ref = await journal.record(ClaimNext(session_id=session, lease=e.LEASE))
    assert ref is not None
    assert ref.epoch == await in_thread(lambda: Run.objects.get().epoch) == 1


async def test_what_others_do_to_it_meanwhile_does_not_hide_a_commit(journal, troubles):
    """Neither that one of its sessions is deleted, nor that the run that it began is ended."""
    streaming, cancelled, deleted = await in_thread(lambda: [e.new_session() for _ in range(3)])
    ref = await in_thread(e.running, streaming)
    troubles.after = 1
    troubles.meanwhile = lambda: committing.commit(
        [CancelRuns(session_id=cancelled), DeleteSession(session_id=deleted)]
    )
    entries = [e.deltas(ref, e.partial(ref, "once")), e.message(cancelled), e.message(deleted)]
    loop = asyncio.get_running_loop()
    batch = [QueuedEntry(entry, loop.create_future()) for entry in entries]
    _, posted, gone = (await in_thread(journal._commit_patiently, batch)).results
    assert [frame["content"] for frame in (await in_thread(e.events, streaming))[2:]] == ["once"]
    frames = await in_thread(e.events, cancelled)
    assert [frame["event"] for frame in frames[1:]] == ["user.message", "agent.interrupted"]
    assert await in_thread(lambda: set(Run.objects.values_list("pk", flat=True))) == {ref.run_id, posted.run_id}
    assert gone.begun is not None, "it was stored, and is gone now"


async def test_a_deletion_that_only_seemed_to_fail_is_no_refusal(journal, troubles):
    session = await in_thread(e.new_session)
    troubles.after = 1
    assert await journal.record(DeleteSession(session_id=session)) == []


async def test_while_the_database_is_away_the_journal_is_not_healthy(journal, troubles, caplog):
    healthy: list[bool] = []
    caplog.set_level(logging.WARNING)
    troubles.before = 10
    waiting = await journal.submit(touch("late"))
    while not waiting.done():
        healthy.append(journal.is_healthy)
        await asyncio.sleep(0)
    assert await waiting == "late"
    assert False in healthy
    assert journal.is_healthy
    assert "answers again" in caplog.text


async def test_a_journal_that_stops_gives_a_database_that_is_away_up_for_all_at_once(commits, troubles, batches):
    journal = Journal(asyncio.get_running_loop(), commits.append)
    journal.start()
    troubles.before = 10**6
    futures = [await journal.submit(touch(str(number))) for number in range(50)]
    await in_thread(troubles.met.wait, 10)
    troubles.before = 10**6
    await journal.stop()
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {OperationalError}
    # A few tries for each batch, not for each entry.
    assert 10**6 - troubles.before < 30


# --- the database hangs ---


@pytest.fixture
def hurried(monkeypatch):
    """Silence is noticed at once."""
    monkeypatch.setattr(outage, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)


async def test_those_who_cannot_wait_take_back_what_is_not_stored(journal, hurried, caplog):
    futures: list[Any] = []
    seen: list[str] = []
    with held(journal, futures):
        first = asyncio.create_task(journal.record_promptly(touch("queued", seen=seen)))
        with pytest.raises(NotStored) as told:
            await first
        assert told.value.is_certain
        assert not journal.is_healthy
        with pytest.raises(NotStored):
            await journal.record_promptly(touch("at once", seen=seen))
    assert await journal.record(touch("later", seen=seen)) == "later"
    assert seen == ["later"]
    assert await futures[0] == "held"
    assert journal.is_healthy
    assert caplog.text.count("❌ The database is unavailable") == 1
    assert "answers again" in caplog.text


async def test_what_hangs_in_the_database_is_undone_when_nobody_waits_for_it(journal, hurried):
    session = await in_thread(e.new_session)
    begun, gate = threading.Event(), threading.Event()
    seen: list[str] = []
    # In one batch: it hangs in the second entry, when the first is applied already.
    with held(journal, []):
        taken_back = asyncio.create_task(journal.record_promptly(e.message(session)))
        await asyncio.sleep(0)
        hanging = await journal.submit(touch("stays", seen=seen, begun=begun, gate=gate))
    with suppress(NotStored):
        await asyncio.wait({taken_back}, timeout=0)
    assert await in_thread(begun.wait, 10)
    with pytest.raises(NotStored) as told:
        await taken_back
    assert told.value.is_certain
    gate.set()
    assert await hanging == "stays"
    assert len(await in_thread(e.events, session)) == 1, "the message is not stored"


async def test_a_commit_in_doubt_may_be_stored(journal, troubles, hurried):
    session = await in_thread(e.new_session)
    results: list[Any] = []
    troubles.after = 1
    troubles.meanwhile = lambda: setattr(troubles, "before", 100)
    with pytest.raises(NotStored) as told:
        await journal.record_promptly(e.message(session), then=results.append)
    assert not told.value.is_certain
    troubles.before = 0
    while not results:
        await asyncio.sleep(0.01)
    assert results[0].begun is not None, "what follows a commit does not depend on who waits"
    assert len(await in_thread(e.events, session)) == 2


async def test_a_commit_that_takes_effect_late_is_not_written_twice(journal, troubles, monkeypatch):
    """It is looked for too early, and then in the way of what is written again."""
    read, looked = committing.read_outcome, []

    def too_early(committed):
        looked.append(committed)
        return committing.Outcome.LOST if len(looked) == 1 else read(committed)

    monkeypatch.setattr(committing, "read_outcome", too_early)
    troubles.after = 1
    created = CreateSession(session_id=(session := uuid.uuid4()), agent="tester", user_id=None, connection_id="c")
    await journal.record(created)
    assert len(looked) == 2
    assert len(await in_thread(e.events, session)) == 1


async def test_a_journal_that_hangs_does_not_hold_up_the_end(commits, hurried, monkeypatch, caplog):
    monkeypatch.setattr(module, "HOPELESS_SECONDS", 0.05)
    journal = Journal(asyncio.get_running_loop(), commits.append)
    journal.start()
    with held(journal, futures := []):
        while journal.is_healthy:
            await asyncio.sleep(0.01)
        await asyncio.wait_for(journal.stop(), 5)
        assert "1 entries are not stored" in caplog.text
    await futures[0]


async def test_a_server_is_ready_while_it_can_store(journal, troubles, monkeypatch):
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 3600)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    ready = readiness.Readiness(journal)
    assert await ready.is_ready()
    troubles.before = 10**6
    assert await ready.is_ready(), "it was asked a moment ago"
    ready._probed_at -= 7200
    assert not await ready.is_ready()
    assert not journal.is_healthy
    assert not await ready.is_ready()
    troubles.before = 0
    while not journal.is_healthy:
        await asyncio.sleep(0.01)
    ready._probed_at -= 7200
    assert await ready.is_ready()


# --- what PostgreSQL calls an internal error ---

POSTGRESQL = pytest.mark.skipif(connection.vendor != "postgresql", reason="its errors")


def freeze() -> None:
    """Stand still in a transaction until the server has had enough of it."""
    execute("SET LOCAL idle_in_transaction_session_timeout = '1ms'")
    assert select.select([connection.connection.fileno()], [], [], 10)[0]


def fail_over() -> None:
    """Be the server that takes no writes any more."""
    execute("SET TRANSACTION READ ONLY")


def damage() -> None:
    execute("DO $$ BEGIN RAISE EXCEPTION 'index is damaged' USING ERRCODE = 'XX002'; END $$")


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubled(Touch):
    """Meets `trouble` when it is applied for the first time."""

    trouble: Any

    def apply(self, batch: Any) -> str:
        self.seen.append(self.name)
        if len(self.seen) == 1:
            self.trouble()
        execute("UPDATE sessions_app_session SET title = title")
        return self.name


@POSTGRESQL
@pytest.mark.parametrize("trouble", [freeze, fail_over])
async def test_what_passes_is_waited_for(journal, trouble):
    assert await journal.record(touch("late", Troubled, trouble=trouble)) == "late"
    assert journal.is_healthy


@POSTGRESQL
async def test_damage_is_not_waited_for(journal):
    with pytest.raises(InternalError, match="index is damaged"):
        await journal.record(touch(kind=Troubled, trouble=damage))


async def test_a_database_that_answers_with_an_error_is_there(journal, troubles, caplog):
    """Also when it had been away: requests are refused meanwhile, and nobody would come to find out."""
    troubles.before = 10
    with pytest.raises(ValueError, match="bad entry"):
        await journal.record(touch(error=ValueError("bad entry")))
    assert "new messages are refused" in caplog.text
    assert journal.is_healthy


async def test_what_may_be_stored_already_is_not_written_again(troubles, monkeypatch):
    """A COMMIT broke off, and the database cannot say whether it took effect: its entries are not tried one by one."""
    session = await in_thread(e.new_session)
    ref = await in_thread(e.running, session)
    monkeypatch.setattr(committing, "read_outcome", lambda committed: 1 / 0)
    troubles.after = 1
    journal = Journal(asyncio.get_running_loop(), lambda committed: None)
    entries = [e.deltas(ref, e.partial(ref, "once")), e.deltas(ref, e.partial(ref, "too", step_id="other"))]
    futures = [await journal.submit(entry) for entry in entries]
    journal.start()
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    await journal.stop()
    assert [type(outcome) for outcome in outcomes] == [committing.OutcomeUnknown] * 2
    assert [frame["content"] for frame in (await in_thread(e.events, session))[2:]] == ["once", "too"]


# --- room, and the end ---


async def test_a_full_queue_makes_those_who_submit_wait(journal, monkeypatch):
    monkeypatch.setattr(module, "QUEUE_LENGTH", 3)
    futures: list[Any] = []
    with held(journal, futures):
        futures += [await journal.submit(touch("1")), await journal.submit(touch("2"))]
        late = asyncio.create_task(journal.submit(touch("3")))
        await asyncio.sleep(0)
        assert not late.done()
    assert await (await late) == "3"
    assert await asyncio.gather(*futures) == ["held", "1", "2"]


async def test_stopping_writes_all_that_is_queued(commits):
    journal = Journal(asyncio.get_running_loop(), commits.append)
    journal.start()
    session = await in_thread(e.new_session)
    ref = (await journal.record(e.message(session))).begun
    futures = [await journal.submit(e.deltas(ref, e.partial(ref, str(index), index))) for index in range(50)]
    await journal.stop()
    await asyncio.gather(*futures)
    assert len(await in_thread(e.events, session)) == 52


async def test_a_stopped_journal_takes_nothing(commits):
    journal = Journal(asyncio.get_running_loop(), commits.append)
    journal.start()
    await journal.stop()
    with pytest.raises(JournalClosed):
        await journal.record(touch())
    with pytest.raises(JournalClosed):
        journal.offer(touch())


async def test_those_who_wait_for_room_are_told_of_the_end(journal, monkeypatch):
    monkeypatch.setattr(module, "QUEUE_LENGTH", 1)
    futures: list[Any] = []
    with held(journal, futures):
        late = asyncio.create_task(journal.record(touch()))
        await asyncio.sleep(0)
        stopping = asyncio.create_task(journal.stop())
        await asyncio.sleep(0)
    await stopping
    with pytest.raises(JournalClosed):
        await late


async def test_a_caller_that_gave_up_does_no_harm(journal):
    futures: list[Any] = []
    with held(journal, futures):
        given_up = asyncio.create_task(journal.record(touch("1")))
        while journal._outstanding < 2:
            await asyncio.sleep(0)
        given_up.cancel()
        with suppress(asyncio.CancelledError):
            await given_up
    assert await journal.record(touch("2")) == "2"


# --- any order ---

ACTION = st.tuples(st.integers(0, 2), st.sampled_from(["message", "delta", "think", "answer", "cancel", "claim"]))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(ACTION, max_size=40))
def test_whatever_is_recorded_every_number_is_announced_once_and_stored(transactional_db, actions):
    commits: list[Any] = []
    sessions = [e.new_session() for _ in range(3)]
    asyncio.run(_record(actions, sessions, commits))
    for session in sessions:
        announced = [growth for commit in commits for growth in commit.growths if growth.session_id == session]
        ends = [1, *(growth.events[-1].seq for growth in announced)]
        assert [growth.prev_seq for growth in announced] == ends[:-1]
        frames = [orjson.loads(logged.frame) for growth in announced for logged in growth.events]
        assert frames == e.events(session)[1:]
        assert [logged.seq for growth in announced for logged in growth.events] == [frame["seq"] for frame in frames]
        assert Session.objects.get(pk=session).last_seq == len(frames) + 1
        assert Run.objects.filter(session=session).active().count() <= 1
        queries.conversation(session)


async def _record(actions, sessions, commits):
    journal = Journal(asyncio.get_running_loop(), commits.append)
    journal.start()
    refs: dict[uuid.UUID, Any] = {}
    futures = []
    for which, action in actions:
        session = sessions[which]
        ref = refs.get(session)
        if action in ("message", "claim"):
            entry = e.message(session) if action == "message" else ClaimNext(session_id=session, lease=e.LEASE)
            with suppress(Refused):
                begun = await journal.record(entry)
                refs[session] = getattr(begun, "begun", begun) or ref
        elif action == "cancel":
            futures.append(await journal.submit(CancelRuns(session_id=session)))
        elif ref is not None:
            made = {"delta": lambda r: e.deltas(r, e.partial(r, "x")), "think": e.thinking, "answer": e.answer}[action](
                ref
            )
            futures.append(await journal.submit(made))
    await journal.stop()
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes if isinstance(outcome, Exception)} <= {Refused}


def test_commit_is_plain_and_says_how_the_logs_grew():
    session = e.new_session()
    ref = e.running(session)
    committed = committing.commit([e.thinking(ref), e.answer(ref)])
    (growth,) = committed.growths
    assert (growth.session_id, growth.prev_seq) == (session, 2)
    assert [logged.seq for logged in growth.events] == [3, 4]
    assert {logged.origin for logged in growth.events} == {None}
