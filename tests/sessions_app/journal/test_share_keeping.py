"""What the journal lets sharers store: counted as it is written, refused alone, by one process at a time."""

from __future__ import annotations

import threading
import uuid

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from agents.budgets.shares import Held, Shares
from agents.conf import Config
from myagent.protocol.error_codes import ErrorCode
from sessions_app.journal.batch import Batch
from sessions_app.journal.entries.sessions import CreateSession, DeleteSession, UpdateSession
from sessions_app.journal.entry import needs_of
from sessions_app.journal.refusal import Refused
from sessions_app.journal.stored_size import stored_bytes
from sessions_app.models import Event, Message, Run, Session
from tests.support import entries as e

pytestmark = e.database


@pytest.fixture
def ann():
    return User.objects.create_user("ann")


def shares(exempt=(), by_anonymous=None, **limits) -> Shares:
    return Shares(Config(allow_anonymous=True, **limits), exempt=exempt, by_anonymous=by_anonymous or Held())


def creation(limits: Shares, *, user_id=None, visitor=None) -> CreateSession:
    options = {"agent": "tester", "connection_id": "c", "shares": limits}
    return CreateSession(session_id=uuid.uuid4(), user_id=user_id, visitor=visitor, **options)


def quotas(outcomes):
    return [(it.data["quota"], it.data["scope"]) if isinstance(it, Refused) else None for it in outcomes]


def size_of(session_id) -> int:
    size = Session.objects.get(pk=session_id).stored_bytes
    assert size == stored_bytes(session_id)
    return size


# --- what is counted --------------------------------------------------------------------------------------------------


