"""Files that a session is given: all of them or none."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone

from agents.budgets.shares import Held, Shares
from agents.conf import get_config
from myagent.messages import Message
from sessions_app.files import file_store
from sessions_app.files.file_kinds import FileKind
from sessions_app.journal.batch import Batch
from sessions_app.journal.entries.session_files import AddFiles, TakeBackFile, TakeBackForgottenFiles
from sessions_app.journal.entries.sessions import CloseSession, DeleteSession
from sessions_app.journal.entries.steering import WithdrawMessage
from sessions_app.journal.entry import needs_of
from sessions_app.journal.stored_size import stored_bytes
from sessions_app.models import Session, SessionFile, StoredFile
from tests.sessions_app.journal.entries.test_fork import entry_of, fork
from tests.sessions_app.journal.entries.test_ownership import ROW_LOCKS, WAITS_FOR_US, ask, results_and_close
from tests.support import entries as e

pytestmark = e.database


def stored(size=100):
    return file_store.store(ContentFile(b"x" * size), FileKind("text/plain", "utf-8")).pk


def adding(session_id, *file_ids, **options):
    options = {"max_files": 3} | options
    return AddFiles(session_id=session_id, names=dict.fromkeys(file_ids, "a.txt"), **options)


def shares(**limits):
    return Shares(replace(get_config(), **limits))


def test_refusals_leave_nothing(session):
    files = [stored() for _ in range(4)]
    missing, closed = uuid.uuid4(), e.new_session()
    e.commit_one(CloseSession(session_id=closed))
    outcomes = e.commit(
        adding(uuid.uuid4(), files[0]),
        adding(closed, files[0]),
        adding(session, files[0], missing),
        adding(session, *files),
        adding(session, *files[:3]),
        adding(session, files[3]),
    )
    codes = ["session_not_found", "session_closed", "file_not_found", "too_many_files", None, "too_many_files"]
    assert e.refusals(outcomes) == codes
    assert SessionFile.objects.count() == 3
    e.events(session)


def test_a_file_needs_room_for_all_of_it(django_user_model):
    ann = django_user_model.objects.create_user("ann")
    session, other = (e.new_session(user_id=ann.pk) for _ in range(2))
    taken = sum(row["stored_bytes"] for row in ann.agent_sessions.values("stored_bytes"))
    tight = shares(user_stored_bytes=taken + 199)
    outcomes = e.commit(adding(session, stored(), shares=tight), adding(other, stored(), shares=tight))
    assert e.refusals(outcomes) == [None, "over_quota"]
    outcomes = e.commit(adding(other, stored(99), shares=tight), adding(session, stored(1), shares=tight))
    assert e.refusals(outcomes) == [None, "over_quota"]


def test_anonymous_visitors_share_their_room(session):
    full = shares(anonymous_stored_bytes=1_000)
    full.by_anonymous = Held(stored_bytes=901)
    outcomes = e.commit(adding(session, stored(100), shares=full), adding(session, stored(99), shares=full))
    assert e.refusals(outcomes) == ["over_quota", None]


def counted(session_id):
    """What the session takes, as it is counted; true."""
    e.events(session_id)
    counted = Session.objects.get(pk=session_id).stored_bytes
    assert counted == stored_bytes(session_id)
    return counted


def test_a_file_is_taken_back_until_a_message_names_it(session):
    empty = counted(session)
    sent, unsent = stored(300), stored(200)
    e.commit_one(adding(session, sent, unsent))
    e.post(session, "look", files=[sent])
    with_message = counted(session)
    back = [TakeBackFile(session_id=session, file_id=file_id) for file_id in (sent, unsent, unsent, uuid.uuid4())]
    assert e.refusals(e.commit(*back)) == ["file_in_use", None, "file_not_found", "file_not_found"]
    assert counted(session) == with_message - 200 > empty
    assert [row.id for row in file_store.files_of(session)] == [sent]
    assert file_store.sweep(timezone.now()) == 1 and StoredFile.objects.get().pk == sent
    foreign = TakeBackFile(session_id=e.new_session(), file_id=sent)
    assert e.refusals(e.commit(foreign)) == ["file_not_found"]


def showing(session_id, *file_ids, **options):
    """A message with these files, as it is stored."""
    parts = [{"type": "file", "file": {"file_id": str(file_id), "name": "a.txt"}} for file_id in file_ids]
    entry = e.message(session_id, "look", files=file_ids, **options)
    return replace(entry, message=Message.user([{"type": "text", "text": "look"}, *parts]))


def test_what_was_named_by_a_message_that_is_taken_back_can_be_taken_back(session):
    both, steered, queued = stored(100), stored(200), stored(300)
    e.commit_one(adding(session, both, steered, queued))
    before = counted(session)
    e.running(session)
    e.commit_one(showing(session, both, queued, message_id="q"))
    e.commit_one(showing(session, both, steered, message_id="s", when_busy="steer"))
    for message_id in ("s", "q"):
        e.commit_one(WithdrawMessage(session_id=session, message_id=message_id))
    # What was queued is in the log for ever, with its files.
    back = [TakeBackFile(session_id=session, file_id=file_id) for file_id in (both, queued, steered)]
    assert e.refusals(e.commit(*back)) == ["file_in_use", "file_in_use", None]
    assert counted(session) > before - 200
    assert {row.id for row in file_store.files_of(session)} == {both, queued}


def test_a_message_that_names_what_was_taken_back_is_refused(session):
    file_id = stored()
    e.commit_one(adding(session, file_id))
    outcomes = e.commit(
        TakeBackFile(session_id=session, file_id=file_id), e.message(session, "look", files=[file_id], message_id="m")
    )
    assert e.refusals(outcomes) == [None, "file_not_found"]
    posted = e.post(session, "look", message_id="m")
    assert not posted.duplicate, "nothing of it was stored"


def test_what_no_message_names_for_long_is_taken_back(session):
    sent, unsent = stored(), stored()
    e.commit_one(adding(session, sent, unsent))
    e.post(session, "look", files=[sent])
    given_at = SessionFile.objects.get(file=unsent).unreferenced_since
    for before, left in ((given_at, 2), (timezone.now(), 1), (timezone.now(), 1)):
        e.commit_one(TakeBackForgottenFiles(session_id=session, before=before))
        assert len(file_store.files_of(session)) == left
    counted(session)


def test_what_a_message_of_a_fork_names_is_its_own(session):
    e.post(session, "before", message_id="first")
    file_id = stored()
    e.commit_one(adding(session, file_id))
    copy = uuid.uuid4()
    entry = entry_of(copy, session, before="first", said="look")
    e.commit_one(replace(entry, post=replace(entry.post, files=[file_id])))
    e.commit_one(TakeBackFile(session_id=session, file_id=file_id))
    assert [row.id for row in file_store.files_of(copy)] == [file_id]
    assert e.refusals(e.commit(TakeBackFile(session_id=copy, file_id=file_id))) == ["file_in_use"]
    assert file_store.sweep(timezone.now()) == 0
    gone = entry_of(uuid.uuid4(), session, before="first", said="look")
    gone = replace(gone, post=replace(gone.post, files=[file_id]))
    assert e.refusals(e.commit(gone)) == ["file_not_found"]


@contextmanager
def meeting(entries, *others):
    """Another process comes with `others` when the first of `entries` is applied, before the transaction goes on."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            batch = Batch(needs_of(entries))
            entries[0].apply(batch)
            other = pool.submit(results_and_close, *others)
            while not other.done() and not ask(WAITS_FOR_US):
                time.sleep(0.01)
            for entry in entries[1:]:
                entry.apply(batch)
            batch.close()
        yield other.result(timeout=10)


@ROW_LOCKS
@pytest.mark.django_db(transaction=True)
def test_two_processes_do_not_give_one_owner_more_than_the_share(django_user_model):
    ann = django_user_model.objects.create_user("ann")
    here, there = (e.new_session(user_id=ann.pk) for _ in range(2))
    tight = shares(user_stored_bytes=10_000)
    with meeting([adding(here, stored(6_000), shares=tight)], adding(there, stored(6_000), shares=tight)) as outcomes:
        assert e.refusals(outcomes) == ["over_quota"]


@ROW_LOCKS
@pytest.mark.django_db(transaction=True)
def test_forks_that_are_deleted_in_another_order_do_not_wait_for_each_other_for_ever():
    twins = []
    for _ in range(2):
        e.commit(adding(first := e.new_session(), stored()))
        twins.append((first, fork(first, at=1)[0]))
    (one, as_one), (two, as_two) = twins
    ours, theirs = ([DeleteSession(session_id=pk) for pk in ids] for ids in ((one, two), (as_two, as_one)))
    with meeting(ours, *theirs) as outcomes:
        assert e.refusals(outcomes) == [None, None]
    assert all(StoredFile.objects.values_list("delete_after", flat=True)), "each was the last session of one file"
