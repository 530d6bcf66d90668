"""Room for runs, and what a process that stops does; whole runs are tested through the server."""

import asyncio
import uuid
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from django.db import OperationalError

from agents.budgets.allowances import Allowances
from agents.conf import Config
from agents.loading.registry import AgentLimits, LoadedAgent, Registry, set_registry
from myagent import create_react_agent, tool
from myagent.loop.checkpoint import START
from sessions_app import queries
from sessions_app.delivery.hub import Hub
from sessions_app.journal.entries.ownership import ClaimNext, ReleaseRuns, RenewLeases
from sessions_app.journal.entries.recovery import Recovered, RecoverRun
from sessions_app.journal.entry import RunRef
from sessions_app.journal.refusal import STALE_RUN, Refused
from sessions_app.runs import lease_renewal, place_leases
from sessions_app.runs import news as news_of_runs
from sessions_app.runs import runner as module
from sessions_app.runs.last_attempt import LAST_ATTEMPT_SECONDS
from sessions_app.runs.process_locks import OwnerLock
from sessions_app.runs.runner import Runner


class Journal:
    """Notes what is recorded; `outcomes` says what becomes of the entries of a class, or which function tells."""

    def __init__(self):
        self.entries = []
        self.outcomes = {}
        self.age = 0.0
        self.is_healthy = True

    async def record(self, entry):
        self.entries.append(entry)
        await asyncio.sleep(0)
        outcome = self.outcomes.get(type(entry))
        if callable(outcome):
            return outcome(entry)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def offer(self, entry):
        return asyncio.ensure_future(self.record(entry))


@pytest.fixture
def journal():
    return Journal()


@pytest.fixture
def make(journal, tmp_path):
    def make(**options):
        config = Config(data_dir=tmp_path, **options)
        return Runner(
            journal=journal,
            tool_runner=None,
            allowances=Allowances(config),
            config=config,
            owner=OwnerLock(tmp_path),
            tell=Hub().tell,
        )

    return make


def work(runner, agent="a", *, is_waiting=False, ref=None):
    """Let the runner believe that a run of this agent goes on here."""
    ref = ref or RunRef(uuid.uuid4(), uuid.uuid4(), 1)
    runner._drivers[ref.run_id] = SimpleNamespace(
        agent=SimpleNamespace(name=agent), is_waiting=is_waiting, ref=ref, has_more=False
    )
    return ref


@pytest.fixture
def found(monkeypatch):
    """What the database says, by the name of the query."""
    answers = {"lapsed_runs": [], "active_owners": {}, "startable_sessions": [], "going_of": Counter(), "run_news": {}}

    async def in_thread(function, *args):
        await asyncio.sleep(0)
        return function(*args)

    for where in (module, place_leases, news_of_runs):
        monkeypatch.setattr(where, "in_thread", in_thread)
    for name in answers.keys() - {"startable_sessions"}:
        monkeypatch.setattr(queries, name, lambda *args, name=name: answers[name])

    def startable_sessions(limit, names, places, tried):
        return [item for item in answers["startable_sessions"] if item[0] not in tried][:limit]

    monkeypatch.setattr(module, "startable_sessions", startable_sessions)
    return answers


def test_there_is_room_for_so_many_runs(make):
    runner = make(max_runs=2)
    for _ in range(2):
        assert runner.places.lease_for("a") is not None
        work(runner)
    assert runner.places.lease_for("b") is None


def test_an_agent_has_a_limit_of_its_own(make):
    runner = make(max_runs_per_agent=1)
    work(runner, "a")
    assert runner.places.lease_for("a") is None
    assert runner.places.lease_for("b").owner == runner._owner.name


def test_a_run_that_waits_for_a_person_takes_no_place(make):
    runner = make(max_runs=1)
    work(runner, is_waiting=True)
    assert runner.places.lease_for("a") is not None


def test_the_limit_that_an_operator_set_goes_with_the_lease(make, registry):
    runner = make()
    registry.set_limits({"a": AgentLimits(max_runs=3)})
    assert (runner.places.lease_for("a").limited_agent, runner.places.lease_for("a").max_runs) == ("a", 3)
    assert runner.places.lease_for("b").limited_agent is None