def test_all_that_is_said_is_counted(ann):
    session_id = e.new_session(user_id=ann.pk, title="会话", metadata={"page": "家"})
    empty = size_of(session_id)
    parts = [{"type": "text", "text": "看"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    ref = e.running(session_id, parts)
    assert size_of(session_id) > empty + 2 * len("data:image/png;base64,AAAA")
    call = e.call_of(city="北京")
    first = e.commit_one(e.reply(ref, call))
    e.commit(e.result(ref, call, first, "晴" * 1_000), e.deltas(ref, e.partial(ref, "今天")))
    assert size_of(session_id) > 2 * 3_000
    e.commit_one(e.answer(ref))
    size_of(session_id)


def test_one_that_was_never_counted_stays_so_until_it_is():
    session_id = e.new_session()
    Session.objects.filter(pk=session_id).update(stored_bytes=None)
    e.commit_one(e.answer(e.running(session_id)))
    assert Session.objects.get(pk=session_id).stored_bytes is None


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_user_who_has_filled_the_share_begins_nothing_and_ends_what_was_begun(ann):
    limits = shares(user_stored_bytes=3_000)
    session_id = e.new_session(user_id=ann.pk, shares=limits)
    ref = e.running(session_id, "x" * 3_000, shares=limits)
    before = (Session.objects.count(), Message.objects.count(), Run.objects.count(), Event.objects.count())
    outcomes = e.commit(
        e.message(session_id, shares=limits),
        creation(limits, user_id=ann.pk),
        UpdateSession(session_id=session_id, title="t", metadata={}, shares=limits),
    )
    assert quotas(outcomes) == [("stored_bytes", "user")] * 3
    assert before == (Session.objects.count(), Message.objects.count(), Run.objects.count(), Event.objects.count())
    e.commit_one(e.answer(ref, "a" * 9_000))
    assert Run.objects.get().status == Run.Status.SUCCEEDED
    e.commit_one(DeleteSession(session_id=session_id))
    e.commit_one(creation(limits, user_id=ann.pk))


def test_what_one_entry_of_a_batch_stores_counts_for_the_next(ann):
    limits = shares(user_stored_bytes=5_000)
    one, other = e.new_session(user_id=ann.pk), e.new_session(user_id=ann.pk)
    outcomes = e.commit(e.message(one, "x" * 5_000, shares=limits), e.message(other, shares=limits))
    assert e.refusals(outcomes) == [None, ErrorCode.OVER_QUOTA]


def test_sessions_are_counted_exactly_within_a_batch_too(ann):
    limits = shares(user_sessions=3)
    e.new_session(user_id=ann.pk)
    bob = User.objects.create_user("bob")
    outcomes = e.commit(
        *(creation(limits, user_id=ann.pk) for _ in range(4)), *(creation(limits, user_id=bob.pk) for _ in range(2))
    )
    assert quotas(outcomes) == [None, None, ("sessions", "user"), ("sessions", "user"), None, None]
    mine = Session.objects.filter(user=ann).values_list("pk", flat=True)
    outcomes = e.commit(DeleteSession(session_id=mine[0]), *(creation(limits, user_id=ann.pk) for _ in range(2)))
    assert e.refusals(outcomes) == [None, None, ErrorCode.OVER_QUOTA]


def test_a_session_is_of_its_owners_share_whoever_writes_into_it():
    limits = shares(address_stored_bytes=1_000)
    session_id = e.new_session(visitor="here")
    e.post(session_id, "x" * 1_000, shares=limits)
    assert quotas(e.commit(e.message(session_id, shares=limits))) == [("stored_bytes", "address")]
    assert quotas(e.commit(creation(limits, visitor="here"), creation(limits, visitor="there"))) == [
        ("stored_bytes", "address"),
        None,
    ]


def test_all_anonymous_visitors_have_a_share_together(ann):
    limits = shares(by_anonymous=Held(stored_bytes=10, sessions=4), anonymous_sessions=6, anonymous_stored_bytes=11)
    outcomes = e.commit(*(creation(limits, visitor=str(number)) for number in range(3)))
    assert quotas(outcomes) == [None, None, ("sessions", "anonymous")]
    limits.by_anonymous = Held(stored_bytes=11)
    anonymous = e.new_session()
    outcomes = e.commit(
        e.message(anonymous, shares=limits), creation(limits, visitor="a"), creation(limits, user_id=ann.pk)
    )
    assert quotas(outcomes) == [("stored_bytes", "anonymous")] * 2 + [None]


def test_who_is_exempt_has_no_share(ann):
    limits = shares(exempt={ann.pk}, user_sessions=1, user_stored_bytes=1, user_queued=1)
    outcomes = e.commit(*(creation(limits, user_id=ann.pk) for _ in range(3)))
    assert quotas(outcomes) == [None] * 3
    session_id = Session.objects.first().pk
    outcomes = e.commit(*(e.message(session_id, "x" * 100, shares=limits, lease=None) for _ in range(3)))
    assert quotas(outcomes) == [None] * 3


def test_the_queue_of_all_sessions_of_a_user_is_bounded(ann):
    limits = shares(user_queued=3)
    sessions = [e.new_session(user_id=ann.pk) for _ in range(5)]
    e.post(sessions[0], lease=None, shares=limits)
    outcomes = e.commit(*(e.message(session_id, shares=limits, lease=None) for session_id in sessions[1:]))
    assert quotas(outcomes) == [None, None, ("queued", "user"), ("queued", "user")]
    # One that begins at once does not wait, and other people have a queue of their own.
    assert quotas(e.commit(e.message(sessions[4], shares=limits))) == [None]
    bob = User.objects.create_user("bob")
    assert quotas(e.commit(e.message(e.new_session(user_id=bob.pk), shares=limits, lease=None))) == [None]


@pytest.mark.django_db(transaction=True)
def test_two_processes_count_one_after_the_other(ann):
    limits = shares(user_sessions=1)
    begun, outcomes = threading.Event(), []

    def other() -> None:
        begun.set()
        outcomes.append(e.commit(creation(limits, user_id=ann.pk)))
        connection.close()

    with transaction.atomic():
        first = creation(limits, user_id=ann.pk)
        batch = Batch(needs_of([first]))
        first.apply(batch)
        batch.close()
        thread = threading.Thread(target=other)
        thread.start()
        begun.wait()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join()
    assert quotas(outcomes[0]) == [("sessions", "user")]
