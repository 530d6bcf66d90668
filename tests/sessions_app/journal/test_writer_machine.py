"""Two processes write to the same sessions whatever they like, and die or lose their connection between any two
statements: log, numbers, history and runs hold together, and what was committed is there once."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from myagent.events import RequestedCall
from sessions_app.journal import outage
from sessions_app.journal.commit import Committed
from sessions_app.journal.entries.ownership import ClaimNext, Lease, ReleaseRuns, RenewLeases
from sessions_app.journal.entries.recovery import Recovered, RecoverRun
from sessions_app.journal.entries.runs import StartCall
from sessions_app.journal.entries.sessions import (
    AnswerConfirmation,
    CancelRuns,
    CloseSession,
    DeleteSession,
    UpdateSession,
)
from sessions_app.journal.entry import Entry, RunRef
from sessions_app.journal.log import Growth
from sessions_app.journal.refusal import Refused
from sessions_app.models import Confirmation, Event, Message, Run, Session, ToolCall
from tests.support import entries as e
from tests.support.writers import Died, Trouble, Worker

pytestmark = e.threads

ENDS = {
    "agent.final_answer": Run.Status.SUCCEEDED,
    "agent.interrupted": Run.Status.CANCELLED,
    "agent.error": Run.Status.FAILED,
}
SLOTS = 2
WHO = st.sampled_from("ab")
OFTEN = ("work",) * 14 + ("say",) * 4 + ("claim", "take_over", "respond") * 2
ACT = st.tuples(
    st.sampled_from([*OFTEN, "end", "rename", "keep", "let_go"]), st.integers(0, SLOTS - 1), st.integers(0, 3)
)
ACTS = st.lists(ACT, min_size=3, max_size=9)
MOMENT = st.integers(0, 20) | st.sampled_from(["before COMMIT", "after COMMIT"])
TROUBLE = st.none() | st.builds(Trouble, kind=st.sampled_from(["dies", "breaks"]), at=MOMENT)


def nothing(outcome: Any) -> None:
    """What is done with most outcomes."""


@dataclass
class Wish:
    """An entry that waits to be committed.

    `mark` is a text that is in the log once if the entry is applied, and never if it is not. When it is applied,
    `note` takes the outcome, and then `hear`, unless the process died with it.
    """

    entry: Entry
    mark: str = ""
    note: Callable[[Any], None] = nothing
    hear: Callable[[Any], None] = nothing


@dataclass
class Process:
    """What a process believes."""

    worker: Worker
    owner: str
    wishes: list[Wish] = field(default_factory=list)
    refs: dict[uuid.UUID, RunRef] = field(default_factory=dict)
    """By session: the run that it owns."""
    calls: dict[uuid.UUID, tuple[list[RequestedCall], int]] = field(default_factory=dict)
    """By run: the calls that have no result, and the place of the first result of their reply."""
    busy: set[uuid.UUID] = field(default_factory=set)
    """The runs that go on only when what was wished last is on record."""

    @property
    def lease(self) -> Lease:
        return Lease(self.owner, seconds=1000)

    def own(self, ref: RunRef | None) -> None:
        if ref is not None:
            self.refs[ref.session_id] = ref

    def wish(self, entry: Entry, **rest: Any) -> None:
        self.wishes.append(Wish(entry, **rest))


@dataclass
class Known:
    """What must be true of a session from now on."""

    id: uuid.UUID
    frames: list[dict[str, Any]] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    said: str = ""
    """The client's id of the newest message."""
    accepted: dict[str, uuid.UUID] = field(default_factory=dict)
    """The run of each message, by the client's id."""
    questions: list[str] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)


