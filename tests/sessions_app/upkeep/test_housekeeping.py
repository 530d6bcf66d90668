"""Compaction, pruning and closing of what is old; every rule is asked again under the lock."""

from __future__ import annotations

import asyncio
import io
import uuid
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from agents.conf import Config
from agents.database.threads import in_thread
from myagent.i18n import use_language
from sessions_app import queries
from sessions_app.delivery.log_pages import events_after
from sessions_app.files import file_store
from sessions_app.files.file_kinds import FileKind
from sessions_app.journal import commit as journal
from sessions_app.journal.entries.housekeeping import PruneSession
from sessions_app.journal.entries.session_files import AddFiles
from sessions_app.journal.entries.sessions import CancelRuns, CloseSession, DeleteSession
from sessions_app.journal.stored_size import stored_bytes
from sessions_app.journal.writer import Journal
from sessions_app.management import progress
from sessions_app.models import (
    Confirmation,
    DeletedThread,
    Event,
    Message,
    Run,
    Session,
    SessionFile,
    StoredFile,
    Summary,
    ToolCall,
)
from sessions_app.models.deleted_thread import REMEMBERED, thread_of
from sessions_app.upkeep import housekeeping
from sessions_app.upkeep.housekeeping import (
    Housekeeper,
    compaction,
    compactions,
    forget_deleted,
    prunable,
    prunes,
    recounts,
    streamed_answers,
    uncounted_sessions,
)
from tests.support.entries import (
    answer,
    call_of,
    commit,
    commit_one,
    deltas,
    events,
    history,
    message,
    new_session,
    partial,
    post,
    question,
    refusals,
    reply,
    result,
    running,
    thinking,
    threads,
)

pytestmark = threads


@pytest.fixture(autouse=True)
def english():
    use_language("en")
    yield
    use_language("zh-hans")


def seqs(session_id, name=None):
    """The numbers of what is in the log, of one kind of events or of all."""
    rows = Event.objects.filter(session_id=session_id).order_by("seq")
    return list((rows.filter(name=name) if name else rows).values_list("seq", flat=True))


def streamed(ref, *pieces, step_id="step", step=1):
    """A run's end: its pieces, and the final answer with their text."""
    for index, piece in enumerate(pieces[:-1]):
        commit_one(deltas(ref, partial(ref, piece, index, step_id=step_id, step=step)))
    end = answer(ref, "".join(pieces))
    last = partial(ref, pieces[-1], len(pieces) - 1, step_id=step_id, step=step, is_final=True)
    commit_one(replace(end, events=(last, *end.events)))


def grow_old(*session_ids, days=40):
    Session.objects.filter(pk__in=session_ids).update(active_at=timezone.now() - timedelta(days=days))


def compact():
    """Compact what is due now; returns how many events went."""
    answers = streamed_answers(timezone.now() + timedelta(seconds=1))
    return sum(outcome for batch in compactions(answers) for outcome in commit(*batch))


# --- compaction ---


def test_only_the_pieces_of_the_last_step_go(session):
    """Those of a step with calls stay, and so do thoughts, calls, results, and everything of other runs."""
    interrupted = running(session)
    commit_one(deltas(interrupted, partial(interrupted, "cut off", step_id="interrupted")))
    commit_one(CancelRuns(session_id=session))
    ref, call = running(session), call_of()
    commit(thinking(ref), deltas(ref, partial(ref, "Let me look", step_id="first", is_final=True)))
    first = commit_one(reply(ref, call, text="Let me look"))
    commit(result(ref, call, first), thinking(ref, step=2))
    streamed(ref, "It ", "is ", "sunny.", step_id="second", step=2)
    before = [frame for frame in events(session) if frame.get("step_id") != "second"]
    assert compact() == 3
    kept = [frame["seq"] for frame in before]
    assert seqs(session) == kept
    assert {"interrupted", "first"} <= {frame.get("step_id") for frame in before}
    assert compact() == 0 and seqs(session) == kept


