"""Processes claim, renew, lose, take over and release runs, and write for them by rights that they may have lost, while
the clock is in the test's hands: each outcome is what the rules say, and the rows are as the rules left them."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from sessions_app import queries
from sessions_app.journal.entries.ownership import ClaimNext, Lease, ReleaseRuns, RenewLeases
from sessions_app.journal.entries.recovery import MAX_ATTEMPTS, RecoverRun
from sessions_app.journal.entries.sessions import AnswerConfirmation, CancelRuns
from sessions_app.journal.entry import Entry, RunRef
from sessions_app.journal.refusal import Refused
from sessions_app.models import Run
from sessions_app.run_queue import startable_sessions
from tests.support.entries import (
    answer,
    call_of,
    commit,
    commit_one,
    database,
    message,
    names,
    new_session,
    question,
    reply,
    thinking,
)

pytestmark = database

SESSIONS = 2
OWNERS = 3
MAX_QUEUED = 2
LEASE_SECONDS = 1_000
STEP_SECONDS = 300
"""How the clock moves: a lease has some time left or is over by more than a slow machine needs for the whole test."""

STALE, BUSY, NOT_ASKED = "stale_run", "session_busy", "no_pending_confirmation"
SESSION = st.integers(0, SESSIONS - 1)
OWNER = st.integers(0, OWNERS - 1)
SELDOM = st.sampled_from([False, False, False, True])
AFTER = st.sampled_from(["nothing", "lapse", "die", "release"])


@dataclass
class Expected:
    """A run as the rules have it; `left` is how much of its lease."""

    id: uuid.UUID
    session: int
    status: str = "queued"
    owner: str = ""
    epoch: int = 0
    attempts: int = 0
    left: int = 0
    question: str = ""
    has_call: bool = False
    writes: int = 0

    @property
    def is_active(self) -> bool:
        return self.status in ("running", "waiting")

    @property
    def is_unfinished(self) -> bool:
        return self.is_active or self.status == "queued"

    def take(self, owner: str, attempts: int) -> None:
        self.owner, self.attempts, self.left = owner, attempts, LEASE_SECONDS
        self.epoch += 1
        self.status = "waiting" if self.question else "running"

    def end(self, status: str, *, raises: bool) -> None:
        self.status, self.owner, self.question = status, "", ""
        self.epoch += raises


class ClaimsMachine(RuleBasedStateMachine):
    refs = Bundle("refs")
    """Every right to write for a run that was ever given out."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions = [new_session() for _ in range(SESSIONS)]
        self.owners = [f"owner-{number}" for number in range(OWNERS)]
        self.dead: list[str] = []
        self.runs: list[Expected] = []
        self.given: Counter[tuple[uuid.UUID, int]] = Counter()

    @initialize(target=refs)
    def begin(self):
        return multiple(*(self.message(session, session, True) for session in range(SESSIONS)))

    def lease(self, owner: int) -> Lease:
        return Lease(self.owners[owner], LEASE_SECONDS)

    def unfinished(self, session: int) -> list[Expected]:
        """The one that goes on first, then as they were asked for."""
        runs = [run for run in self.runs if run.session == session and run.is_unfinished]
        return sorted(runs, key=lambda run: not run.is_active)

    def of(self, ref: RunRef) -> Expected:
        (run,) = [run for run in self.runs if run.id == ref.run_id]
        return run

    def owned(self, ref: RunRef) -> Expected | None:
        """The run, while this is the right to write for it."""
        run = self.of(ref)
        return run if run.is_active and run.epoch == ref.epoch else None

    def give(self, ref: RunRef | None) -> Any:
        """A right that was just given out, for the bundle."""
        if ref is None:
            return multiple()
        self.given[ref.run_id, ref.epoch] += 1
        assert ref.epoch == self.of(ref).epoch
        return ref

    def ask(self, entry: Entry, refused: str | None) -> Any:
        """What an entry comes to, which is a refusal of that code or none."""
        (outcome,) = commit(entry)
        assert (str(outcome.code) if isinstance(outcome, Refused) else None) == refused
        return outcome

    # --- what comes in ---

    @rule(target=refs, session=SESSION, owner=OWNER, has_room=st.booleans())
    def message(self, session, owner, has_room):
        before = self.unfinished(session)
        is_full = sum(run.status == "queued" for run in before) >= MAX_QUEUED
        lease = self.lease(owner) if has_room else None
        entry = message(self.sessions[session], lease=lease, max_queued=MAX_QUEUED)
        posted = self.ask(entry, BUSY if is_full else None)
        if is_full:
            return multiple()
        run = Expected(posted.run_id, session)
        self.runs.append(run)
        if lease is not None and not before:
            run.take(lease.owner, 1)
        return self.give(posted.begun)

    @rule(session=SESSION)
    def cancel(self, session):
        runs = self.unfinished(session)
        ended = self.ask(CancelRuns(session_id=self.sessions[session]), None)
        assert ended == [run.id for run in runs]
        for run in runs:
            run.end("cancelled", raises=True)

    @rule(ref=refs)
    def a_person_answers(self, ref):
        run = self.of(ref)
        entry = AnswerConfirmation(
            session_id=ref.session_id, step_id=run.question or "none", answer={"confirmed": True}, by="", origin="c"
        )
        self.ask(entry, None if run.question else NOT_ASKED)
        if run.question:
            run.question, run.status = "", "running"

    # --- rights ---

    @rule(target=refs, session=SESSION, owner=OWNER)
    def claim(self, session, owner):
        before = self.unfinished(session)
        ref = self.ask(ClaimNext(session_id=self.sessions[session], lease=self.lease(owner)), None)
        if before and not before[0].is_active:
            before[0].take(self.owners[owner], 1)
            assert ref.run_id == before[0].id
        else:
            assert ref is None
        return self.give(ref)

    @rule(target=refs, which=st.integers(0, 3), owner=OWNER, after=AFTER, is_late=SELDOM)
    def take_over(self, which, owner, after, is_late):
        """After something that lets a run go or not; by what was seen just now, or before the last takeover."""
        active = [run for run in self.runs if run.is_active]
        if not active:
            return multiple()
        run = active[which % len(active)]
        if run.owner:
            getattr(self, after)(run.owner)
        epoch = run.epoch - is_late
        entry = RecoverRun(
            session_id=self.sessions[run.session],
            dead_run_id=run.id,
            epoch=epoch,
            lease=self.lease(owner),
            idempotent=frozenset(),
            dead_owners=tuple(self.dead),
        )
        is_lost = run.left <= 0 or run.owner in self.dead
        recovered = self.ask(entry, None if is_lost and not is_late else STALE)
        if isinstance(recovered, Refused):
            return multiple()
        attempts = run.attempts + (run.owner != "" and run.status == "running")
        if attempts > MAX_ATTEMPTS:
            assert recovered is None
            run.end("failed", raises=True)
            return multiple()
        run.take(self.owners[owner], attempts)
        return self.give(recovered.ref)

    @rule(owner=OWNER)
    def renew(self, owner):
        held = [run for run in self.runs if run.is_active and run.owner == self.owners[owner]]
        run_ids = [run.id for run in self.runs]
        entry = RenewLeases(session_id=self.sessions[0], lease=self.lease(owner), run_ids=run_ids)
        assert self.ask(entry, None) == len(held)
        for run in held:
            run.left = LEASE_SECONDS

    def nothing(self, owner: str) -> None:
        """The run is its owner's."""

    def release(self, owner: str) -> None:
        held = [run for run in self.runs if run.is_active and run.owner == owner]
        assert self.ask(ReleaseRuns(session_id=self.sessions[0], owner=owner), None) == len(held)
        for run in held:
            run.owner, run.left = "", 0

    def die(self, owner: str) -> None:
        """And another process comes; the rights of the dead one are tried all the same, as if it had only slept."""
        self.dead.append(owner)
        self.owners = [f"{name}'" if name == owner else name for name in self.owners]

    def lapse(self, owner: str) -> None:
        self.time_goes_by(LEASE_SECONDS)

    @rule(seconds=st.integers(1, 3).map(lambda steps: steps * STEP_SECONDS))
    def time_goes_by(self, seconds):
        Run.objects.active().update(lease_until=F("lease_until") - timedelta(seconds=seconds))
        for run in self.runs:
            run.left -= seconds

    # --- writing by a right ---

    def write(self, ref: RunRef, entry: Entry, then: Callable[[Expected], None]) -> None:
        run = self.owned(ref)
        self.ask(entry, None if run else STALE)
        if run is not None:
            then(run)

    @rule(ref=refs)
    def think(self, ref):
        def then(run):
            run.writes += 1

        self.write(ref, thinking(ref), then)

    @rule(ref=refs)
    def ask_a_person(self, ref):
        run, call = self.owned(ref), call_of(waits=True)
        if run is not None and run.has_call:
            return
        asked = question(ref, call)

        def then(run):
            run.has_call = True
            self.ask(asked, None)
            run.question, run.status = asked.step_id, "waiting"

        self.write(ref, reply(ref, call), then)

    @rule(ref=refs)
    def end(self, ref):
        run = self.owned(ref)
        status = Run.Status.FAILED if run is not None and run.has_call else Run.Status.SUCCEEDED
        entry = replace(answer(ref), status=status, message=None)
        self.write(ref, entry, lambda run: run.end(str(status.value), raises=False))

    # --- what must hold ---

    @invariant()
    def the_rows_are_as_expected(self):
        rows = {row.pk: row for row in Run.objects.filter(session__in=self.sessions)}
        assert rows.keys() == {run.id for run in self.runs}
        for run in self.runs:
            row = rows[run.id]
            assert (row.status, row.owner, row.epoch, row.attempts) == (run.status, run.owner, run.epoch, run.attempts)
            assert (row.lease_until is None) is not run.is_active
        assert set(self.given.values()) <= {1}, "two were given the same right"

    @invariant()
    def what_is_found_is_what_nobody_works_on(self):
        lost = {run.id for run in self.runs if run.is_active and (run.left <= 0 or run.owner in self.dead)}
        found = queries.lapsed_runs([], self.dead, ["tester"])
        assert {run.id for run in found if run.session_id in self.sessions} == lost
        waiting = {
            self.sessions[session]
            for session in range(SESSIONS)
            if (runs := self.unfinished(session)) and not runs[0].is_active
        }
        startable = dict(startable_sessions(10**6, ["tester"]))
        assert startable.keys() & set(self.sessions) == waiting

    def teardown(self):
        for session, session_id in enumerate(self.sessions):
            runs = [run for run in self.runs if run.session == session]
            logged = Counter(names(session_id))
            assert logged["agent.thinking"] == sum(run.writes for run in runs), "somebody else has written"
            ends = sum(logged[name] for name in ("agent.final_answer", "agent.interrupted", "agent.error"))
            assert ends == sum(not run.is_unfinished for run in runs)
            commit_one(CancelRuns(session_id=session_id))


@pytest.mark.timeout(600)  # to find the shortest course that fails takes its time
def test_whoever_has_the_right_to_a_run_is_as_the_rules_say(db):
    run_state_machine_as_test(
        ClaimsMachine,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
