"""Owns the tasks of this process's runs: starts them, finds what waits, keeps their leases, lets them go."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from agents.budgets.allowances import Allowances
from agents.budgets.metered_llm import MeteredLLM
from agents.conf import Config
from agents.database.threads import in_thread, is_away
from agents.loading.model_choice import UnusableLLM, llm_of
from agents.loading.registry import get_registry
from agents.tool_runner.tool_runner import ToolRunner
from myagent.agent import Agent
from myagent.llm import LLM
from myagent.messages import Message
from sessions_app import queries
from sessions_app.delivery.hub import Hub
from sessions_app.journal.batch import Refused
from sessions_app.journal.entries.ownership import ClaimNext, Lease, ReleaseRuns, RenewLeases
from sessions_app.journal.entries.recovery import MAX_ATTEMPTS, Recovered, RecoverRun
from sessions_app.journal.entry import RunRef
from sessions_app.journal.writer import Journal, JournalClosed
from sessions_app.runs.driver import Equipment, RunDriver
from sessions_app.runs.history_cache import RecentConversations
from sessions_app.runs.lease_trust import LeaseTrust
from sessions_app.runs.process_locks import Owner

logger = logging.getLogger("myagent.runner")

RELEASE_SECONDS = 5.0
TRIAL_SECONDS = 60.0
"""How long a run on its last attempt keeps others of its kind waiting."""

NO_SESSION = uuid.UUID(int=0)
"""For entries that are of the process and of no session."""


@dataclass(frozen=True, slots=True)
class WorkingRun:
    """A run that goes on here; `user_id` None is one of nobody's sessions."""

    session_id: uuid.UUID
    run_id: uuid.UUID
    user_id: int | None
    agent: str