async def test_agents_at_their_limits_are_left_out_of_the_sweep(make, found, registry, monkeypatch):
    """However many of their messages wait, those of others are found, and as soon as a run ends it is looked again."""
    asked = []
    monkeypatch.setattr(module, "startable_sessions", lambda _, names, places, tried: asked.append(places) or [])
    found["going_of"] = Counter(a=2)
    runner = make(max_runs_per_agent=4)
    await runner.resume_and_start()
    registry.set_limits({"a": AgentLimits(max_runs=2)})
    ref = work(runner, "a")
    await runner.resume_and_start()
    registry.set_limits({"a": AgentLimits(max_runs=10)})
    await runner.resume_and_start()
    assert asked == [{"a": 4}, {"a": 0}, {"a": 3}]
    runner._ended(runner._drivers[ref.run_id])
    assert runner.places.freed.is_set()


async def test_where_places_are_rare_a_session_waits_behind_the_others_for_its_next_one(make, journal, registry):
    runner = make()
    registry.set_limits({"a": AgentLimits(max_runs=1)})
    ref = work(runner, "a")
    driver = runner._drivers[ref.run_id]
    driver.has_more = True
    runner._ended(driver)
    assert (runner._starting, runner.places.freed.is_set()) == (set(), True)


async def test_a_server_that_stops_begins_nothing_and_lets_go(make, journal):
    runner = make()
    await runner.drain(0)
    assert runner.places.lease_for("a") is None
    assert [(type(entry), entry.owner) for entry in journal.entries] == [(ReleaseRuns, runner._owner.name)]


async def test_nothing_works_on_after_a_stop_also_where_a_start_waits_for_the_database(make, journal, monkeypatch):
    """Else a run would take the end of the tools for a failure of its tool, and say so in the log."""
    monkeypatch.setattr(module, "HOPELESS_SECONDS", 0.01)
    journal.is_healthy = False
    runner = make()
    run, start = (asyncio.create_task(asyncio.Event().wait()) for _ in range(2))
    runner._tasks[work(runner).run_id] = run
    runner._starting.add(start)
    await runner.drain(0)
    assert run.cancelled()
    assert start.cancelled()


async def test_a_lease_that_was_given_out_before_the_stop_begins_nothing_after_it(make, journal, registry):
    runner = make()
    draining = asyncio.create_task(runner.drain(0))
    await asyncio.sleep(0)
    runner.launch(RunRef(uuid.uuid4(), uuid.uuid4(), 1), "a")
    assert runner.working == []
    await draining
    runner.launch(RunRef(uuid.uuid4(), uuid.uuid4(), 1), "a")
    assert runner.working == []


@pytest.fixture
def renewed(monkeypatch):
    """The runs whose leases were renewed beside the journal; one that is in `locked` was not."""
    renewed, locked = [], set()

    def renew(lease, run_ids):
        renewed.extend(pk for pk in run_ids if pk not in locked)
        return [pk for pk in run_ids if pk in locked]

    monkeypatch.setattr(lease_renewal, "renew_unlocked", renew)
    return SimpleNamespace(runs=renewed, locked=locked)


async def test_leases_are_renewed_only_while_something_runs(make, journal, renewed):
    runner = make()
    await runner.renew_leases()
    assert renewed.runs == []
    ref = work(runner)
    await runner.renew_leases()
    assert (renewed.runs, journal.entries) == ([ref.run_id], [])


async def test_the_lease_of_a_run_that_is_locked_is_renewed_by_who_locks_it(make, journal, renewed):
    runner = make()
    free, locked = work(runner), work(runner)
    renewed.locked.add(locked.run_id)
    await runner.renew_leases()
    await asyncio.sleep(0)
    assert renewed.runs == [free.run_id]
    assert [(type(entry), entry.run_ids) for entry in journal.entries] == [(RenewLeases, [locked.run_id])]


async def test_leases_that_cannot_be_renewed_are_what_is_stored_first_when_the_database_is_back(
    make, journal, renewed, monkeypatch
):
    runner = make()
    ref = work(runner)
    monkeypatch.setattr(lease_renewal, "renew_unlocked", away)
    outcomes = [asyncio.get_running_loop().create_future()]
    monkeypatch.setattr(journal, "offer", lambda entry: journal.entries.append(entry) or outcomes[-1])
    for _ in range(2):
        await runner.renew_leases()
    assert [entry.run_ids for entry in journal.entries] == [[ref.run_id]], "once: it waits in the journal"
    outcomes[-1].set_result(1)
    await runner.renew_leases()
    assert len(journal.entries) == 2


