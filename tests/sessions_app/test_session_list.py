"""Lists of sessions, one by one and by families, and the families of forks that were there before these."""

import importlib
import uuid
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connection

from sessions_app.journal.entries.fork import ForkSession
from sessions_app.journal.entries.sessions import Acknowledge, DeleteSession
from sessions_app.models import Session
from sessions_app.session_list import Wanted, page_of
from tests.support import entries as e

pytestmark = e.database


@pytest.fixture
def ann():
    return get_user_model().objects.create_user("ann")


def listed(user, agents=("tester",), query="", before=None, limit=10):
    page, mark = page_of(Wanted(user.pk, agents, query), before=before, limit=limit)
    return [row["session_id"] for row in page], mark


def test_a_list_has_ones_own_sessions_newest_first(ann, session):
    mine = [e.new_session(user_id=ann.pk) for _ in range(3)]
    e.new_session(user_id=ann.pk, agent="other")
    e.post(mine[0])
    assert listed(ann) == ([str(mine[index]) for index in (0, 2, 1)], None)
    assert listed(ann, agents=[]) == ([], None)


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_pages_of_a_list_hold_everything_once(ann, limit):
    mine = [str(e.new_session(user_id=ann.pk)) for _ in range(5)]
    Session.objects.update(active_at=Session.objects.first().active_at)  # all at the same moment
    seen, mark = [], None
    for _ in range(6):
        page, mark = listed(ann, before=mark, limit=limit)
        seen += page
        if mark is None:
            break
    assert sorted(seen) == sorted(mine)


@pytest.mark.parametrize(
    "before",
    [
        "x",
        "|",
        "2026-01-01T00:00:00+00:00|x",
        "2026-01-01T00:00:00|00000000-0000-4000-8000-000000000000",
        "0001-01-01T00:00:00+23:59|00000000-0000-4000-8000-000000000000",
    ],
)
def test_a_mark_that_no_page_ended_with(ann, before):
    with pytest.raises(ValueError):
        listed(ann, before=before)


def test_sessions_are_found_by_title_and_by_what_was_said(ann):
    first, second = e.new_session(user_id=ann.pk, title="Weather 100%"), e.new_session(user_id=ann.pk)
    e.post(second, "Is it weather? 50_50")
    assert set(listed(ann, query="weather")[0]) == {str(first), str(second)}
    assert listed(ann, query="100%")[0] == [str(first)]
    assert listed(ann, query="50_50")[0] == [str(second)]
    assert listed(ann, query="5__50")[0] == []


def test_a_line_of_the_list(ann):
    session = e.new_session(user_id=ann.pk)
    e.running(session, "hello")
    e.post(session)
    (row,), _mark = page_of(Wanted(ann.pk, ["tester"]), limit=5)
    assert row.keys() == {
        "session_id", "agent", "title", "status", "last_seq", "read_seq", "run_status", "failed", "created_at",
        "active_at",
    }  # fmt: skip
    assert (row["title"], row["status"], row["run_status"], row["last_seq"]) == ("hello", "open", "running", 3)
    assert (row["read_seq"], row["failed"]) == (0, False)


def test_the_list_tells_what_failed_what_was_read_and_where_a_session_came_from(ann):
    failed, again = e.new_session(user_id=ann.pk), e.new_session(user_id=ann.pk)
    for session in (failed, again):
        ref = e.running(session)
        e.commit_one(e.failure(ref))
    e.commit_one(Acknowledge(session_id=failed, seq=2))
    e.commit_one(e.answer(e.running(again)))
    origin = {"session_id": str(failed), "seq": 3}
    fork = ForkSession(
        session_id=uuid.uuid4(), source_id=failed, at=3, agent="tester", user_id=ann.pk, connection_id="c"
    )
    e.commit_one(fork)
    rows, _ = page_of(Wanted(ann.pk, ["tester"]), limit=5)
    marks = {row["session_id"]: (row["failed"], row["read_seq"], row.get("forked_from")) for row in rows}
    assert marks == {
        str(failed): (True, 2, None),
        str(again): (False, 0, None),
        str(fork.session_id): (True, 3, origin),
    }


def test_the_list_takes_one_query_however_long_it_is(ann, django_assert_num_queries):
    for number in range(5):
        e.post(e.new_session(user_id=ann.pk), f"trip {number} to Oslo")
    with django_assert_num_queries(1):
        assert len(listed(ann, query="oslo TRIP")[0]) == 5
    assert len(listed(ann, query="oslo 3")[0]) == 1


# --- families ---------------------------------------------------------------------------------------------------------


def fork(source, user, **fields):
    """The id of a new fork of everything in a session."""
    entry = ForkSession(
        session_id=uuid.uuid4(), source_id=source, at=1, agent="tester", user_id=user and user.pk, connection_id="c"
    )
    e.commit_one(entry)
    if fields:
        Session.objects.filter(pk=entry.session_id).update(**fields)
    return entry.session_id


def families(user, *, limit=10, before=None, **wanted):
    """A page: each newest session with the number of those of its family, and the mark behind it."""
    rows, mark = page_of(Wanted(user.pk, ["tester"], **wanted), families=True, before=before, limit=limit)
    return [(uuid.UUID(row["session_id"]), row.get("family", {}).get("size", 1)) for row in rows], mark