class Runner:
    """Lives on the event loop."""

    def __init__(
        self,
        *,
        journal: Journal,
        tool_runner: ToolRunner,
        allowances: Allowances,
        config: Config,
        owner: Owner,
        hub: Hub | None = None,
    ) -> None:
        self._journal = journal
        self._allowances = allowances
        self._config = config
        self._owner = owner
        self._equipment = Equipment(
            journal=journal,
            tool_runner=tool_runner,
            recent=RecentConversations(),
            delta_interval=config.delta_interval_ms / 1000,
            max_output_bytes=config.max_output_bytes,
            tell=(hub or Hub()).tell,
        )
        self._drivers: dict[uuid.UUID, RunDriver] = {}
        self._tasks: dict[uuid.UUID, asyncio.Task[None]] = {}
        self._starting: set[asyncio.Task[None]] = set()
        self._unused: list[tuple[Agent, Callable[[], None]]] = []
        self._draining = False
        self._was_full = False
        self._on_trial: uuid.UUID | None = None
        self._trial_ends = 0.0
        self._leases = LeaseTrust(config.lease_seconds)
        self.room = asyncio.Event()
        """Set when a place became free while runs waited for one."""

    # --- room ---

    def lease_for(self, agent: str) -> Lease | None:
        """The right to begin a run of this agent here; None while there is no room, or the server is stopping."""
        busy, limit = self._busy(), self._config.max_runs_per_agent
        if self._draining:
            return None
        if busy.total() >= self._config.max_runs or (limit is not None and busy[agent] >= limit):
            self._was_full = True
            return None
        limits = get_registry().limits(agent)
        return Lease(self._owner.name, self._config.lease_seconds, agent, limits.max_runs)

    def _busy(self) -> Counter[str]:
        """The runs here by their agents, without those that wait for a person."""
        return Counter(driver.agent.name for driver in self._drivers.values() if not driver.is_waiting)

    # --- starting ---

    def launch(
        self, ref: RunRef, agent: str, *, message: Message | None = None, recovered: Recovered | None = None
    ) -> None:
        """Work on a run that this process has just come to own; see `RunDriver`."""
        if self._draining:
            return  # its lease was given out before; it is let go of with the others
        loaded = get_registry().get(agent)
        if loaded is None:
            logger.error("Run %s is of the agent %r, which is not loaded here.", ref.run_id, agent)
            return
        llm = self._model_of(loaded.agent, ref.user_id)
        driver = RunDriver(
            ref,
            loaded,
            llm,
            self._equipment,
            message=message,
            recovered=recovered,
            max_steps=get_registry().limits(agent).max_steps,
        )
        self._drivers[ref.run_id] = driver
        task = self._tasks[ref.run_id] = asyncio.create_task(driver.drive(), name=f"run {ref.run_id}")
        task.add_done_callback(lambda _: self._ended(driver))

    def _model_of(self, agent: Agent, user_id: int | None) -> LLM:
        """The model of a run. One that cannot be made fails the run that asks it, and nothing else."""
        try:
            return MeteredLLM(llm_of(agent, self._config), self._allowances, user_id, agent.name)
        except Exception as error:
            logger.exception("The model of agent %r cannot be used.", agent.name)
            return UnusableLLM(f"{type(error).__name__}: {error}")

    def _ended(self, driver: RunDriver) -> None:
        self._drivers.pop(driver.ref.run_id, None)
        self._tasks.pop(driver.ref.run_id, None)
        self._tell_unused()
        is_limited = get_registry().limits(driver.agent.name).max_runs is not None
        if driver.has_more and not is_limited:
            self._start_later(driver.ref.session_id, driver.agent.name)
        elif driver.has_more or self._was_full:
            # Where places are rare, the session that has just had one waits behind the others.
            self._was_full = False
            self.room.set()

    def _start_later(self, session_id: uuid.UUID, agent: str) -> None:
        task = asyncio.create_task(self.start_next(session_id, agent))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def start_next(self, session_id: uuid.UUID, agent: str) -> None:
        """Begin the session's next queued run, if it has one, there is room, and nobody switched the agent off."""
        lease = self.lease_for(agent)
        if lease is None or get_registry().available(agent) is None:
            return
        try:
            ref = await self._journal.record(ClaimNext(session_id=session_id, lease=lease))
        except (Refused, JournalClosed) as error:
            logger.info("Nothing to begin in session %s (%s).", session_id, error)
            return
        if ref is not None:
            self.launch(ref, agent)

    def when_unused(self, agent: Agent, then: Callable[[], None]) -> None:
        """Call `then` as soon as no run here works with this very object."""
        self._unused.append((agent, then))
        self._tell_unused()

    def _tell_unused(self) -> None:
        working = {id(driver.agent) for driver in self._drivers.values()} if self._unused else ()
        unused = [item for item in self._unused if id(item[0]) not in working]
        self._unused = [item for item in self._unused if id(item[0]) in working]
        for _agent, then in unused:
            then()

    @property
    def working(self) -> list[WorkingRun]:
        """What goes on here."""
        refs = [(driver.ref, driver.agent.name) for driver in self._drivers.values()]
        return [WorkingRun(ref.session_id, ref.run_id, ref.user_id, agent) for ref, agent in refs]

    # --- what others did to our runs ---

    def stop_runs(self, run_ids: Iterable[uuid.UUID]) -> None:
        """These runs are over; stop what they still cost."""
        for run_id in run_ids:
            if task := self._tasks.get(run_id):
                task.cancel()

    def answered(self, run_id: uuid.UUID, step_id: str, answer: dict[str, Any]) -> None:
        """A confirmation was answered."""
        if driver := self._drivers.get(run_id):
            driver.answered(step_id, answer)

    async def look(self) -> None:
        """Find out from the database what other processes did to our runs."""
        ours = {run_id: driver.ref.epoch for run_id, driver in self._drivers.items()}
        if not ours:
            return
        news = await in_thread(queries.run_news, list(ours))
        for run_id, epoch in ours.items():
            about = news.get(run_id)
            # Whoever ends a run over its owner raises the epoch: one that ended with ours is about to learn it.
            if about is None or about.epoch != epoch:
                self.stop_runs([run_id])
                continue
            for step_id, answer in about.answers.items():
                self.answered(run_id, step_id, answer)

    # --- keeping, finding, letting go ---

    async def renew(self) -> None:
        """Prolong the leases of all our runs."""
        if run_ids := list(self._drivers):
            lease = Lease(self._owner.name, self._config.lease_seconds)
            await self._journal.record(RenewLeases(session_id=NO_SESSION, lease=lease, run_ids=run_ids))

    async def sweep(self) -> None:
        """Go on with runs that lost their process, and begin those that wait, while there is room."""
        if self._draining:
            return  # what was let go of is for others now
        dead, lapsed = await in_thread(self._lapsed, list(self._drivers))
        if not self._leases.tell():
            lapsed = [run for run in lapsed if run.owner in dead]
        for run in lapsed:
            await self._begin(self._take_over(run, dead), run.session_id)
        places, names = await self._places(), get_registry().names
        for session_id, agent in await in_thread(queries.startable_sessions, self._config.max_runs, names, places):
            await self._begin(self.start_next(session_id, agent), session_id)

    async def _begin(self, beginning: Coroutine[Any, Any, None], session_id: uuid.UUID) -> None:
        """Begin one run; what is wrong with it keeps no other one waiting."""
        try:
            await beginning
        except Exception as error:
            if is_away(error) or isinstance(error, JournalClosed):
                raise
            logger.exception("A run of session %s cannot be begun.", session_id)

    async def _places(self) -> dict[str, int]:
        """How many more runs of each agent that is limited may begin here."""
        limits = {name: get_registry().limits(name).max_runs for name in get_registry().names}
        limited = [name for name, limit in limits.items() if limit is not None]
        going = await in_thread(queries.going_of, limited) if limited else Counter()
        places = {name: limit - going[name] for name, limit in limits.items() if limit is not None}
        if (here := self._config.max_runs_per_agent) is not None:
            busy = self._busy()
            places |= {name: min(places.get(name, here), here - busy[name]) for name in limits}
        if any(count <= 0 for count in places.values()):
            self._was_full = True
        return places

    def _lapsed(self, mine: list[uuid.UUID]) -> tuple[list[str], list[queries.LapsedRun]]:
        """The owners that are known to be dead, and the runs that nobody works on."""
        # Locks tell of processes on this machine only; elsewhere the lease has to run out.
        owners = queries.active_owners() if self._config.embedded_database else []
        dead = [owner for owner in owners if not self._owner.is_alive(owner)]
        return dead, queries.lapsed_runs(mine, dead, get_registry().names)

    async def _take_over(self, run: queries.LapsedRun, dead: list[str]) -> None:
        loaded, lease = get_registry().available(run.agent), self.lease_for(run.agent)
        if loaded is None or lease is None:
            return
        is_last = run.attempts + bool(run.owner) >= MAX_ATTEMPTS
        if is_last and self._is_trying():
            self._was_full = True
            return
        entry = RecoverRun(
            session_id=run.session_id,
            dead_run_id=run.id,
            epoch=run.epoch,
            lease=lease,
            idempotent=frozenset(tool.name for tool in loaded.agent.tools if tool.idempotent),
            dead_owners=dead,
        )
        try:
            recovered: Recovered | None = await self._journal.record(entry)
        except Refused:
            logger.info("Run %s was taken by another process.", run.id)
            return
        if recovered is None:
            logger.error("Run %s was given up: every process that worked on it stopped.", run.id)
            self._start_later(run.session_id, run.agent)
        else:
            logger.warning("Going on with run %s, whose process stopped.", run.id)
            if is_last:
                self._on_trial, self._trial_ends = run.id, time.monotonic() + TRIAL_SECONDS
            self.launch(recovered.ref, run.agent, recovered=recovered)

    def _is_trying(self) -> bool:
        """Whether a run is going that gets its last attempt here.

        When a process stops, nobody knows which of its runs was the reason, and all of them are one attempt closer to
        being given up. The last attempt is made with one of them at a time, so that it shows, and the others live.
        """
        driver = self._drivers.get(self._on_trial) if self._on_trial else None
        is_over = driver is None or driver.is_waiting or time.monotonic() >= self._trial_ends
        return not is_over

    async def drain(self, seconds: float) -> None:
        """Begin nothing more, let runs end for so long, then let go of the rest so that others may go on with them."""
        self._draining = True
        working = [task for run_id, task in self._tasks.items() if not self._drivers[run_id].is_waiting]
        if working and seconds > 0:
            logger.info("Waiting up to %g s for %d runs to end.", seconds, len(working))
            await asyncio.wait(working, timeout=seconds)
        # What was about to begin belongs to us then, and is let go of with the others.
        await asyncio.gather(*self._starting, return_exceptions=True)
        rest = list(self._tasks.values())
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self.release()
        except TimeoutError:
            logger.warning("The database is away; what was not finished goes on when its lease has run out.")

    def release(self) -> asyncio.Future[int]:
        """Let go of all that is ours once everything that was submitted so far is committed."""
        return self._journal.offer(ReleaseRuns(session_id=NO_SESSION, owner=self._owner.name))
