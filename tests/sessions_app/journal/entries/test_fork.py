"""A session that continues an older one: what is taken over, what is left out, and that the older one stays."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from agents.budgets.shares import Shares
from agents.conf import Config
from myagent.protocol.error_codes import ErrorCode
from sessions_app import models, queries
from sessions_app.conversation_export import exported
from sessions_app.journal.entries.feedback import RateRun
from sessions_app.journal.entries.fork import Forked, ForkSession
from sessions_app.journal.entries.housekeeping import RecountSession
from sessions_app.journal.entries.messages import PostMessage
from sessions_app.journal.entries.sessions import CancelRuns, CloseSession, DeleteSession, UpdateSession
from sessions_app.journal.refusal import Refused
from tests.support import entries as e

pytestmark = e.database


def fork(source: uuid.UUID, *, said: str | None = None, lease: Any = e.LEASE, **where: Any) -> tuple[uuid.UUID, Forked]:
    """The id of a fork, and how it was made."""
    session_id = uuid.uuid4()
    entry = entry_of(session_id, source, said=said, lease=lease, **where)
    before = everything_of(source)
    forked = e.commit_one(entry)
    assert everything_of(source) == before, "the original was changed"
    return session_id, forked


def entry_of(
    session_id: uuid.UUID, source: uuid.UUID, *, said: str | None = None, lease: Any = e.LEASE, **where: Any
) -> ForkSession:
    post = None
    if "before" in where:
        post = e.message(session_id, said or "", lease=lease, origin="")
    given = {"agent": "tester", "user_id": None, "connection_id": "c", "says_again": said is None}
    return ForkSession(session_id=session_id, source_id=source, post=post, **(given | where))


def everything_of(session_id: uuid.UUID) -> Any:
    rows = [models.Session, models.Event, models.Run, models.Message, models.Summary]
    kept = [
        list(kind.objects.filter(**{key: session_id}).order_by("pk").values())
        for kind in rows
        for key in ["pk" if kind is models.Session else "session_id"]
    ]
    return [*kept, list(models.ToolCall.objects.filter(run__session_id=session_id).order_by("pk").values())]


def answered(session: uuid.UUID, text: str, *, state: dict[str, Any] | None = None, message_id: str = "") -> Any:
    """A run with one call and an answer."""
    ref = e.running(session, text, message_id=message_id or text)
    call = e.call_of(city="Beijing")
    first = e.commit_one(e.reply(ref, call))
    e.commit(e.result(ref, call, first, state=state), e.answer(ref, f"{text}!"))
    return ref


def said_in(session_id: uuid.UUID) -> list[str]:
    return [text for _, text in e.history(session_id)]


def test_before_a_message_it_is_said_again_with_all_that_came_before(session):
    one, two = answered(session, "one"), answered(session, "two")
    e.commit_one(UpdateSession(session_id=session, title="A trip", metadata={"page": 1}))
    session_id, forked = fork(session, before="two")
    assert said_in(session_id) == ["one", "", "sunny", "one!", "two"]
    frames = e.events(session_id)
    assert [frame["event"] for frame in frames] == [
        "agent.session_created", "user.message", "agent.tool_call", "agent.tool_result", "agent.final_answer",
        "user.message",
    ]  # fmt: skip
    assert frames[0]["metadata"]["forked_from"] == {"session_id": str(session), "message_id": "two"}
    run_ids = {frame["metadata"]["run_id"] for frame in frames[1:]}
    assert len(run_ids) == 2 and not run_ids & {str(one.run_id), str(two.run_id)}
    assert frames[2]["step_id"] == frames[3]["step_id"] != e.events(session)[2]["step_id"]
    assert frames[-1]["content"] == "two" and frames[-1]["metadata"]["message_id"] == forked.posted.message_id
    assert forked.posted.begun is not None and forked.has_state
    row = models.Session.objects.get(pk=session_id)
    assert (row.title, row.metadata, row.acked_seq) == ("A trip", {"page": 1}, 5)
    assert row.forked_from == {"session_id": str(session), "message_id": "two"}
    copied = models.Run.objects.get(session_id=session_id, status="succeeded")
    assert (copied.input_tokens, copied.end_state, copied.tool_calls.count()) == (0, False, 1)
    assert exported(row)["session"]["forked_from"] == row.forked_from


def test_before_a_message_other_words_take_its_place(session):
    answered(session, "one")
    answered(session, "two")
    session_id, forked = fork(session, before="one", said="uno")
    assert said_in(session_id) == ["uno"]
    # It goes on like any other session.
    e.commit(e.answer(forked.posted.begun, "!"))
    answered(session_id, "and?")
    assert said_in(session_id) == ["uno", "!", "and?", "", "sunny", "and?!"]
    assert e.commit_one(RecountSession(session_id=session_id)) == 0


def test_a_fork_can_be_forked_and_the_ids_that_the_server_gave_are_found(session):
    e.commit(e.answer(e.running(session, "one"), "one!"))
    answered(session, "two")
    first, _ = fork(session, before="two")
    e.commit_one(CancelRuns(session_id=first))
    message_id = e.events(first)[1]["metadata"]["message_id"]
    assert message_id == e.events(session)[1]["metadata"]["message_id"]
    second, _ = fork(first, before=message_id)
    assert said_in(second) == ["one"]
    e.commit_one(CancelRuns(session_id=second))
    e.commit_one(DeleteSession(session_id=session))
    third, _ = fork(first, at=models.Session.objects.get(pk=first).last_seq)
    assert said_in(third) == ["one", "one!", "two"]


def test_at_an_event_it_has_the_finished_steps_and_runs_nothing(session):
    answered(session, "one")
    ref = e.running(session, "two")
    first_call, second_call = e.call_of(), e.call_of()
    position = e.commit_one(e.reply(ref, first_call))
    e.commit(e.result(ref, first_call, position))
    after_first = models.Session.objects.get(pk=session).last_seq
    e.commit_one(e.reply(ref, second_call, step=2))
    e.post(session, "queued", lease=None)
    end = models.Session.objects.get(pk=session).last_seq
    for at in (after_first, end):
        session_id, forked = fork(session, at=at)
        assert forked.posted is None
        assert said_in(session_id) == ["one", "", "sunny", "one!", "two", "", "sunny"]
        assert e.names(session_id)[-3:] == ["agent.tool_call", "agent.tool_result", "agent.interrupted"]
        assert e.events(session_id)[-1]["metadata"]["reason"] == "forked"
        assert e.statuses(session_id) == ["succeeded", "cancelled"]
    # Before its first step has ended, a run has done nothing that could be taken.
    session_id, _ = fork(session, at=after_first - 1)
    assert said_in(session_id) == ["one", "", "sunny", "one!"]
    # The copies are not open: an answer to the original is one to it alone.
    e.commit(e.result(ref, second_call, position + 2), e.answer(ref))
    session_id, _ = fork(session, at=after_first)
    assert said_in(session_id) == ["one", "", "sunny", "one!", "two", "", "sunny"]


def test_before_a_queued_message_comes_what_the_active_run_has_finished(session):
    ref = e.running(session, "one")
    call = e.call_of()
    position = e.commit_one(e.reply(ref, call))
    e.post(session, "two", lease=None, message_id="two")
    e.commit(e.result(ref, call, position))
    session_id, _ = fork(session, before="two")
    assert said_in(session_id) == ["one", "", "sunny", "two"]
    e.commit_one(CancelRuns(session_id=session_id))
    e.commit(e.answer(ref, "one!"))
    session_id, _ = fork(session, before="two", said="2")
    assert said_in(session_id) == ["one", "", "sunny", "one!", "2"]
    assert e.names(session_id)[-2:] == ["agent.final_answer", "user.message"]


def test_the_tools_state_is_that_of_its_moment(session):
    answered(session, "one", state={"count": 1})
    answered(session, "two")
    answered(session, "three", state={"count": 3})
    states = {}
    for message_id in ("one", "two", "three"):
        session_id, forked = fork(session, before=message_id)
        states[message_id] = queries.conversation(session_id).state
        assert forked.has_state
    end, forked = fork(session, at=models.Session.objects.get(pk=session).last_seq)
    assert forked.has_state and queries.conversation(end).state == {"count": 3}
    assert states == {"one": {}, "two": {"count": 1}, "three": {"count": 1}}
    # A fork keeps what it takes over, for forks of its own.
    second, _ = fork(end, before="two")
    assert queries.conversation(second).state == {"count": 1}


def test_a_state_that_was_not_kept_is_empty_and_that_is_told(session):
    answered(session, "one", state={"count": 1})
    answered(session, "two", state={"count": 2})
    models.Run.objects.update(end_state=None)
    _, forked = fork(session, before="one")
    assert forked.has_state
    session_id, forked = fork(session, before="two")
    assert not forked.has_state and queries.conversation(session_id).state == {}
    answered(session, "three")
    session_id, forked = fork(session, before="three")
    assert forked.has_state and queries.conversation(session_id).state == {"count": 2}


def test_what_cannot_be_forked_changes_nothing(session):
    answered(session, "one")
    other = e.new_session()
    answered(other, "two")
    for where, code in (
        ({"before": "two"}, ErrorCode.MESSAGE_NOT_FOUND),
        ({"before": "ONE"}, ErrorCode.MESSAGE_NOT_FOUND),
        ({"at": 6}, ErrorCode.CURSOR_AHEAD),
    ):
        with pytest.raises(Refused) as refused:
            fork(session, **where)
        assert refused.value.code == code
    with pytest.raises(Refused) as refused:
        fork(uuid.uuid4(), at=1)
    assert refused.value.code == ErrorCode.SESSION_NOT_FOUND
    entry = entry_of(uuid.uuid4(), session, before="one")
    assert isinstance(entry.post, PostMessage)
    assert models.Session.objects.count() == 2


def test_a_fork_counts_as_what_it_is(session, django_user_model):
    user = django_user_model.objects.create_user("ada")
    models.Session.objects.filter(pk=session).update(user=user)
    answered(session, "x" * 5_000, message_id="x")
    shares = Shares(Config(user_stored_bytes=35_000, user_sessions=3))
    seq = models.Session.objects.get(pk=session).last_seq
    with pytest.raises(Refused) as refused:
        fork(session, at=seq, user_id=user.pk, shares=shares)
    assert refused.value.data["quota"] == "stored_bytes"
    fork(session, at=1, user_id=user.pk, shares=shares)
    fork(session, at=1, user_id=user.pk, shares=shares)
    with pytest.raises(Refused) as refused:
        fork(session, at=1, user_id=user.pk, shares=shares)
    assert refused.value.data["quota"] == "sessions"


def test_summaries_of_what_was_taken_come_with_it_and_deltas_are_compacted_there(session):
    ref = e.running(session, "one", message_id="one")
    delta = e.partial(ref, "one!", step_id="a" * 32, is_final=True)
    e.commit(e.deltas(ref, delta))
    e.commit_one(e.answer(ref, "one!"))
    models.Run.objects.update(streamed_until=models.Session.objects.get(pk=session).last_seq)
    models.Summary.objects.create(session_id=session, upto_position=2, content="so far", created_at="2026-01-01T00:00Z")
    answered(session, "two")
    with_it, _ = fork(session, before="two")
    without, _ = fork(session, before="one")
    assert models.Summary.objects.get(session_id=with_it).content == "so far"
    assert not models.Summary.objects.filter(session_id=without).exists()
    assert models.Run.objects.get(session_id=with_it, status="succeeded").streamed_until == 4
    assert e.events(with_it)[3]["event"] == "agent.final_answer"


def test_of_a_closed_session_the_fork_is_open_and_ratings_stay_where_they_were_given(session):
    ref = answered(session, "one")
    e.commit_one(RateRun(session_id=session, rated_run=ref.run_id, rating="down", comment="no"))
    e.commit_one(CloseSession(session_id=session))
    session_id, _ = fork(session, at=models.Session.objects.get(pk=session).last_seq)
    assert e.names(session_id) == ["user.message", "agent.tool_call", "agent.tool_result", "agent.final_answer"]
    assert models.Session.objects.get(pk=session_id).status == "open"
    assert models.Run.objects.get(session_id=session_id).rating is None