def listed_of(user, family):
    rows, _ = page_of(Wanted(user.pk, ["tester"], family_id=str(family)), limit=100)
    return {uuid.UUID(row["session_id"]) for row in rows}


def test_a_family_is_listed_as_its_newest_session(ann):
    root, alone = e.new_session(user_id=ann.pk), e.new_session(user_id=ann.pk)
    first = fork(root, ann)
    second = fork(first, ann)
    assert families(ann)[0] == [(second, 3), (alone, 1)]
    e.post(root, "the original is used again")
    assert families(ann)[0] == [(root, 3), (alone, 1)]
    rows, _ = page_of(Wanted(ann.pk, ["tester"], family_id=str(root)), limit=10)
    assert [(row["session_id"], row.get("family_id")) for row in rows] == [
        (str(root), None), (str(second), str(root)), (str(first), str(root)),
    ]  # fmt: skip


def test_a_family_outlives_its_original(ann):
    root = e.new_session(user_id=ann.pk)
    middle = fork(root, ann)
    leaf, other = fork(middle, ann), fork(root, ann)
    for gone in (root, middle):
        e.commit_one(DeleteSession(session_id=gone))
    assert families(ann)[0] == [(other, 2)]
    assert {pk for pk, _ in families(ann, family_id=str(root))[0]} == {other}
    assert listed_of(ann, root) == {leaf, other}


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_of_families_hold_each_once(ann, limit):
    roots = [e.new_session(user_id=ann.pk) for _ in range(3)]
    for root in roots[:2]:
        for _ in range(4):
            fork(root, ann)
    Session.objects.update(active_at=Session.objects.first().active_at)  # all at the same moment
    seen, mark = [], None
    for _ in range(4):
        page, mark = families(ann, before=mark, limit=limit)
        seen += page
        if mark is None:
            break
    assert sorted(size for _, size in seen) == [1, 5, 5]
    kin = Session.objects.in_bulk([pk for pk, _ in seen])
    assert {one.family_id or one.pk for one in kin.values()} == set(roots)


def test_a_family_says_what_goes_on_in_those_that_are_not_shown(ann):
    root = e.new_session(user_id=ann.pk)
    first, second = fork(root, ann), fork(root, ann)
    asking, call = e.running(first), e.call_of()
    e.commit_one(e.reply(asking, call))
    e.commit_one(e.question(asking, call))
    e.running(root)
    newest = fork(root, ann)
    for session in (root, second, newest):
        e.commit_one(Acknowledge(session_id=session, seq=100))
    (row,), _ = page_of(Wanted(ann.pk, ["tester"]), families=True, limit=5)
    assert (row["session_id"], row["run_status"]) == (str(newest), "idle")
    assert row["family"] == {"size": 4, "unread": 1, "run_status": "waiting"}


def test_a_search_counts_what_it_finds(ann):
    root = e.new_session(user_id=ann.pk, title="To Oslo")
    fork(root, ann, title="To Rome")
    found = [fork(root, ann), fork(root, ann)]
    fork(root, ann, title="To Bern")
    assert families(ann, query="oslo")[0] == [(found[1], 3)]
    assert families(ann, query="rome oslo")[0] == []
    assert [size for _, size in families(ann, query="bern", family_id=str(root))[0]] == [1]
    assert [size for _, size in families(ann, family_id=str(found[0]))[0]] == [5], "any of them names its family"


def test_families_of_others_look_like_none(ann):
    bob = get_user_model().objects.create_user("bob")
    open_to_all = e.new_session()
    e.commit_one(DeleteSession(session_id=(gone := e.new_session())))
    hidden = fork(open_to_all, None)
    mine, his = fork(hidden, ann), fork(hidden, bob)
    assert (families(ann)[0], families(bob)[0]) == ([(mine, 1)], [(his, 1)])
    # What an anonymous session continues is not told to those who know that one alone.
    assert Session.objects.get(pk=mine).family_id == hidden
    secret = e.new_session(user_id=bob.pk)
    fork(secret, bob)
    for family in (secret, gone, "x", ""):
        assert listed_of(ann, family) == set()


def test_a_list_of_families_takes_as_many_queries_however_long_it_is(ann, django_assert_num_queries):
    for _ in range(4):
        root = e.new_session(user_id=ann.pk)
        for _ in range(3):
            fork(root, ann)
    with django_assert_num_queries(3):
        assert [size for _, size in families(ann)[0]] == [4] * 4


def test_forks_that_are_there_already_get_their_families(ann):
    root = e.new_session(user_id=ann.pk)
    middle = fork(root, ann)
    leaf, other = fork(middle, ann), fork(root, ann)
    of_anonymous = fork(anonymous := fork(e.new_session(), None), ann)
    orphan = fork(gone := e.new_session(user_id=ann.pk), ann)
    e.commit_one(DeleteSession(session_id=gone))
    stored = dict(Session.objects.values_list("pk", "family_id"))
    assert stored[root] is None and {stored[one] for one in (middle, leaf, other)} == {root}
    assert (stored[of_anonymous], stored[orphan]) == (anonymous, gone)
    Session.objects.update(family_id=None)
    migration = importlib.import_module("sessions_app.migrations.0017_families")
    migration.name_families(apps, SimpleNamespace(connection=connection))
    assert dict(Session.objects.values_list("pk", "family_id")) == stored