def test_what_comes_between_the_pieces_stays(session):
    ref = running(session)
    commit_one(deltas(ref, partial(ref, "one ")))
    commit_one(message(session, "next", lease=None))
    streamed(ref, "two ", "three")
    assert compact() == 3
    assert list(Event.objects.order_by("seq").values_list("name", flat=True)) == [
        "agent.session_created", "user.message", "user.message", "agent.final_answer",
    ]  # fmt: skip


@pytest.mark.parametrize("status", [Run.Status.CANCELLED, Run.Status.FAILED])
def test_a_run_without_a_final_answer_keeps_its_pieces(session, status):
    ref = running(session)
    commit_one(deltas(ref, partial(ref, "as far as it got")))
    end = answer(ref)
    commit_one(replace(end, status=status, events=(partial(ref, "", 1, is_final=True), *end.events)))
    assert compact() == 0
    assert len(seqs(session, "agent.partial_answer")) == 2


def test_a_run_that_goes_on_keeps_its_pieces(session):
    ref = running(session)
    commit_one(deltas(ref, partial(ref, "so far")))
    assert compact() == 0 and seqs(session, "agent.partial_answer") == [3]


def test_an_answer_is_left_until_it_is_old_enough(session):
    streamed(running(session), "a", "b")
    assert streamed_answers(timezone.now() - timedelta(hours=1)) == []
    Run.objects.update(finished_at=timezone.now() - timedelta(minutes=61))
    assert len(streamed_answers(timezone.now() - timedelta(hours=1))) == 1


def test_a_long_answer_takes_several_small_batches(session, monkeypatch):
    """The newest pieces go first, so what is left in between has no gaps in its indexes."""
    monkeypatch.setattr(housekeeping, "ROWS_PER_COMMIT", 4)
    streamed(running(session), *map(str, range(10)))
    sizes = []
    for batch in compactions(streamed_answers(timezone.now() + timedelta(seconds=1))):
        sizes.append(sum(commit(*batch)))
        rest = Event.objects.filter(name="agent.partial_answer").order_by("seq")
        frames = [orjson.loads(event.frame) for event in rest]
        assert [frame["metadata"]["index"] for frame in frames] == list(range(10 - sum(sizes)))
        assert Run.objects.get().streamed_until is None or sum(sizes) < 10
    assert sum(sizes) == 10 and max(sizes) <= 8 and len(sizes) >= 2
    assert Run.objects.get().streamed_until is None


def test_a_plan_that_was_carried_out_meanwhile_takes_nothing_else(session):
    """Another process compacts between two looks of this one, which then sees an earlier step's pieces as the last."""
    ref, call = running(session), call_of()
    commit_one(deltas(ref, partial(ref, "Let me look", step_id="first", is_final=True)))
    first = commit_one(reply(ref, call, text="Let me look"))
    commit_one(result(ref, call, first))
    streamed(ref, "Sunny", step_id="second", step=2)
    (due,) = streamed_answers(timezone.now() + timedelta(seconds=1))
    early = compaction(due)
    assert compact() == 1
    late = compaction(due)
    assert [entry.step_id for entry in (*early, *late)] == ["second", "first"]
    assert refusals(commit(*early, *late)) == ["not_due", "not_due"]
    assert len(seqs(session, "agent.partial_answer")) == 1


def test_pieces_of_a_deleted_session_are_nobodys(session):
    streamed(running(session), "a", "b")
    plans = [compaction(due) for due in streamed_answers(timezone.now() + timedelta(seconds=1))]
    grow_old(session)
    commit_one(PruneSession(session_id=session, before=timezone.now()))
    assert refusals(commit(*plans[0])) == ["session_not_found"]


def test_the_log_goes_on_after_compaction(session):
    """Numbers go on where they were, a replay skips the gap, the history does not know of it."""
    streamed(running(session), "Sunny", " today")
    said = history(session)
    last_seq = Session.objects.get(pk=session).last_seq
    compact()
    assert history(session) == said
    assert queries.end_of_log(session)[0] == last_seq
    assert [seq for seq, _frame in events_after(session, 2).events] == [last_seq]
    committed = journal.commit([message(session, "again")])
    assert (committed.growths[0].prev_seq, committed.growths[0].events[0].seq) == (last_seq, last_seq + 1)


