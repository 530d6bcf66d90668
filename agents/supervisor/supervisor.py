"""Serves with several processes of this machine: starts them on one port, and starts again what ends.

The port is one listening socket for each address, made here and inherited by every worker, and not one socket for
each worker (SO_REUSEPORT): with those the system assigns a client before anybody has accepted it, so that clients of a
worker that is killed, stopped or restarted are cut off or wait for it. From a common queue whoever has time takes the
next one.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import shutil
import signal
import socket
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from agents.conf import Config
from agents.supervisor.connection_counts import ConnectionCounts
from agents.supervisor.handover import Handover
from agents.supervisor.operator_socket import OperatorSocket
from agents.supervisor.restart_pace import RestartPace
from agents.supervisor.rolling_restart import RollingRestart
from agents.supervisor.terminal_control import has_terminal
from agents.supervisor.worker_process import WorkerProcess, describe_end, exit_code

logger = logging.getLogger("myagent.server")

END_SECONDS = 10.0
"""How much longer than their drain workers may take to end."""
SILENT_SECONDS = 30.0
"""A worker that has not given a sign of life for so long is replaced."""
LOOK_SECONDS = 5.0
KILL_SECONDS = 5.0
"""How long the end of a process that is killed is waited for; one may be stuck in the system."""


class Supervisor:
    """Runs no code of agents and touches no database, so that nothing of that can end or stop it."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        *,
        workers: int,
        environment: Mapping[str, str],
        config: Config,
    ) -> None:
        """`sockets` are bound; `environment` is what the workers find beside what they are handed."""
        self._sockets = sockets
        self._environment = environment
        self._config = config
        self._end_seconds = config.drain_seconds + END_SECONDS
        self._family = uuid.uuid4().hex[:16]
        self._folder = ""
        self._counts: ConnectionCounts
        self._places: list[WorkerProcess | None] = [None] * workers
        self._living: set[WorkerProcess] = set()
        self._numbers: set[int] = set()
        self._has_served = False
        self._signalled: signal.Signals | None = None
        self._stopping = asyncio.Event()
        self._at_once = asyncio.Event()
        self._restart = RollingRestart(self._places, self._start_successor, end_seconds=self._end_seconds)
        self._has_terminal = has_terminal()

    def run(self) -> int:
        """Serve until a signal; returns the exit code. That of the first worker, if it never came to serve."""
        self._folder = tempfile.mkdtemp(prefix="myagent-workers-")
        handle = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # What clears away old temporary files leaves a folder that is locked: systemd.io/TEMPORARY_DIRECTORIES
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._counts = ConnectionCounts(self._folder)
            return asyncio.run(self._main())
        finally:
            os.close(handle)
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _main(self) -> int:
        self._handle_signals()
        keeping = asyncio.create_task(self._keep_all())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({keeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                return keeping.result()
            keeping.cancel()
            await asyncio.wait({keeping})
            return await self._stop()
        finally:
            stopping.cancel()
            await self._kill_rest()

    # --- signals ---

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, self._take_signal, signum)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _take_signal(self, signum: signal.Signals) -> None:
        """The first one stops in order, the next one at once; a terminal that is closed may send two."""
        if self._signalled is None:
            self._signalled = signum
            self._stopping.set()
        elif signum != signal.SIGHUP:
            self._signalled = signum
            self._at_once.set()

    def _hang_up(self) -> None:
        """A terminal that controls this process is closed; without one, an operator asks for new workers."""
        if self._has_terminal:
            self._take_signal(signal.SIGHUP)
        else:
            self._restart.request()

    async def _stop(self) -> int:
        """Let all workers end; returns the exit code."""
        assert self._signalled is not None
        self._has_served |= any(worker.is_ready for worker in self._living)  # perhaps it has said so just now
        if self._has_served:
            logger.info("Stopping %d workers.", len(self._living))
        for worker in self._living:
            worker.stop()
        at_once = asyncio.create_task(self._at_once.wait())
        all_ended = asyncio.create_task(self._all_ended())
        await asyncio.wait([at_once, all_ended], timeout=self._end_seconds, return_when=asyncio.FIRST_COMPLETED)
        at_once.cancel()
        if self._at_once.is_set() or not self._has_served:
            return 128 + self._signalled
        if self._living:
            words = "%d workers have not ended after %g s; ending them by force."
            logger.warning(words, len(self._living), self._end_seconds)
        return 0

    async def _all_ended(self) -> bool:
        while self._living:
            await asyncio.wait([worker.ended for worker in self._living])
        return True

    async def _kill_rest(self) -> None:
        rest = [worker.ended for worker in self._living]
        for worker in self._living:
            worker.signal(signal.SIGKILL)
        if rest:
            await asyncio.wait(rest, timeout=KILL_SECONDS)

    # --- workers ---

    async def _keep_all(self) -> int:
        """Let the first worker prepare everything, then keep all places filled. Returns only if it could not."""
        first = self._places[0] = await self._start(is_first=True)
        if not await first.comes_up():
            return exit_code(await first.ended)
        self._has_served = True
        operators = OperatorSocket(
            self._folder, self._config.data_dir, self._family, group_access=self._config.group_access
        )
        async with operators.serving(self._restart.request), asyncio.TaskGroup() as group:
            group.create_task(self._restart.serve())
            for place in range(len(self._places)):
                group.create_task(self._keep(place))
            group.create_task(self._watch())
        raise AssertionError("unreachable")

    async def _keep(self, place: int) -> None:
        """Keep a worker in this place, until cancelled."""
        pace = RestartPace()
        while True:
            worker = self._places[place]
            try:
                if worker is None:
                    worker = await self._fill(place)
                code = await asyncio.shield(worker.ended)
            except OSError as error:
                seconds = pace.pause(0)
                logger.error("❌ A worker cannot be started (%s). Trying again in %g s.", error, seconds)
            else:
                if self._places[place] is not worker:
                    continue
                self._places[place] = None
                seconds = pace.pause(worker.seconds_served)
                words = "Worker %d (process %d) %s. Starting another one in %g s."
                facts = worker.number, worker.pid, describe_end(code), seconds
                logger.log(logging.ERROR if code else logging.INFO, f"❌ {words}" if code else words, *facts)
            await asyncio.sleep(seconds)

    async def _fill(self, place: int) -> WorkerProcess:
        """Start a worker for a place that is empty; returns the one that it has then."""
        started = await self._start()
        if (other := self._places[place]) is not None:  # a rolling restart was here meanwhile
            started.stop()
            return other
        self._places[place] = started
        return started

    async def _start_successor(self, known_failures: list[str]) -> WorkerProcess:
        return await self._start(is_successor=True, known_failures=known_failures)

    async def _start(self, **facts: Any) -> WorkerProcess:
        """Start a worker with a number of its own; `facts` are further fields of its `Handover`."""
        number = next(number for number in count() if number not in self._numbers)
        self._numbers.add(number)
        try:
            handover = Handover(
                number=number,
                family=self._family,
                folder=self._folder,
                sockets=[sock.fileno() for sock in self._sockets],
                **facts,
            )
            worker = await WorkerProcess.start(handover, environment=self._environment, relay=self._relay)
        except BaseException:
            self._numbers.discard(number)
            raise
        self._living.add(worker)
        worker.ended.add_done_callback(lambda _: self._forget(worker))
        return worker

    def _forget(self, worker: WorkerProcess) -> None:
        self._living.discard(worker)
        self._counts.leave(worker.number)
        self._numbers.discard(worker.number)

    def _relay(self, sender: WorkerProcess, grown: Mapping[str, int], more: bool) -> None:
        """Tell the others what one has written."""
        for worker in self._living:
            if worker is not sender and worker.is_ready:
                worker.channel.wake(grown, more=more)

    async def _watch(self) -> None:
        """Replace workers whose loop does not turn any more; what they worked on is resumed by others."""
        looked_at = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            before, looked_at = looked_at, time.monotonic()
            stood_still = looked_at - before > 2 * LOOK_SECONDS  # and the workers perhaps with this process
            for worker in self._living:
                if stood_still:
                    worker.heard_at = looked_at
                elif worker.is_ready and looked_at - worker.heard_at > SILENT_SECONDS:
                    words = "❌ Worker %d (process %d) has not given a sign of life for %g s and is ended by force."
                    logger.error(words, worker.number, worker.pid, SILENT_SECONDS)
                    worker.signal(signal.SIGKILL)
