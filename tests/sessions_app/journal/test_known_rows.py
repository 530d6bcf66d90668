"""Rows that the journal wrote itself are not read again, unless anybody else wrote meanwhile."""

from contextlib import ExitStack

import pytest
from django.db import connection

from sessions_app.journal import outage
from sessions_app.journal.entries.ownership import ReleaseRuns
from sessions_app.journal.entries.sessions import DeleteSession
from sessions_app.journal.entry import RunRef
from sessions_app.journal.refusal import Refused
from sessions_app.models import Run, Session
from tests.support import entries as e
from tests.support.writers import Died, Trouble, Worker

pytestmark = e.threads
LOCKED = ('FROM "sessions_app_session" WHERE', 'FROM "sessions_app_run" WHERE')


class Writer(Worker):
    """Commits, and notes which of the tables were read to lock rows."""

    def write(self, *entries, trouble=None):
        read: list[str] = []

        def noting(execute, sql, *rest):
            read.extend(table for table in LOCKED if table in sql and "ORDER BY" in sql)
            return execute(sql, *rest)

        self.call(lambda: connection.execute_wrappers.append(noting))
        try:
            committed = self.commit(entries, trouble).result()
        finally:
            self.call(lambda: connection.execute_wrappers.remove(noting))
        assert not [result for result in committed.results if isinstance(result, Refused)]
        return committed, len(set(read))

    def reads(self, ref: RunRef) -> int:
        """How many tables it reads to store one more piece of text."""
        return self.write(e.deltas(ref, e.partial(ref, "x")))[1]


@pytest.fixture
def writers(transactional_db, monkeypatch):
    monkeypatch.setattr(outage, "FIRST_BACK_OFF_SECONDS", 0.001)
    with ExitStack() as stack:
        if connection.vendor != "sqlite":
            pytest.skip("PostgreSQL locks rows by reading them")
        yield [stack.enter_context(Writer()) for _ in range(2)]


@pytest.fixture
def ref(writers):
    session = writers[0].call(e.new_session)
    committed, _ = writers[0].write(e.message(session))
    return committed.results[0].begun


def test_rows_are_read_again_only_when_others_wrote(writers, ref):
    ours, other = writers
    assert ours.reads(ref) == 0
    other.call(lambda: Session.objects.filter(pk=ref.session_id).update(title="by the ORM"))
    assert ours.reads(ref) == 2
    assert ours.reads(ref) == 0
    other.write(e.deltas(ref, e.partial(ref, "x")))
    assert ours.reads(ref) == 2, "another process's journal"
    assert ours.write(e.answer(ref))[1] == 1, "which runs are unfinished was not asked since"
    assert ours.write(e.message(ref.session_id))[1] == 0


def test_what_was_undone_or_written_past_the_locks_is_not_known(writers, ref):
    ours, other = writers
    with pytest.raises(Died):
        ours.write(e.deltas(ref, e.partial(ref, "x")), trouble=Trouble("dies", 3))
    assert ours.reads(ref) == 2
    for at in (3, "before COMMIT", "after COMMIT"):
        ours.write(e.deltas(ref, e.partial(ref, "x")), trouble=Trouble("breaks", at))
        assert ours.reads(ref) in (0, 2)
    owner = ours.call(lambda: Run.objects.get().owner)
    ours.write(e.deltas(ref, e.partial(ref, "x")), ReleaseRuns(session_id=ref.session_id, owner=owner))
    assert ours.reads(ref) == 2
    ours.write(DeleteSession(session_id=ref.session_id))
    [refused] = ours.commit([e.message(ref.session_id)], None).result().results
    assert isinstance(refused, Refused)