# --- pruning ---


def everything(session_id):
    """A session with a row in every table."""
    ref, call = running(session_id), call_of(waits=True)
    commit_one(reply(ref, call))
    commit_one(question(ref, call))
    commit_one(CloseSession(session_id=session_id))
    Summary.objects.create(session_id=session_id, upto_position=1, content="s", created_at=timezone.now())


def test_pruning_can_be_narrowed_to_one_user():
    ann, bob = (User.objects.create_user(name) for name in ("ann", "bob"))
    of_ann, of_bob = new_session(user_id=ann.pk), new_session(user_id=bob.pk)
    grow_old(of_ann, of_bob)
    before = timezone.now() - timedelta(days=30)
    assert [session_id for session_id, _length in prunable(before, user_id=ann.pk)] == [of_ann]
    said = io.StringIO()
    call_command("prunesessions", "--older-than", "30d", "--user", "bob", stdout=said)
    assert list(Session.objects.values_list("pk", flat=True)) == [of_ann]
    with pytest.raises(CommandError, match="eve"):
        call_command("prunesessions", "--older-than", "30d", "--user", "eve", stdout=said)


def test_pruning_leaves_nothing_of_the_old_and_all_of_the_others():
    old, young, busy = new_session(), new_session(), new_session()
    everything(old)
    everything(young)
    post(busy)
    grow_old(old, busy)
    before = timezone.now() - timedelta(days=30)
    assert prunable(before) == [(old, Session.objects.get(pk=old).last_seq)]
    (batch,) = prunes(prunable(before), before)
    committed = journal.commit(batch)
    assert committed.deleted == [old]
    assert set(Session.objects.values_list("id", flat=True)) == {young, busy}
    for model in (Run, Message, Event, Summary):
        assert set(model.objects.values_list("session_id", flat=True)) <= {young, busy}
    assert {row.run.session_id for row in (*ToolCall.objects.all(), *Confirmation.objects.all())} == {young}


def test_the_name_of_a_deleted_conversation_is_kept_for_a_while(session):
    commit_one(DeleteSession(session_id=new_session()))
    assert not DeletedThread.objects.exists(), "one in which nothing was said may begin anew"
    commit_one(message(session))
    commit_one(DeleteSession(session_id=session))
    (kept,) = DeletedThread.objects.all()
    assert kept.thread == thread_of(None, "tester", str(session)) and queries.was_deleted([kept.thread])
    assert forget_deleted(kept.deleted_at + REMEMBERED - timedelta(seconds=1)) == 0
    DeletedThread.objects.update(deleted_at=timezone.now() - REMEMBERED - timedelta(seconds=1))
    assert not queries.was_deleted([kept.thread]), "before it is tidied up, too"
    assert (forget_deleted(timezone.now()), DeletedThread.objects.count()) == (1, 0)


def test_a_session_that_is_used_again_is_spared(session):
    grow_old(session)
    before = timezone.now() - timedelta(days=30)
    (batch,) = prunes(prunable(before), before)
    ref = running(session)
    assert refusals(commit(*batch)) == ["in_use"]
    commit_one(answer(ref))
    assert refusals(commit(*batch)) == ["in_use"], "it was active meanwhile"
    grow_old(session)
    queued = message(session, lease=None)
    assert refusals(commit(queued, *batch)) == [None, "in_use"]


def test_batches_are_small(monkeypatch):
    monkeypatch.setattr(housekeeping, "ROWS_PER_COMMIT", 10)
    monkeypatch.setattr(housekeeping, "ENTRIES_PER_COMMIT", 3)
    lengths = [4, 4, 4, 50, 1, 1, 1, 1]
    batches = list(prunes([(uuid.uuid4(), length) for length in lengths], timezone.now()))
    assert [len(batch) for batch in batches] == [2, 1, 1, 3, 1]
    assert list(prunes([], timezone.now())) == []


