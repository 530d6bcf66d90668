"""What one transaction of the journal collects before it writes."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from myagent.protocol.server_events import SessionEnd
from sessions_app.journal.batch import Batch, Refused
from sessions_app.models import Event, Message, Run, Session
from tests.support.factories import commit, database, deltas, message, new_session, partial, running

pytestmark = database


@pytest.fixture
def session():
    return new_session()


@pytest.fixture
def batch(session):
    with transaction.atomic():
        batch = Batch()
        batch.lock_sessions([session])
        yield batch


def end():
    return SessionEnd(content="closed")


def test_an_unknown_session_is_refused(batch):
    with pytest.raises(Refused, match="session_not_found"):
        batch.session(uuid.uuid4())


def test_numbers_follow_the_log_and_nothing_is_written_before_the_flush(batch, session):
    locked = batch.session(session)
    batch.log(locked, end())
    batch.log(locked, end(), origin="c")
    assert Event.objects.count() == 1
    batch.flush()
    assert list(Event.objects.order_by("seq").values_list("seq", flat=True)) == [1, 2, 3]
    assert Session.objects.get().last_seq == 3
    (growth,) = batch.growths.values()
    assert (growth.prev_seq, [(event.seq, event.origin) for event in growth.events]) == (1, [(2, None), (3, "c")])


def test_after_a_flush_the_same_batch_goes_on(batch, session):
    locked = batch.session(session)
    for _ in range(3):
        batch.log(locked, end())
        batch.flush()
    batch.flush()
    assert Event.objects.count() == 4
    assert [event.seq for event in batch.growths[session].events] == [2, 3, 4]


def test_later_changes_of_a_row_win_whether_it_is_new_or_not(batch, session):
    pk = uuid.uuid4()
    batch.insert(Run, id=pk, session_id=session, status="queued", queued_at=batch.now)
    batch.change(Run, pk, status="running")
    batch.change(Session, session, title="one")
    batch.change(Session, session, title="two", metadata={"a": None})
    batch.flush()
    batch.change(Run, pk, steps=3)
    batch.flush()
    run = Run.objects.get()
    assert (run.pk, run.status, run.steps, run.owner) == (pk, "running", 3, "")
    row = Session.objects.get()
    assert (row.title, row.metadata) == ("two", {"a": None})


def test_positions_are_taken_once(batch, session):
    locked = batch.session(session)
    assert [batch.take_positions(locked), batch.take_positions(locked, 3), batch.take_positions(locked)] == [1, 2, 5]
    batch.flush()
    assert Session.objects.get().last_position == 5


def test_a_run_belongs_to_who_holds_its_epoch(session):
    ref = running(session)
    with transaction.atomic():
        batch = Batch()
        batch.lock_runs([ref.run_id], [])
        assert batch.owned_run(ref.run_id, 1).session_id == session
        for run_id, epoch in ((ref.run_id, 0), (ref.run_id, 2), (uuid.uuid4(), 1)):
            with pytest.raises(Refused, match="stale_run"):
                batch.owned_run(run_id, epoch)


def test_values_read_back_as_they_were_written(batch, session):
    run_id, moment = uuid.uuid4(), timezone.now()
    batch.insert(Run, id=run_id, session_id=session, status=Run.Status.QUEUED, queued_at=moment)
    said = {"role": "user", "content": "é\u2028%s", "parts": [{"a": None}], "created_at": moment}
    batch.insert(Message, session_id=session, run_id=run_id, **said)
    batch.flush()
    row = Message.objects.get()
    assert (row.content, row.parts, row.client_id, row.position) == ("é\u2028%s", [{"a": None}], None, None)
    assert (row.created_at, Run.objects.get().queued_at) == (moment, moment)
    second = Batch()
    second.lock_runs([], [session])
    (locked,) = second.unfinished(session)
    assert (locked.id, locked.session_id, locked.queued_at) == (run_id, session, moment)


def test_a_batch_knows_whether_it_is_stored(batch, session):
    assert not batch.is_stored()
    batch.log(batch.session(session), end())
    assert not batch.is_stored()
    batch.flush()
    assert batch.is_stored()
    another = Batch()
    another.lock_sessions([session])
    another.session(session).last_seq -= 1  # as if this one had been numbered at the same time, and lost
    another.log(another.session(session), SessionEnd(content="another"))
    assert not another.is_stored()


def test_the_time_is_the_databases(batch):
    assert abs(batch.database_now - timezone.now()) < timedelta(minutes=5)
    assert batch.database_now is batch.database_now


def test_many_entries_cost_few_statements():
    sessions = [new_session() for _ in range(20)]
    refs = [running(session) for session in sessions]
    entries = [deltas(ref, partial(ref, "x", index)) for index in range(10) for ref in refs]
    with CaptureQueriesContext(connection) as few:
        commit(*entries)
    assert Event.objects.count() == 20 * 12
    # Locks, one insert and one update of many rows each, and the savepoint around them.
    assert len(few) < 12 + 250 * (connection.vendor == "postgresql")


def test_messages_of_many_sessions_fit_into_one_batch():
    sessions = [new_session() for _ in range(50)]
    outcomes = commit(*(message(session, message_id="same") for session in sessions))
    assert {posted.position for posted in outcomes} == {0}
    assert Run.objects.active().count() == 50