class JournalMachine(RuleBasedStateMachine):
    """`workers` are two threads that write and one that reads."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        super().__init__()
        *writers, self.reader = workers
        self.numbers = itertools.count()
        self.processes = {who: Process(worker, self.name()) for who, worker in zip("ab", writers, strict=True)}
        self.dead: list[str] = []
        self.calls: dict[uuid.UUID, list[RequestedCall]] = {}
        self.questions: dict[str, str] = {}
        self.started: set[str] = set()

    @initialize()
    def begin(self):
        self.sessions = [self.new_session() for _ in range(SLOTS)]

    def name(self) -> str:
        return f"#{next(self.numbers)}"

    def new_session(self) -> Known:
        return Known(self.reader.call(e.new_session))

    # --- what happens; without preconditions, since what a race left must not decide what may come next ---

    @rule(who=WHO, acts=ACTS, trouble=TROUBLE)
    def one_writes(self, who, acts, trouble):
        self.wish_all(who, acts)
        self.commit({who: trouble})

    @rule(acts=ACTS, others=ACTS, trouble=TROUBLE, other=TROUBLE)
    def both_write_at_once(self, acts, others, trouble, other):
        self.wish_all("a", acts)
        self.wish_all("b", others)
        self.commit({"a": trouble, "b": other})

    @rule(who=WHO, acts=ACTS)
    def one_has_not_got_round_to_it(self, who, acts):
        self.wish_all(who, acts)

    def wish_all(self, who: str, acts: Sequence[tuple[str, int, int]]) -> None:
        for name, slot, variant in acts:
            getattr(self, name)(self.processes[who], self.sessions[slot], variant)

    # --- what a process wishes; each takes a number that chooses among the ways to do it ---

    def say(self, process: Process, session: Known, variant: int) -> None:
        mark = self.name()
        message_id = session.said = session.said if variant == 3 and session.said else mark
        lease = process.lease if variant else None
        entry = e.message(session.id, mark, message_id=message_id, lease=lease, max_queued=3)

        def note(posted):
            assert session.accepted.setdefault(message_id, posted.run_id) == posted.run_id

        process.wish(entry, mark=mark, note=note, hear=lambda posted: process.own(posted.begun))

    def claim(self, process: Process, session: Known, variant: int) -> None:
        process.wish(ClaimNext(session_id=session.id, lease=process.lease), hear=process.own)

    def take_over(self, process: Process, session: Known, variant: int) -> None:
        active = self.reader.call(lambda: Run.objects.filter(session=session.id).active().first())
        if active is None:
            return
        entry = RecoverRun(
            session_id=session.id,
            dead_run_id=active.pk,
            epoch=active.epoch,
            lease=process.lease,
            idempotent=frozenset({"weather"} if variant % 2 else ()),
            dead_owners=tuple(self.dead),
        )

        def hear(recovered: Recovered | None):
            if recovered is not None:
                process.own(recovered.ref)
                calls = [
                    call for call in self.calls.get(active.pk, ()) if call.index in recovered.checkpoint.open_calls
                ]
                process.calls[active.pk] = calls, recovered.first_result

        process.wish(entry, hear=hear)

    def work(self, process: Process, session: Known, variant: int) -> None:
        ref = process.refs.get(session.id)
        if ref is None or ref.run_id in process.busy:
            return
        calls, first = process.calls.get(ref.run_id, ([], 0))
        mark = self.name()
        if variant == 0:
            process.wish(e.deltas(ref, e.partial(ref, mark, step_id=f"{ref.run_id}{ref.epoch}")), mark=mark)
        elif calls and variant < 3:
            self.prepare(process, session, ref, calls[-1])
        elif calls:
            process.wish(e.result(ref, calls.pop(), first, mark), mark=mark)
        elif variant < 3:
            self.call_tools(process, ref)
        else:
            process.busy.add(ref.run_id)
            process.wish(e.answer(ref, mark), mark=mark)

    def call_tools(self, process: Process, ref: RunRef) -> None:
        calls = [e.call_of(0, waits=True), e.call_of(1)]
        step = 1 + self.reader.call(lambda: ToolCall.objects.filter(run_id=ref.run_id).count())

        def note(first):
            self.calls[ref.run_id] = calls

        def hear(first):
            process.calls[ref.run_id] = list(calls), first
            process.busy.discard(ref.run_id)

        process.busy.add(ref.run_id)
        process.wish(e.reply(ref, *calls, step=step), note=note, hear=hear)

    def prepare(self, process: Process, session: Known, ref: RunRef, call: RequestedCall) -> None:
        """Ask about a call that waits for a yes, and start it when that has come. Calls that run may ask, too."""
        waits = call.waits and call.step_id not in self.started
        if waits and call.step_id in self.questions:
            if self.questions[call.step_id] in session.answered:
                self.started.add(call.step_id)
                process.wish(StartCall(**e.mine(ref), step_id=call.step_id, arguments={}))
            return
        asked = e.question(ref, call, starts_call=waits)
        self.questions[call.step_id] = asked.step_id
        session.questions.append(asked.step_id)
        process.wish(asked)

    def respond(self, process: Process, session: Known, variant: int) -> None:
        for step_id in session.questions[-1 - variant % 2 :][:1]:
            entry = AnswerConfirmation(
                session_id=session.id, step_id=step_id, answer={"confirmed": True}, by="", origin="c"
            )
            process.wish(entry, note=lambda _run_id, step_id=step_id: session.answered.add(step_id))

    def end(self, process: Process, session: Known, variant: int) -> None:
        kind = (CancelRuns, CancelRuns, CloseSession, DeleteSession)[variant]
        process.wish(kind(session_id=session.id))

    def rename(self, process: Process, session: Known, variant: int) -> None:
        process.wish(UpdateSession(session_id=session.id, title=self.name(), metadata=None))

    def keep(self, process: Process, session: Known, variant: int) -> None:
        run_ids = [ref.run_id for ref in process.refs.values()]
        process.wish(RenewLeases(session_id=session.id, lease=process.lease, run_ids=run_ids))

    def let_go(self, process: Process, session: Known, variant: int) -> None:
        process.wish(ReleaseRuns(session_id=session.id, owner=process.owner))

    # --- what becomes of it ---

    def commit(self, troubles: dict[str, Trouble | None]) -> None:
        begun = []
        for who in troubles:
            process = self.processes[who]
            wishes, process.wishes = process.wishes, []
            begun.append((who, wishes, process.worker.commit([wish.entry for wish in wishes], troubles[who])))
        growths: list[Growth] = []
        heard: list[tuple[Wish, Any]] = []
        for who, wishes, future in begun:
            try:
                committed = future.result()
            except Died:
                committed = Committed([Refused("died")] * len(wishes))
            growths += committed.growths
            applied = self.note(wishes, committed.results)
            if (trouble := troubles[who]) is not None and trouble.kind == "dies":
                self.dead.append(self.processes[who].owner)
                self.processes[who] = Process(self.processes[who].worker, self.name())
            else:
                heard += applied
        for wish, outcome in heard:
            wish.hear(outcome)
        self.check(growths)

    def note(self, wishes: list[Wish], outcomes: list[Any]) -> list[tuple[Wish, Any]]:
        """Take down what must be true now; returns the wishes that came true, with their outcomes."""
        applied = []
        for wish, outcome in zip(wishes, outcomes, strict=True):
            is_applied = not isinstance(outcome, Refused)
            for session in self.sessions:
                if wish.mark and session.id == wish.entry.session_id:
                    session.marks[wish.mark] = int(is_applied and not getattr(outcome, "duplicate", False))
            if is_applied:
                wish.note(outcome)
                applied.append((wish, outcome))
        return applied

    # --- what must hold ---

    def check(self, growths: Sequence[Growth]) -> None:
        for slot, session in enumerate(self.sessions):
            grown = [growth for growth in growths if growth.session_id == session.id]
            self.reader.call(check_session, session, grown)
            status = self.reader.call(Session.objects.filter(pk=session.id).values_list("status", flat=True).first)
            if status != Session.Status.OPEN:
                self.sessions[slot] = self.new_session()

    def teardown(self):
        """Whatever was left open can be ended, and then nothing is open."""
        for session in getattr(self, "sessions", ()):
            self.reader.call(e.commit_one, CancelRuns(session_id=session.id))
            self.reader.call(check_session, session, None)
            unfinished = Run.objects.filter(session=session.id).unfinished()
            assert not self.reader.call(unfinished.exists)


def check_session(session: Known, grown: Sequence[Growth] | None) -> None:
    """Everything that must hold of a session whose log has `grown` like that, in whatever order; None: unknown."""
    if not Session.objects.filter(pk=session.id).exists():
        for model in (Event, Run, Message):
            assert not model.objects.filter(session=session.id).exists(), "something is left of a deleted session"
        return
    frames = e.events(session.id)
    before, session.frames = session.frames, frames
    assert frames[: len(before)] == before, "what was committed is another now"
    if grown is not None and before:
        announced = {logged.seq: logged.frame for growth in grown for logged in growth.events}
        assert sorted(announced) == list(range(len(before) + 1, len(frames) + 1)), "announced was something else"
        assert len(announced) == sum(len(growth.events) for growth in grown), "two commits had the same number"
    said = Counter(frame.get("content") for frame in frames if isinstance(frame.get("content"), str))
    assert {mark: said[mark] for mark in session.marks} == session.marks, "lost, doubled, or there although refused"
    check_runs(session, frames)
    check_history(session)


def check_runs(session: Known, frames: Sequence[dict[str, Any]]) -> None:
    """Each message has one run, each run the end that its status says, in the order of the messages."""
    runs = {str(run.pk): run for run in Run.objects.filter(session=session.id)}
    asked = [run_id for frame in frames if frame["event"] == "user.message" for run_id in e.metadata(frame, "run_id")]
    assert sorted(asked) == sorted(runs), "a message without a run, or with two"
    stored = dict(Message.objects.filter(session=session.id, role="user").values_list("client_id", "run_id"))
    assert session.accepted.items() <= stored.items() and len(stored) == len(runs)
    ends = [(frame["event"], *e.metadata(frame, "run_id")) for frame in frames if frame["event"] in ENDS]
    assert [run_id for _event, run_id in ends] == asked[: len(ends)], "ended in another order, or twice"
    for event, run_id in ends:
        assert runs[run_id].status == ENDS[event]
        assert runs[run_id].owner == "" and runs[run_id].lease_until is None
    for run_id in asked[len(ends) :]:
        assert runs[run_id].status in Run.UNFINISHED
    over: set[str] = set()
    for frame in frames:
        (run_id,) = e.metadata(frame, "run_id")
        assert run_id not in over, "something of a run after its end"
        over |= {run_id} if frame["event"] in ENDS else set()
    for run in runs.values():
        check_run(run)


def check_run(run: Run) -> None:
    has_question = Confirmation.objects.filter(run=run, answer__isnull=True).exists()
    assert has_question is (run.status == Run.Status.WAITING)
    if run.status not in Run.UNFINISHED:
        assert not ToolCall.objects.filter(run=run).exclude(status="done").exists(), "a call is open after the end"


def check_history(session: Known) -> None:
    """The model would take it, but for the calls that are going; a run's messages stand together."""
    placed = Message.objects.filter(session=session.id, position__isnull=False).order_by("position")
    rows = list(placed.select_related("run"))
    e.assert_model_takes([row.to_library() for row in rows if row.run.status not in Run.ACTIVE])
    runs = [run_id for run_id, _ in itertools.groupby(row.run_id for row in rows)]
    assert len(set(runs)) == len(runs), "messages of runs are mixed"


@pytest.fixture
def workers(transactional_db, monkeypatch):
    monkeypatch.setattr(outage, "FIRST_BACK_OFF_SECONDS", 0.001)
    with ExitStack() as stack:
        yield [stack.enter_context(Worker()) for _ in range(3)]


@pytest.mark.slow
@pytest.mark.timeout(600)  # to find the shortest course that fails takes its time
def test_two_processes_write_and_die(workers):
    run_state_machine_as_test(
        lambda: JournalMachine(workers),
        settings=settings(
            max_examples=12,
            stateful_step_count=20,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
