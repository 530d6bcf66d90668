"""Spans on record: only of a run's owner, closed with whatever ends the run, gone with it."""

from datetime import UTC, datetime, timedelta

from myagent.events import RequestedCall
from myagent.llm import Reply, Usage
from myagent.messages import Message
from myagent.tracing.spans import TracedSpan as Seen
from sessions_app.journal.entries.ownership import Lease
from sessions_app.journal.entries.recovery import RecoverRun
from sessions_app.journal.entries.sessions import CancelRuns, DeleteSession
from sessions_app.journal.entries.spans import BeginSpan, EndSpan
from sessions_app.models import Span
from sessions_app.runs.span_recorder import SpanRecorder
from tests.support import entries as e

pytestmark = e.database
HEIR = Lease("heir", seconds=60)


class Queue:
    """Collects entries in the journal's place."""

    def __init__(self):
        self.entries = []

    def offer(self, entry):
        self.entries.append(entry)
        return self

    def add_done_callback(self, callback):
        pass


def seen(kind="reply", **fields):
    return Seen(**{"kind": kind, "name": "gpt", "step": 1, **fields})


def entries_of(ref, span, *, ends=True):
    """What a recorder writes of `span`."""
    queue = Queue()
    recorder = SpanRecorder(queue, e.mine(ref))
    recorder.begun(span)
    if ends:
        span.end()
        recorder.ended(span)
    return queue.entries


def test_a_call_of_the_model(ref):
    span = seen(attempt=2)
    span.take_chunk(Reply(Message.assistant("hi"), Usage(7, 3, 1, 4, 2, 1), finish="stop", retries=1))
    for entry in entries_of(ref, span):
        e.commit_one(entry)
    stored = Span.objects.get()
    assert (stored.pk, stored.run_id, stored.epoch) == (span.id, ref.run_id, ref.epoch)
    assert (stored.kind, stored.name, stored.step, stored.attempt) == ("reply", "gpt", 1, 2)
    assert (stored.outcome, stored.finish, stored.error, stored.retries) == ("ok", "stop", "", 1)
    assert (stored.input_tokens, stored.output_tokens) == (7, 3)
    assert (stored.cached_input_tokens, stored.cache_write_tokens, stored.reasoning_tokens) == (4, 2, 1)
    assert (stored.started_at, stored.duration_ms) == (span.started_at, span.duration_ms)


def test_a_call_of_a_tool_that_begins_and_ends_in_one_batch(ref):
    call = RequestedCall(index=0, call_id="c", step_id="s.1.0", name="weather", arguments={}, waits=False)
    span = seen("tool", name="weather", call=call)
    span.take_error(TimeoutError())
    assert e.refusals(e.commit(*entries_of(ref, span))) == [None, None]
    stored = Span.objects.get()
    assert (stored.kind, stored.step_id, stored.outcome, stored.finish) == ("tool", "s.1.0", "failed", "timeout")
    assert (stored.input_tokens, stored.first_token_ms) == (None, None)


def test_a_run_is_no_row_of_this_table(ref):
    assert entries_of(ref, seen("run")) == []


def test_what_is_too_long_for_its_column_is_cut(ref):
    span = seen(name="m" * 500)
    span.take_chunk(Reply(Message.assistant("hi"), Usage(), finish="f" * 500))
    e.commit(*entries_of(ref, span))
    assert (len(Span.objects.get().name), len(Span.objects.get().finish)) == (200, 64)


def test_a_stale_owner_writes_no_spans(session, ref):
    begun, ended = entries_of(ref, seen())
    e.commit_one(begun)
    e.commit_one(CancelRuns(session_id=session))
    assert e.refusals(e.commit(ended, BeginSpan(**e.mine(ref), span_id=seen().id, columns={}))) == ["stale_run"] * 2
    assert Span.objects.get().outcome == "interrupted"


def test_a_cancel_ends_what_goes_on_and_changes_nothing_else(session, ref):
    going_on = seen(started_at=datetime.now(UTC) - timedelta(seconds=5))
    done = seen()
    done.take_chunk(Reply(Message.assistant("hi"), Usage()))
    e.commit(*entries_of(ref, going_on, ends=False), *entries_of(ref, done))
    e.commit_one(CancelRuns(session_id=session))
    stored = Span.objects.get(pk=going_on.id)
    assert stored.outcome == "interrupted"
    assert 5_000 <= stored.duration_ms < 60_000
    assert Span.objects.get(pk=done.id).outcome == "ok"


def test_after_a_takeover_nobody_knows_how_long_a_call_took(session, ref):
    e.commit(*entries_of(ref, seen(), ends=False))
    e.lapse(ref)
    entry = RecoverRun(
        session_id=session, dead_run_id=ref.run_id, epoch=ref.epoch, lease=HEIR, idempotent=frozenset(), dead_owners=()
    )
    heir = e.commit_one(entry).ref
    e.commit(*entries_of(heir, seen(), ends=False))
    first, second = Span.objects.order_by("epoch")
    assert (first.outcome, first.duration_ms, first.epoch) == ("interrupted", None, ref.epoch)
    assert (second.outcome, second.epoch) == ("open", heir.epoch)


def test_spans_go_with_their_session(session, ref):
    other = e.running(e.new_session())
    e.commit(*entries_of(ref, seen()), *entries_of(other, seen()))
    e.commit_one(e.answer(ref))
    e.commit_one(DeleteSession(session_id=session))
    assert [span.run_id for span in Span.objects.all()] == [other.run_id]
    assert e.run_of(other)


def test_an_end_without_a_beginning_changes_nothing(ref):
    e.commit_one(EndSpan(**e.mine(ref), span_id=seen().id, columns={"outcome": "ok"}))
    assert not Span.objects.exists()
