"""Owns the tasks of this process's runs: starts and resumes them, renews their leases, and releases them."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from agents.budgets.allowances import Allowances
from agents.conf import Config
from agents.database.threads import in_thread, is_away
from agents.loading.registry import get_registry
from agents.tool_runner.tool_runner import ToolRunner
from myagent.agent import Agent
from myagent.messages import Message
from sessions_app import queries
from sessions_app.journal.entries.ownership import ClaimNext, Lease, ReleaseRuns
from sessions_app.journal.entries.recovery import MAX_ATTEMPTS, Recovered, RecoverRun
from sessions_app.journal.entry import NO_SESSION, RunRef
from sessions_app.journal.refusal import Refused
from sessions_app.journal.writer import Journal, JournalClosed
from sessions_app.run_queue import startable_sessions
from sessions_app.runs.driver import RunDriver
from sessions_app.runs.driver_dependencies import DriverDependencies, Tell
from sessions_app.runs.history_cache import RecentConversations
from sessions_app.runs.last_attempt import LastAttempt
from sessions_app.runs.lease_clock import LeaseClock
from sessions_app.runs.lease_renewal import LeaseRenewal
from sessions_app.runs.news import hear_news
from sessions_app.runs.place_leases import PlaceLeases
from sessions_app.runs.process_locks import OwnerLock
from sessions_app.runs.run_model import model_of_run, settle

logger = logging.getLogger("myagent.runner")

LOOK_AGAIN_SECONDS = 0.1
RELEASE_SECONDS = 5.0
HOPELESS_SECONDS = 1.0
"""The same while the database does not answer."""


@dataclass(frozen=True, slots=True)
class WorkingRun:
    """A run that is active here; `user_id` is None in an anonymous session."""

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
        owner: OwnerLock,
        tell: Tell,
    ) -> None:
        self._journal = journal
        self._allowances = allowances
        self._config = config
        self._owner = owner
        self._dependencies = DriverDependencies(
            journal=journal,
            tool_runner=tool_runner,
            recent=RecentConversations(),
            tell=tell,
            delta_interval=config.delta_interval_ms / 1000,
            max_output_bytes=config.max_output_bytes,
        )
        self._drivers: dict[uuid.UUID, RunDriver] = {}
        self._tasks: dict[uuid.UUID, asyncio.Task[None]] = {}
        self._starting: set[asyncio.Task[None]] = set()
        self._unused: list[tuple[Agent, Callable[[], None]]] = []
        self.places = PlaceLeases(config, owner.name, self._taking_places)
        self._last_attempt = LastAttempt()
        self._lease_clock = LeaseClock(config.lease_seconds)
        self._leases = LeaseRenewal(journal, Lease(owner.name, config.lease_seconds))

    # --- starting ---

    def _taking_places(self) -> dict[uuid.UUID, str]:
        working = (driver for driver in self._drivers.values() if not driver.is_waiting)
        return {driver.ref.session_id: driver.agent.name for driver in working}

    def launch(
        self, ref: RunRef, agent: str, *, message: Message | None = None, recovered: Recovered | None = None
    ) -> None:
        """Work on a run that this process has just begun to own; see `RunDriver`."""
        if self.places.rules.is_closed:
            return  # its lease was given out before the stop; it is released with the others
        loaded = get_registry().get(agent)
        if loaded is None:
            logger.error("Run %s needs the agent %r, which is not loaded here.", ref.run_id, agent)
            return
        llm = model_of_run(loaded.agent, ref, config=self._config, allowances=self._allowances)
        driver = RunDriver(
            ref,
            loaded,
            llm,
            self._dependencies,
            message=message,
            recovered=recovered,
            ceilings=get_registry().limits(agent).of_run,
        )
        self._drivers[ref.run_id] = driver
        task = self._tasks[ref.run_id] = asyncio.create_task(driver.drive(), name=f"run {ref.run_id}")
        task.add_done_callback(lambda _: settle(llm))
        task.add_done_callback(lambda _: self._ended(driver))

    def _ended(self, driver: RunDriver) -> None:
        self._drivers.pop(driver.ref.run_id, None)
        self._tasks.pop(driver.ref.run_id, None)
        self._notify_unused()
        is_limited = get_registry().limits(driver.agent.name).max_runs is not None
        # Where places are rare, the session that has just had one waits behind the others.
        if self.places.free_one(has_more=driver.has_more, is_limited=is_limited):
            self._start_later(driver.ref.session_id, driver.agent.name)

    def _start_later(self, session_id: uuid.UUID, agent: str) -> None:
        task = asyncio.create_task(self.start_next(session_id, agent))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def start_next(self, session_id: uuid.UUID, agent: str, *, skip_locked: bool = False) -> None:
        """Start the session's next queued run, if it has one, there is a place, and the agent is enabled."""
        with self.places.lend(session_id, agent) as lease:
            if lease is None or get_registry().available(agent) is None:
                return
            try:
                ref = await self._journal.record(ClaimNext(session_id=session_id, lease=lease, skip_locked=skip_locked))
            except (Refused, JournalClosed) as error:
                logger.info("Nothing to start in session %s (%s).", session_id, error)
                return
            if ref is not None:
                self.launch(ref, agent)
            elif skip_locked:  # whoever has it locked may do something else than begin the run
                asyncio.get_running_loop().call_later(LOOK_AGAIN_SECONDS, self.places.look_for_queued)

    def when_unused(self, agent: Agent, then: Callable[[], None]) -> None:
        """Call `then` as soon as no run here uses this very object."""
        self._unused.append((agent, then))
        self._notify_unused()

    def _notify_unused(self) -> None:
        in_use = {id(driver.agent) for driver in self._drivers.values()} if self._unused else ()
        unused = [item for item in self._unused if id(item[0]) not in in_use]
        self._unused = [item for item in self._unused if id(item[0]) in in_use]
        for _agent, then in unused:
            then()

    @property
    def working(self) -> list[WorkingRun]:
        """The runs that are active here."""
        refs = [(driver.ref, driver.agent.name) for driver in self._drivers.values()]
        return [WorkingRun(ref.session_id, ref.run_id, ref.user_id, agent) for ref, agent in refs]

    # --- what others did to our runs ---

    def stop_runs(self, run_ids: Iterable[uuid.UUID]) -> None:
        """These runs have ended in the database; stop their tasks."""
        for run_id in run_ids:
            if task := self._tasks.get(run_id):
                task.cancel()

    def answered(self, run_id: uuid.UUID, step_id: str, answer: dict[str, Any]) -> None:
        """A confirmation was answered."""
        if driver := self._drivers.get(run_id):
            driver.answered(step_id, answer)

    def steered(self, run_id: uuid.UUID) -> None:
        """There is a message for this run, which need not be one of ours."""
        if driver := self._drivers.get(run_id):
            driver.host.steered()

    async def check_for_changes_by_others(self) -> None:
        """Read from the database what other processes did to our runs."""
        await hear_news(self._drivers, self.stop_runs)

    # --- leases ---

    async def renew_leases(self) -> None:
        """Extend the leases of all our runs, as long as what these write is stored."""
        if run_ids := list(self._drivers):
            await self._leases.renew(run_ids)

    async def resume_and_start(self) -> None:
        """Resume runs whose process died, and start those that wait, while there are places."""
        if self.places.rules.is_closed:
            return  # what this process released is for others
        dead, lapsed = await in_thread(self._find_lapsed, list(self._drivers))
        if not self._lease_clock.expiry_counts():
            lapsed = [run for run in lapsed if run.owner in dead]
        for run in lapsed:
            await self._isolated(self._take_over(run, dead), run.session_id)
        await self._start_queued()

    async def _start_queued(self) -> None:
        """Start the runs that are next of all that wait anywhere, until there is no place for another one."""
        tried: set[uuid.UUID] = set()
        while free := self.places.free():
            left, names = await self.places.left(), get_registry().names
            found = await in_thread(startable_sessions, free, names, left, tried)
            if not found:
                # What another process was about to take is its own now, or is looked for again.
                return self.places.rules.none_waits()
            # All at once: one commit claims them, before another process looks. What that was quicker to claim is not
            # waited for, and the next ones are looked for instead.
            await asyncio.gather(*(self._isolated(self.start_next(*it, skip_locked=True), it[0]) for it in found))
            tried.update(session_id for session_id, _ in found)

    async def _isolated(self, start: Coroutine[Any, Any, None], session_id: uuid.UUID) -> None:
        """Start one run; what fails in it keeps no other one from starting."""
        try:
            await start
        except Exception as error:
            if is_away(error) or isinstance(error, JournalClosed):
                raise
            logger.exception("A run of session %s cannot be started.", session_id)

    def _find_lapsed(self, mine: list[uuid.UUID]) -> tuple[list[str], list[queries.LapsedRun]]:
        """The owners whose locks show that they are dead; and the runs of these, and those with an expired lease."""
        # Locks show only processes on this machine; elsewhere the lease decides.
        dead = self._owner.find_dead(queries.active_owners()) if self._owner.can_tell else []
        return dead, queries.lapsed_runs(mine, dead, get_registry().names)

    async def _take_over(self, run: queries.LapsedRun, dead: list[str]) -> None:
        loaded, lease = get_registry().available(run.agent), self.places.lease_for(run.agent)
        if loaded is None or lease is None:
            return
        is_last = run.attempts + bool(run.owner) >= MAX_ATTEMPTS
        if is_last and self._last_attempt.is_under_way(self._not_waiting(), time.monotonic()):
            self.places.rules.refuse()
            return
        entry = RecoverRun(
            session_id=run.session_id,
            dead_run_id=run.id,
            epoch=run.epoch,
            lease=lease,
            idempotent=loaded.repeatable,
            dead_owners=dead,
        )
        try:
            recovered: Recovered | None = await self._journal.record(entry)
        except Refused:
            logger.info("Run %s was taken over by another process.", run.id)
            return
        if recovered is None:
            logger.error("Run %s was given up: every process that worked on it stopped.", run.id)
            self._start_later(run.session_id, run.agent)
        else:
            logger.warning("Resuming run %s, whose process stopped.", run.id)
            if is_last:
                self._last_attempt.begin(run.id, time.monotonic())
            self.launch(recovered.ref, run.agent, recovered=recovered)

    def _not_waiting(self) -> list[uuid.UUID]:
        return [run_id for run_id, driver in self._drivers.items() if not driver.is_waiting]

    async def drain(self, seconds: float) -> None:
        """Start nothing more, let runs end for so long, then release the rest, so that others can resume them."""
        self.places.rules.close()
        working = [task for run_id, task in self._tasks.items() if not self._drivers[run_id].is_waiting]
        if working and seconds > 0:
            logger.info("Waiting up to %g s for %d runs to end.", seconds, len(working))
            await asyncio.wait(working, timeout=seconds)
        limit = RELEASE_SECONDS if self._journal.is_healthy else HOPELESS_SECONDS
        until = asyncio.get_running_loop().time() + limit
        if self._starting:  # these runs are ours after this, and are released with the others
            await asyncio.wait(self._starting, timeout=limit)
        # In any case before tools and journal are closed, which a run would take for a failure of its tool.
        if rest := [*self._starting, *self._tasks.values()]:
            for task in rest:
                task.cancel()
            await asyncio.wait(rest, timeout=limit)
        try:
            async with asyncio.timeout_at(until):
                await self.release()
        except TimeoutError:
            logger.warning("The database does not answer; unfinished runs can be resumed when their leases expire.")

    def release(self) -> asyncio.Future[int]:
        """Release all runs of this process, after everything that was submitted so far is committed."""
        return self._journal.offer(ReleaseRuns(session_id=NO_SESSION, owner=self._owner.name))
