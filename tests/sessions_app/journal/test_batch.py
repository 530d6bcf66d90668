"""What one transaction of the journal collects before it writes."""

import itertools
import re
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import HostedAgent
from myagent.protocol.server_events import SessionEnd
from sessions_app.journal.batch import Batch
from sessions_app.journal.commit import Committed, Outcome, read_outcome
from sessions_app.journal.entry import Entry
from sessions_app.journal.locks import Locks, Needs
from sessions_app.journal.refusal import Refused
from sessions_app.models import Event, Message, Run, Session
from tests.support.entries import commit, database, deltas, message, new_session, partial, running

pytestmark = database


@pytest.fixture
def batch(session):
    with transaction.atomic():
        yield Batch(Needs(sessions=[session]))


def end():
    return SessionEnd(content="closed")


def test_an_unknown_session_is_refused(batch):
    with pytest.raises(Refused, match="session_not_found"):
        batch.locks.session(uuid.uuid4())


def test_numbers_follow_the_log_and_nothing_is_written_before_the_flush(batch, session):
    locked = batch.locks.session(session)
    batch.log.append(locked, end())
    batch.log.append(locked, end(), origin="c")
    assert Event.objects.count() == 1
    batch.writes.flush()
    assert list(Event.objects.order_by("seq").values_list("seq", flat=True)) == [1, 2, 3]
    assert Session.objects.get().last_seq == 3
    (growth,) = batch.log.growths.values()
    assert (growth.prev_seq, [(event.seq, event.origin) for event in growth.events]) == (1, [(2, None), (3, "c")])


def test_after_a_flush_the_same_batch_is_used_again(batch, session):
    locked = batch.locks.session(session)
    for _ in range(3):
        batch.log.append(locked, end())
        batch.writes.flush()
    batch.writes.flush()
    assert Event.objects.count() == 4
    assert [event.seq for event in batch.log.growths[session].events] == [2, 3, 4]


def test_later_changes_of_a_row_win_whether_it_is_new_or_not(batch, session):
    pk = uuid.uuid4()
    batch.writes.insert(Run, id=pk, session_id=session, status="queued", queued_at=batch.now)
    batch.writes.change(Run, pk, status="running")
    batch.writes.change(Session, session, title="one")
    batch.writes.change(Session, session, title="two", metadata={"a": None})
    batch.writes.flush()
    batch.writes.change(Run, pk, steps=3)
    batch.writes.flush()
    run = Run.objects.get()
    assert (run.pk, run.status, run.steps, run.owner) == (pk, "running", 3, "")
    row = Session.objects.get()
    assert (row.title, row.metadata) == ("two", {"a": None})


def test_positions_are_taken_once(batch, session):
    locked = batch.locks.session(session)
    assert [batch.take_positions(locked), batch.take_positions(locked, 3), batch.take_positions(locked)] == [1, 2, 5]
    batch.writes.flush()
    assert Session.objects.get().last_position == 5


def test_a_run_belongs_to_who_holds_its_epoch(session):
    ref = running(session)
    with transaction.atomic():
        locks = Locks(Needs(runs=[ref.run_id]))
        assert locks.owned_run(ref.run_id, 1).session_id == session
        for run_id, epoch in ((ref.run_id, 0), (ref.run_id, 2), (uuid.uuid4(), 1)):
            with pytest.raises(Refused, match="stale_run"):
                locks.owned_run(run_id, epoch)


def test_values_read_back_as_they_were_written(batch, session):
    run_id, moment = uuid.uuid4(), timezone.now()
    batch.writes.insert(Run, id=run_id, session_id=session, status=Run.Status.QUEUED, queued_at=moment)
    said = {"role": "user", "content": "é\u2028%s", "parts": [{"a": None}], "created_at": moment}
    batch.writes.insert(Message, session_id=session, run_id=run_id, **said)
    batch.writes.flush()
    row = Message.objects.get()
    assert (row.content, row.parts, row.client_id, row.position) == ("é\u2028%s", [{"a": None}], None, None)
    assert (row.created_at, Run.objects.get().queued_at) == (moment, moment)
    (locked,) = Locks(Needs(unfinished_of=[session])).unfinished(session)
    assert (locked.id, locked.session_id, locked.queued_at) == (run_id, session, moment)


def outcome(batch):
    return read_outcome(Committed.of(batch, []))


def test_the_outcome_of_a_commit_is_read_from_its_events(batch, session):
    assert outcome(batch) is Outcome.LOST
    batch.log.append(batch.locks.session(session), end())
    assert outcome(batch) is Outcome.LOST
    batch.writes.flush()
    assert outcome(batch) is Outcome.STORED
    another = Batch(Needs(sessions=[session]))
    another.locks.session(session).last_seq -= 1  # as if this one had been numbered at the same time, and lost
    another.log.append(another.locks.session(session), SessionEnd(content="another"))
    assert outcome(another) is Outcome.LOST


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsAll(Entry):
    """Needs every kind of lock."""

    needs_unfinished: ClassVar[bool] = True
    run_id: uuid.UUID
    client_id = "m"
    paced_user: int
    limited_agent: str

    def apply(self, batch):
        assert batch.locks.session(self.session_id)
        assert batch.locks.runs[self.run_id].is_active
        assert batch.locks.paces[self.paced_user]
        assert not batch.locks.has_place(self.limited_agent, 1)
        return batch.locks.client_ids[self.session_id, self.client_id]


def test_locks_are_taken_in_one_order_whatever_the_order_of_the_entries():
    users = [User.objects.create_user(name) for name in ("ann", "bob")]
    refs = []
    for agent in ("b", "a"):
        HostedAgent.objects.create(name=agent)
        refs.append(running(new_session(agent=agent), message_id="m"))
    entries = [
        NeedsAll(session_id=ref.session_id, run_id=ref.run_id, paced_user=user.pk, limited_agent=agent)
        for ref, user, agent in zip(refs, reversed(users), ("b", "a"), strict=True)
    ]
    for order in (entries, entries[::-1]):
        with CaptureQueriesContext(connection) as queries:
            assert set(commit(*order)) == {ref.run_id for ref in refs}
        read = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
        tables = [re.search(r'FROM "(\w+)"', sql).group(1) for sql in read]
        assert [table for table, _ in itertools.groupby(tables)] == [
            "sessions_app_session",
            "sessions_app_run",
            "agents_pace",
            "agents_hostedagent",
            "sessions_app_run",  # the count of those that are running
            "sessions_app_message",
        ]
        locking = read[:-2]
        assert all("ORDER BY" in sql for sql in locking)
        if connection.features.has_select_for_update:
            assert [" FOR " in sql for sql in read] == [True] * len(locking) + [False, False]


def test_the_end_of_a_run_is_written_before_the_beginning_of_the_next(batch, session):
    """Whatever else was collected before, and in one flush: the database allows one active run per session."""
    first, second, third = (uuid.uuid4() for _ in range(3))
    for run_id, status in ((first, "running"), (second, "queued")):
        batch.writes.insert(Run, id=run_id, session_id=session, status=status, queued_at=batch.now)
    batch.writes.flush()
    batch.writes.change(Run, second, status="running")
    batch.writes.change(Run, first, status="succeeded", finished_at=batch.now)
    batch.writes.flush()
    batch.writes.insert(Run, id=third, session_id=session, status="waiting", queued_at=batch.now)
    batch.writes.change(Run, second, status="cancelled", finished_at=batch.now)
    batch.writes.flush()
    assert dict(Run.objects.values_list("pk", "status")) == {first: "succeeded", second: "cancelled", third: "waiting"}


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
