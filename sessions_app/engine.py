"""Everything that serves the connections of one process, built, started and stopped together."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress

from django.db import Error

from agents.budgets.allowances import Allowances
from agents.budgets.reservations import reservations_of
from agents.budgets.shares import shares_of
from agents.caretaker import caretaker
from agents.conf import Config
from agents.database.threads import in_thread, is_away
from agents.loading.hosted_rows import note_blocking
from agents.loading.model_choice import close_models, model_name
from agents.loading.registry import get_registry
from agents.metrics.exporter import Exporter, is_installed
from agents.supervisor.supervisor_link import get_link
from agents.tool_runner.tool_runner import ToolRunner
from sessions_app import queries
from sessions_app.delivery.hub import Hub
from sessions_app.delivery.wakeups import Wakeups
from sessions_app.journal.commit import Committed
from sessions_app.journal.entries.sessions import Acknowledge
from sessions_app.journal.refusal import Refused
from sessions_app.journal.run_log import log_end
from sessions_app.journal.writer import Journal, JournalClosed
from sessions_app.runs.process_locks import OwnerLock
from sessions_app.runs.runner import Runner
from sessions_app.upkeep.access_watch import AccessWatch, Connection
from sessions_app.upkeep.gauges import EngineGauges, count_events
from sessions_app.upkeep.housekeeping import Housekeeper
from sessions_app.upkeep.memory_watch import MemoryWatch
from sessions_app.upkeep.queue_watch import QueueWatch
from sessions_app.upkeep.readiness import Readiness
from sessions_app.upkeep.recall import Recall
from sessions_app.upkeep.reloader import Reloader
from sessions_app.upkeep.schema_watch import SchemaWatch
from sessions_app.upkeep.share_watch import ShareWatch

logger = logging.getLogger("myagent.server")

POLL_SECONDS = 1.0
POLL_SHARED_SECONDS = 0.2
"""Between two polls when other processes share the database and no channel layer carries their wake-ups."""
FLUSH_SECONDS = 2.0
LOOK_SECONDS = 2.0
"""Between two looks whether the code of agents has changed what belongs to the server, while none of it ends."""
UPLOADS_AT_ONCE = 2
"""Requests with files that are read and stored at once: others wait, and leave threads to those who only talk."""
DELETED = -1
"""The `last_seq` that wake-ups carry for a deleted session."""


class Engine:
    """Lives on the event loop of one process."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.hub = Hub()
        link = get_link()
        family = link.family if link is not None else ""
        self.owner_lock = OwnerLock(
            config.data_dir, group_access=config.group_access, family=family, sees_all=config.embedded_database
        )
        self.tool_runner = ToolRunner(on_blocking=self._note_blocking)
        self.journal = Journal(asyncio.get_running_loop(), self._committed)
        self.allowances = Allowances(config)
        self.runner = Runner(
            journal=self.journal,
            tool_runner=self.tool_runner,
            allowances=self.allowances,
            config=config,
            owner=self.owner_lock,
            tell=self.hub.tell,
        )
        self.wakeups = Wakeups(self._grown_elsewhere, self.runner.places.look_for_queued, link)
        self.reloader = Reloader(runner=self.runner, tool_runner=self.tool_runner, config=config)
        self.housekeeper = Housekeeper(self.journal, config)
        self.memory_watch = MemoryWatch(config.memory_percent)
        self.readiness = Readiness(self.journal)
        self.schema_watch = SchemaWatch()
        self.uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self.connections: set[Connection] = set()
        self.access_watch = AccessWatch(
            allowances=self.allowances,
            runner=self.runner,
            journal=self.journal,
            connections=self.connections,
        )
        self.recall = Recall(runner=self.runner, journal=self.journal)
        self.queue_watch = QueueWatch(self.hub)
        gauges = EngineGauges(
            runner=self.runner, journal=self.journal, tool_runner=self.tool_runner, connections=self.connections
        )
        self.exporter = Exporter(config, gauges.of_process, gauges.of_database) if is_installed() else None
        self.share_watch = ShareWatch(shares_of(config))
        self.fork_turn = asyncio.Lock()
        """Held by the fork that is being stored."""
        self.endings: list[Callable[[], Awaitable[None]]] = []
        """What doors have begun for all their clients, and what ends with this engine."""
        self._acknowledged: dict[uuid.UUID, int] = {}
        self._poll_early = asyncio.Event()
        self._woken = False
        self._poll_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._notes: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start to work; runs that a dead process of this data folder left behind are resumed first."""
        self.owner_lock.acquire()
        self.journal.start()
        self.wakeups.start()
        if self.exporter is not None:
            await self.exporter.start()
        await self.access_watch.check_permissions()
        await self.recall.cancel_what_is_not_permitted()
        await self.share_watch.look()
        await self.runner.resume_and_start()
        config, never = self.config, asyncio.Event()
        for seconds, work, early in (
            (config.lease_seconds / 3, self.runner.renew_leases, never),
            (POLL_SECONDS, self.runner.resume_and_start, self.runner.places.freed),
            (POLL_SHARED_SECONDS, self._poll, self._poll_early),
            (1.0, self._heartbeats, never),
            (1.0, self.memory_watch.look, never),
            (1.0, self.queue_watch.look, never),
            (config.grants_seconds, self.reloader.check_reload_requests, never),
            (config.grants_seconds, self.access_watch.check_permissions, never),
            (config.grants_seconds, self.recall.cancel_what_is_not_permitted, never),
            (config.grants_seconds, reservations_of(self.allowances).renew, never),
            (config.grants_seconds, self.share_watch.look, never),
            (FLUSH_SECONDS, self._flush_acknowledged, never),
            (LOOK_SECONDS, self._look_after_own_things, never),
            (self.housekeeper.interval, self.housekeeper.tidy, never),
            (self.housekeeper.interval, self.housekeeper.delete_files, never),
            (self.schema_watch.interval, self.schema_watch.check, never),
        ):
            self._tasks.append(asyncio.create_task(self._every(seconds, work, early), name=work.__qualname__))

    async def stop(self) -> None:
        """Let runs end, release the rest, write what is queued."""
        await self.runner.drain(self.config.drain_seconds)
        for end in self.endings:
            await end()
        tasks = [*self._tasks, *self._notes]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._flush_acknowledged()
        await self.reloader.stop()
        await self.tool_runner.close(timeout=1.0)
        # The last entry of all, for messages that were being stored when the runs were released.
        self.runner.release()
        await self.journal.stop()
        await self.wakeups.stop()
        if self.exporter is not None:
            await self.exporter.stop()
        await close_models((loaded.agent for loaded in get_registry()), self.config)
        self.owner_lock.release()

    def _note_blocking(self, agent: str, tool: str, place: str) -> None:
        task = asyncio.create_task(in_thread(note_blocking, agent, tool, place))
        self._notes.add(task)
        task.add_done_callback(self._noted)

    def _noted(self, task: asyncio.Task[None]) -> None:
        self._notes.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("A blocking tool cannot be noted in the database (%s).", error)

    def acknowledge(self, session_id: uuid.UUID, seq: int) -> None:
        """A client has everything up to `seq`. Written every few seconds, as clients say so five times a second."""
        self._acknowledged[session_id] = max(seq, self._acknowledged.get(session_id, 0))

    # --- commits, here and by other processes ---

    def _committed(self, committed: Committed) -> None:
        count_events(committed.growths)
        self.hub.grown(committed.growths)
        self.hub.deleted(committed.deleted)
        for end in committed.ended:
            loaded = get_registry().get(end.agent)
            log_end(end, model=model_name(loaded.agent, self.config) if loaded else "")
        grown = {growth.session_id: growth.events[-1].seq for growth in committed.growths}
        gone = dict.fromkeys(committed.deleted, DELETED)
        if grown or gone:
            self.wakeups.announce(grown | gone)

    def _grown_elsewhere(self, last_seqs: dict[uuid.UUID, int]) -> None:
        self.hub.deleted([session_id for session_id, last_seq in last_seqs.items() if last_seq == DELETED])
        self.hub.grown_elsewhere({key: value for key, value in last_seqs.items() if value != DELETED})
        self._woken = True
        self._poll_early.set()

    async def _poll(self) -> None:
        """Read what other processes did, since wake-ups are only hints and may be lost."""
        woken, self._woken = self._woken, False
        now = asyncio.get_running_loop().time()
        if not woken and now < self._poll_at:
            return
        is_urgent = not self.wakeups.is_available and await in_thread(self._may_share_database)
        self._poll_at = now + (POLL_SHARED_SECONDS if is_urgent else POLL_SECONDS)
        await self.runner.check_for_changes_by_others()
        if attached := list(self.hub.attached):
            # Read before the query: a session that is created meanwhile is missing in its result.
            known = self.hub.known
            last_seqs = await in_thread(queries.last_seqs, attached)
            self.hub.grown_elsewhere(last_seqs)
            self.hub.deleted([session_id for session_id in known if session_id not in last_seqs])

    def _may_share_database(self) -> bool:
        return not self.config.embedded_database or self.owner_lock.others_alive()

    # --- periodic work ---

    async def _heartbeats(self) -> None:
        now = asyncio.get_running_loop().time()
        due = [connection for connection in self.connections if connection.heartbeat_is_due(now)]
        sessions = {session_id for connection in due for session_id in connection.pump.followed}
        try:
            last_seqs = await in_thread(queries.last_seqs, sessions) if sessions else {}
        except Error as error:
            if not is_away(error):
                raise
            last_seqs = {}  # a heartbeat says above all that this server is there
        for connection in due:
            connection.heartbeat(last_seqs)

    async def _look_after_own_things(self) -> None:
        caretaker.look()

    async def _flush_acknowledged(self) -> None:
        acknowledged, self._acknowledged = self._acknowledged, {}
        for session_id, seq in acknowledged.items():
            await self.journal.submit(Acknowledge(session_id=session_id, seq=seq))

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]], early: asyncio.Event) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await early.wait()
            early.clear()
            try:
                await work()
            except (Refused, JournalClosed) as error:
                logger.info("%s has nothing to do: %s", getattr(work, "__qualname__", work), error)
            except Exception as error:
                if is_away(error):
                    # The journal says once what all these would repeat until the database is back.
                    level = logging.WARNING if self.journal.is_healthy else logging.DEBUG
                    logger.log(level, "The database does not answer (%s); retrying in %g s.", error, seconds)
                    continue
                logger.exception("%s failed; retrying in %g s.", getattr(work, "__qualname__", work), seconds)