def run_command(*words):
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_prunesessions():
    old, closed, others, young = new_session(), new_session(), new_session(agent="other"), new_session()
    commit_one(CloseSession(session_id=closed))
    grow_old(old, closed, others)
    everywhere = ["prunesessions", "--older-than", "30d"]
    assert run_command(*everywhere, "--dry-run") == "Conversations that would be deleted: 3\n"
    assert run_command(*everywhere, "--closed-only", "--dry-run") == "Conversations that would be deleted: 1\n"
    assert Session.objects.count() == 4
    assert run_command(*everywhere, "--closed-only") == "Conversations deleted: 1\n"
    assert run_command(*everywhere, "--agent", "other") == "Conversations deleted: 1\n"
    assert run_command("prunesessions", "--older-than", "8w") == "Conversations deleted: 0\n"
    assert set(Session.objects.values_list("id", flat=True)) == {old, young}
    assert run_command(*everywhere) == "Conversations deleted: 1\n"
    assert set(Session.objects.values_list("id", flat=True)) == {young}


def test_prunesessions_says_what_it_spared(monkeypatch, session):
    grow_old(session)

    def commit_late(batch):
        post(session)
        return journal.commit(batch)

    monkeypatch.setattr(progress, "commit", commit_late)
    said = run_command("prunesessions", "--older-than", "30d")
    assert said == "Conversations deleted: 0\nIn use again, or gone already: 1\n"
    assert Session.objects.filter(pk=session).exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--older-than", "30d", "--agent", "nobody"], "no conversation with an agent 'nobody'"),
        (["--older-than", "soon"], "not a period"),
        ([], "--older-than"),
    ],
)
def test_prunesessions_refuses(words, said):
    with pytest.raises(CommandError, match=said):
        call_command("prunesessions", *words)


def test_a_database_that_does_not_take_it_is_said_in_a_sentence(monkeypatch, session):
    grow_old(session)

    def locked(batch):
        raise OperationalError("database is locked")

    monkeypatch.setattr(progress, "commit", locked)
    with pytest.raises(CommandError, match="database is locked.*run the command again"):
        call_command("prunesessions", "--older-than", "30d")


def test_compactevents(session):
    streamed(running(session), "a", "b", "c")
    assert run_command("compactevents") == "Pieces removed: 0, of answers: 0\n"
    Run.objects.update(finished_at=timezone.now() - timedelta(minutes=61))
    assert run_command("compactevents", "--older-than", "2h") == "Pieces removed: 0, of answers: 0\n"
    assert run_command("compactevents") == "Pieces removed: 3, of answers: 1\n"
    assert seqs(session, "agent.partial_answer") == []


# --- what a server does by itself ---


@pytest.fixture
async def served():
    """A running journal with the housekeeper of a configuration."""
    journals = []

    def serve(**options):
        own = Journal(asyncio.get_running_loop(), lambda committed: None)
        own.start()
        journals.append(own)
        return Housekeeper(own, Config(**options))

    yield serve
    for own in journals:
        await own.stop()


def two_answers():
    """Sessions with an answer each, one of which is old enough to be compacted."""
    old, young = new_session(), new_session()
    for session_id in (old, young):
        streamed(running(session_id), "a", "b", "c")
    Run.objects.filter(session_id=old).update(finished_at=timezone.now() - timedelta(minutes=61))
    return old, young


async def test_a_server_compacts_what_is_due(served):
    old, young = await in_thread(two_answers)
    keeper = served()
    await keeper.tidy()
    assert await in_thread(seqs, old, "agent.partial_answer") == []
    assert len(await in_thread(seqs, young, "agent.partial_answer")) == 3
    await keeper.tidy()
    assert len(await in_thread(seqs, young, "agent.partial_answer")) == 3


async def test_compaction_can_be_switched_off(served):
    old, _young = await in_thread(two_answers)
    await served(compact_seconds=None).tidy()
    assert len(await in_thread(seqs, old, "agent.partial_answer")) == 3