def away(*_):
    raise OperationalError("server closed the connection")


async def test_leases_end_when_nothing_is_stored_for_as_long(make, journal, renewed, caplog):
    runner = make(lease_seconds=10)
    ref = work(runner)
    journal.age = 10.5
    for _ in range(2):
        await runner.renew_leases()
    assert renewed.runs == []
    assert caplog.text.count("leases are not renewed") == 1
    journal.age = 0.0
    await runner.renew_leases()
    assert renewed.runs == [ref.run_id]


@tool(idempotent=True)
def look() -> str:
    """Look."""
    return ""


@tool
def act() -> str:
    """Act."""
    return ""


@pytest.fixture
def registry():
    """The agent `a` is served here."""
    loaded = LoadedAgent(
        agent=create_react_agent(name="a", tools=[look, act]), source="a.py", loaded_at=datetime.now(UTC)
    )
    registry = Registry([loaded])
    before = set_registry(registry)
    yield registry
    set_registry(before)


def lapsed(agent="a", owner="dead", attempts=1):
    return queries.LapsedRun(uuid.uuid4(), uuid.uuid4(), 3, attempts, agent, owner)


async def test_a_sweep_takes_dead_runs_over_and_goes_on_after_one_that_was_taken(make, journal, found, registry):
    runner = make()
    found["active_owners"] = {"dead": False}
    found["lapsed_runs"] = runs = [lapsed(), lapsed()]
    journal.outcomes[RecoverRun] = Refused(STALE_RUN)
    await runner.resume_and_start()
    assert [entry.dead_run_id for entry in journal.entries] == [run.id for run in runs]
    assert {(entry.epoch, *entry.dead_owners, *entry.idempotent) for entry in journal.entries} == {(3, "dead", "look")}


async def test_what_was_taken_over_goes_on_here(make, journal, found, registry, monkeypatch):
    runner, launched = make(), []
    monkeypatch.setattr(runner, "launch", lambda *args, **options: launched.append((*args, options)))
    found["active_owners"], found["lapsed_runs"] = {"dead": False}, [lapsed()]
    recovered = Recovered(ref=RunRef(uuid.uuid4(), uuid.uuid4(), 4), checkpoint=START)
    journal.outcomes[RecoverRun] = recovered
    await runner.resume_and_start()
    assert launched == [(recovered.ref, "a", {"recovered": recovered})]


async def test_after_a_run_that_is_given_up_the_next_one_begins(make, journal, found, registry):
    runner = make()
    found["active_owners"], found["lapsed_runs"] = {"dead": False}, [run := lapsed()]
    await runner.resume_and_start()
    await asyncio.gather(*runner._starting)
    assert [(type(entry), entry.session_id) for entry in journal.entries] == [
        (RecoverRun, run.session_id),
        (ClaimNext, run.session_id),
    ]