def idle_and_others():
    """A session that is idle, one in which a run waits, one that was active yesterday, and a closed one."""
    idle, busy, young, closed = (new_session() for _ in range(4))
    post(busy)
    commit_one(CloseSession(session_id=closed))
    grow_old(idle, busy, closed, days=8)
    grow_old(young, days=1)
    return idle, busy, young, closed


async def test_idle_sessions_are_closed_when_told_so(served):
    idle, *others = await in_thread(idle_and_others)
    lengths = [await in_thread(seqs, session_id) for session_id in others]
    await served().tidy()
    assert await in_thread(lambda: Session.objects.get(pk=idle).status) == "open", "that is off by default"
    await served(idle_close_days=7).tidy()
    assert await in_thread(lambda: Session.objects.get(pk=idle).status) == "closed"
    assert [frame["event"] for frame in await in_thread(events, idle)][-1] == "agent.session_end"
    assert [await in_thread(seqs, session_id) for session_id in others] == lengths


async def test_a_session_that_wakes_up_is_not_closed(served, monkeypatch):
    idle, *_others = await in_thread(idle_and_others)
    keeper = served(idle_close_days=7)
    find = housekeeping.idle_sessions

    def find_and_wake(before, limit):
        found = find(before, limit)
        post(idle, lease=None)
        return found

    monkeypatch.setattr(housekeeping, "idle_sessions", find_and_wake)
    await keeper.tidy()
    assert await in_thread(lambda: Session.objects.get(pk=idle).status) == "open"


def test_processes_do_not_keep_step():
    """Also when they were started by one command at the same moment."""
    intervals = {Housekeeper(None, Config()).interval for _ in range(5)}
    assert len(intervals) == 5 and all(30 <= interval <= 60 for interval in intervals)


def unsent_files():
    """A session with two files that no message names, of which one is from yesterday."""
    session_id = new_session()
    rows = [file_store.store(ContentFile(b"hello"), FileKind("text/plain", "utf-8")) for _ in range(2)]
    commit_one(AddFiles(session_id=session_id, names={row.pk: "a.txt" for row in rows}, max_files=10))
    yesterday = timezone.now() - housekeeping.FORGOTTEN_AFTER
    SessionFile.objects.filter(file=rows[0]).update(unreferenced_since=yesterday)
    return session_id, rows[1].pk


async def test_files_of_a_message_that_never_came_are_deleted(served):
    session_id, left = await in_thread(unsent_files)
    await served().delete_files()
    assert [facts.id for facts in await in_thread(file_store.files_of, session_id)] == [left]
    assert await in_thread(lambda: StoredFile.objects.get().pk) == left
    assert (await in_thread(sizes))[session_id] == await in_thread(stored_bytes, session_id)


# --- what sessions take ---


def sizes():
    return dict(Session.objects.values_list("pk", "stored_bytes"))


def test_compaction_gives_the_room_back(session):
    streamed(running(session), *("晴天 " * 50 for _ in range(20)))
    before = sizes()[session]
    assert compact() == 20
    assert sizes()[session] == stored_bytes(session) < before - 20 * 350


def test_a_server_counts_what_was_never_counted_and_nothing_else():
    old, wrong = new_session(), new_session()
    for session_id in (old, wrong):
        streamed(running(session_id), "so ", "it ", "is.")
    right = sizes()
    Session.objects.filter(pk=old).update(stored_bytes=None)
    Session.objects.filter(pk=wrong).update(stored_bytes=7)
    assert [commit(*batch) for batch in recounts(uncounted_sessions(10), only_new=True)] == [[0]]
    assert sizes() == {old: right[old], wrong: 7}
    assert uncounted_sessions(10) == []
    assert commit(*next(recounts([wrong, old], only_new=True))) == [0, 0]
    out = io.StringIO()
    call_command("recountsessions", stdout=out)
    assert f"Sessions counted: 2, wrong: 1, by +{right[wrong] - 7} bytes." in out.getvalue()
    assert sizes() == right