@pytest.fixture
def clock(monkeypatch):
    """The time, in the test's hands."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


class Trials:
    """A runner that finds runs of a process that stopped, each known by how many have stopped with it before."""

    def __init__(self, make, journal, found, monkeypatch):
        self.runner = make()
        self.found = found
        self.journal = journal
        found["active_owners"] = {"dead": False}
        monkeypatch.setattr(self.runner, "launch", self.launch)

    def launch(self, ref, agent, *, recovered):
        work(self.runner, agent, ref=ref)

    async def sweep(self, *runs):
        """The runs that were taken over of these."""
        self.journal.entries.clear()
        self.journal.outcomes[RecoverRun] = lambda entry: Recovered(
            ref=RunRef(entry.session_id, entry.dead_run_id, entry.epoch + 1), checkpoint=START
        )
        self.found["lapsed_runs"] = list(runs)
        await self.runner.resume_and_start()
        return [entry.dead_run_id for entry in self.journal.entries if isinstance(entry, RecoverRun)]

    def end(self, run):
        self.runner._ended(self.runner._drivers[run.id])


@pytest.fixture
def trials(make, journal, found, registry, monkeypatch):
    return Trials(make, journal, found, monkeypatch)


async def test_last_attempts_are_made_one_by_one(trials):
    last, other, second = lapsed(attempts=2), lapsed(attempts=2), lapsed(attempts=1)
    assert await trials.sweep(last, other, second) == [last.id, second.id]
    assert await trials.sweep(other) == []
    trials.end(second)
    assert await trials.sweep(other) == []
    trials.end(last)
    assert trials.runner.places.freed.is_set(), "nobody has to wait for the next look"
    assert await trials.sweep(other) == [other.id]


async def test_a_run_that_was_let_go_of_in_order_is_on_the_attempt_that_it_was_on(trials):
    assert len(await trials.sweep(*[lapsed(attempts=2, owner="") for _ in range(3)])) == 3
    assert len(await trials.sweep(*[lapsed(attempts=3, owner="") for _ in range(3)])) == 1


async def test_a_last_attempt_keeps_others_waiting_for_a_while_only(trials, clock):
    runs = [lapsed(attempts=2) for _ in range(3)]
    assert await trials.sweep(*runs) == [runs[0].id]
    trials.runner._drivers[runs[0].id].is_waiting = True
    assert await trials.sweep(*runs[1:]) == [runs[1].id]
    clock.now += LAST_ATTEMPT_SECONDS - 1
    assert await trials.sweep(runs[2]) == []
    clock.now += 1
    assert await trials.sweep(runs[2]) == [runs[2].id]


async def test_dead_runs_wait_for_room(make, journal, found, registry):
    runner = make(max_runs=1)
    found["active_owners"], found["lapsed_runs"] = {"dead": False}, [lapsed()]
    ref = work(runner)
    await runner.resume_and_start()
    assert journal.entries == []
    runner._ended(runner._drivers[ref.run_id])
    assert runner.places.freed.is_set()
    await runner.resume_and_start()
    assert [type(entry) for entry in journal.entries][0] is RecoverRun


async def test_only_dead_runs_of_agents_that_are_available_are_looked_for(make, found, registry, monkeypatch):
    asked = []
    monkeypatch.setattr(queries, "lapsed_runs", lambda mine, dead, agents: asked.append(tuple(agents)) or [])
    runner = make()
    await runner.resume_and_start()
    registry.set_disabled(["a"])
    await runner.resume_and_start()
    assert asked == [("a",), ()]


async def test_a_run_whose_agent_was_switched_off_meanwhile_is_left_alone(make, journal, found, registry):
    found["active_owners"], found["lapsed_runs"] = {"dead": False}, [lapsed(), lapsed("not here")]
    registry.set_disabled(["a"])
    await make().resume_and_start()
    assert journal.entries == []


async def test_a_server_that_stops_takes_nothing_over(make, journal, found, registry):
    runner = make()
    await runner.drain(0)
    journal.entries.clear()
    found["active_owners"], found["lapsed_runs"] = {"dead": False}, [lapsed()]
    await runner.resume_and_start()
    assert journal.entries == []


async def test_a_sweep_begins_what_waits_while_there_is_room(make, journal, found, registry):
    runner = make(max_runs=1)
    sessions = [(uuid.uuid4(), "a"), (uuid.uuid4(), "a")]
    found["startable_sessions"] = sessions
    await runner.resume_and_start()
    assert [(type(entry), entry.session_id) for entry in journal.entries] == [
        (ClaimNext, session) for session, _agent in sessions
    ]
    work(runner)
    journal.entries.clear()
    await runner.resume_and_start()
    assert journal.entries == []


@pytest.mark.parametrize(
    ("news", "stopped"),
    [
        (None, True),
        (queries.RunNews(2, {}, is_steered=False), True),
        (queries.RunNews(1, {}, is_steered=False), False),
    ],
)
async def test_a_run_that_is_somebody_elses_is_stopped(make, found, news, stopped):
    runner = make()
    ref = work(runner)
    task = runner._tasks[ref.run_id] = asyncio.create_task(asyncio.Event().wait())
    found["run_news"] = {} if news is None else {ref.run_id: news}
    await runner.check_for_changes_by_others()
    assert bool(task.cancelling()) is stopped
    task.cancel()
