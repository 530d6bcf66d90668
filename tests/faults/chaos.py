"""Kills, stops and starts servers, locks their database, lets the model fail: by chance, one task for each of them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from random import Random

from myagent.testing.server_process import ServerFailed
from tests.faults.database import Database
from tests.faults.disturbances import CRASHING, Disturbances, Kind
from tests.faults.model import FaultyModel
from tests.faults.supervised import SupervisedServer
from tests.support.agent_server import AgentServer
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.worker_pids import is_gone

SERVER_ACTIONS = {"kill": 60, "kill again": 20, "terminate": 8, "pause": 12}
SUPERVISED_ACTIONS = {"kill": 15, "kill again": 5, "kill supervisor": 15, "terminate": 8, "pause": 7, "replace": 50}
"""To a server with workers as a whole, seldom; its workers are disturbed one by one meanwhile."""
CALM_SECONDS = (0.2, 2.5)
SUPERVISED_CALM_SECONDS = (8.0, 30.0)
HANG_SHARE = 0.1
"""How often a worker is paused until its supervisor ends it by force."""
HANG_SECONDS = 60.0
ALONE_SHARE = 0.75
"""How often a server is disturbed only while the other one works: a round without any server shows little."""

UP_SHARE = 0.7
"""Of the time that a start takes, a server is left alone after it: on a busy machine none would ever be up."""

RESTART_SHARE = 0.25
"""Of what happens to the database, where it is the round's own."""

HOLDING = frozenset({Kind.PAUSE, Kind.LOCK})
"""What can hold the lock of a SQLite database for longer than a server that starts waits for it."""
LOCKED = "database is locked"
AWAY = frozenset({Kind.RESTART_DATABASE, Kind.CUT_DATABASE})
"""What a server that starts need not survive."""
REPLACE_SECONDS = 180.0


class Chaos:
    """What happens is chosen by `seed`; when exactly, by the machine."""

    def __init__(
        self,
        seed: int,
        servers: list[AgentServer],
        database: Database,
        model: FaultyModel,
        redis: RedisServer | None,
        postgres: PostgresServer | None,
        *,
        lease_seconds: float,
    ) -> None:
        self.disturbances = Disturbances()
        self.up = dict.fromkeys(servers, True)
        """Whether a server takes connections, as far as is known here."""
        self.most_mib = 0.0
        """The most memory that a server ever had."""
        self.problems: list[str] = []
        self._seed = seed
        self._database = database
        self._model = model
        self._redis = redis
        self._postgres = postgres
        self._lease_seconds = lease_seconds
        self._start_seconds = 0.0
        self._stop = asyncio.Event()
        self._turn = asyncio.Lock()

    async def run(self, stop: asyncio.Event) -> None:
        """Disturb until `stop` is set; then everything is up again."""
        self._stop = stop
        async with asyncio.TaskGroup() as group:
            for number, server in enumerate(self.up):
                group.create_task(self._disturb_server(number, server))
                if isinstance(server, SupervisedServer):
                    for worker in range(server.workers):
                        group.create_task(self._disturb_worker(f"{number}.{worker}", server))
            group.create_task(self._disturb_database())
            group.create_task(self._disturb_model())
            if self._redis is not None:
                group.create_task(self._disturb_redis(self._redis))

    async def _pause(self, seconds: float) -> bool:
        """Wait, at most until the end; tells whether that has come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        return self._stop.is_set()

    # --- servers ---

    async def _disturb_server(self, number: int, server: AgentServer) -> None:
        random = Random(f"{self._seed}/server {number}")
        name = f"server {number}"
        # What comes first is in the shortest round, too.
        actions, action, calm = SERVER_ACTIONS, "kill", CALM_SECONDS
        if isinstance(server, SupervisedServer):
            actions, action, calm = SUPERVISED_ACTIONS, "replace", SUPERVISED_CALM_SECONDS
        while not await self._pause(random.uniform(*calm) + UP_SHARE * self._start_seconds):
            async with self._turn if random.random() < ALONE_SHARE else nullcontext():
                await self._disturb(server, name, action, random)
            (action,) = random.choices(list(actions), list(actions.values()))

    async def _disturb(self, server: AgentServer, name: str, action: str, random: Random) -> None:
        match action:
            case "kill":
                with self.disturbances.during(Kind.KILL, name):
                    await self._kill(server)
                    await self._start(server)
            case "kill again":
                moments = [random.uniform(0.1, 2.5) for _ in range(random.choice((1, 1, 2)))]
                await self._kill_while_it_starts(server, name, moments)
            case "kill supervisor":
                assert isinstance(server, SupervisedServer)
                with self.disturbances.during(Kind.KILL, name):
                    self.up[server] = False
                    await asyncio.to_thread(server.kill_supervisor)
                    await self._start(server)
            case "replace":
                assert isinstance(server, SupervisedServer)
                with self.disturbances.during(Kind.REPLACE, name):
                    await self._replace(server, name)
            case "terminate":
                with self.disturbances.during(Kind.TERMINATE, name):
                    await self._terminate(server)
                    await self._start(server)
            case "pause":
                with self.disturbances.during(Kind.PAUSE, name):
                    await self._freeze(server, self._lease_seconds * random.uniform(1.2, 2.2))

    async def _kill(self, server: AgentServer) -> None:
        self.up[server] = False
        self.most_mib = max(self.most_mib, server.peak_mib)
        await asyncio.to_thread(server.kill)

    async def _start(self, server: AgentServer) -> None:
        """As a service manager would: again, when it ended because something that stands still held the database."""
        begun = time.time()
        while not self.up[server]:
            try:
                await asyncio.to_thread(server.start)
                self.up[server] = True
            except ServerFailed as failed:
                is_held = LOCKED in failed.log[-500:] and self.disturbances.count(HOLDING, begun, time.time())
                if not is_held and not self.disturbances.count(AWAY, begun, time.time()):
                    raise
        self._start_seconds = time.time() - begun

    async def _kill_while_it_starts(self, server: AgentServer, name: str, moments: list[float]) -> None:
        with self.disturbances.during(Kind.KILL, name):
            await self._kill(server)
            for seconds in moments:
                with self.disturbances.during(Kind.KILL, name):
                    starting = asyncio.create_task(asyncio.to_thread(server.start))
                    await asyncio.sleep(seconds)
                    await asyncio.to_thread(server.kill)
                    with suppress(ServerFailed):  # it did not come to listen
                        await starting
                        await self._kill(server)  # the process was not there yet
            await self._start(server)

    async def _terminate(self, server: AgentServer) -> None:
        self.up[server] = False
        server.terminate()
        code = await asyncio.to_thread(server.wait_exit)
        assert code == 0, f"a server that was asked to stop ended with {code}: {server.log[-2000:]}"

    async def _freeze(self, server: AgentServer, seconds: float) -> None:
        await asyncio.to_thread(server.pause)
        try:
            await self._pause(seconds)
        finally:
            server.resume()

    # --- workers ---

    async def _replace(self, server: SupervisedServer, name: str) -> None:
        """Have all workers replaced; that may fail only because something else happened meanwhile."""
        begun, before = time.time(), len(server.replacements)
        server.replace_workers()
        async with asyncio.timeout(REPLACE_SECONDS):
            while len(server.replacements) == before:
                await asyncio.sleep(0.1)
        outcome = server.replacements[-1]
        # The disturbance that this is itself is none of these.
        if not outcome.startswith("All") and not self.disturbances.count(CRASHING, begun, time.time()):
            self.problems.append(f"{name}: {outcome!r}, although nothing else happened")

    async def _disturb_worker(self, number: str, server: SupervisedServer) -> None:
        random = Random(f"{self._seed}/worker {number}")
        while not await self._pause(random.uniform(2, 20)):
            pid = server.one_worker(random) if self.up[server] else None
            if pid is None:
                continue
            self.most_mib = max(self.most_mib, server.peak_mib)
            if random.random() < ALONE_SHARE:
                with self.disturbances.during(Kind.KILL, f"worker {pid}"), suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            else:
                seconds = self._lease_seconds * random.uniform(1.2, 2.2)
                with self.disturbances.during(Kind.PAUSE, f"worker {pid}"), suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
                    await self._held_up(pid, HANG_SECONDS if random.random() < HANG_SHARE else seconds)

    async def _held_up(self, pid: int, seconds: float) -> None:
        """Wait while a worker stands still: until it is killed, by its supervisor for example, or this is over."""
        until = time.monotonic() + seconds
        while not is_gone(pid) and time.monotonic() < until and not await self._pause(0.2):
            pass
        os.kill(pid, signal.SIGCONT)

    # --- what they stand on ---

    async def _disturb_database(self) -> None:
        random = Random(f"{self._seed}/database")
        while not await self._pause(random.uniform(4, 15)):
            if self._postgres is not None and random.random() < RESTART_SHARE:
                with self.disturbances.during(Kind.RESTART_DATABASE):
                    await asyncio.to_thread(self._postgres.stop, crash=random.random() < 0.5)
                    await self._pause(random.uniform(0.1, 5))
                    await asyncio.to_thread(self._postgres.start)
            elif random.random() < 0.6 or not self._database.has_connections:
                with self.disturbances.during(Kind.LOCK):
                    await asyncio.to_thread(self._database.hold_lock, random.uniform(1, 3))
            else:
                with self.disturbances.during(Kind.CUT_DATABASE):
                    await asyncio.to_thread(self._database.cut_connections)

    async def _disturb_model(self) -> None:
        random = Random(f"{self._seed}/model")
        while not await self._pause(random.uniform(10, 30)):
            with self.disturbances.during(Kind.MODEL_OUT):
                self._model.is_out = True
                await self._pause(random.uniform(0.3, 1.5))
                self._model.is_out = False

    async def _disturb_redis(self, redis: RedisServer) -> None:
        random = Random(f"{self._seed}/redis")
        while not await self._pause(random.uniform(3, 12)):
            with self.disturbances.during(Kind.REDIS):
                await asyncio.to_thread(redis.kill)
                await self._pause(random.uniform(0.1, 4))
                await asyncio.to_thread(redis.start)


def chooser(chaos: Chaos, random: Random) -> Callable[[], int]:
    """The port that a new connection goes to: of a server that is up, if one is."""

    def choose() -> int:
        ports = [server.port for server, is_up in chaos.up.items() if is_up]
        return random.choice(ports or [server.port for server in chaos.up])

    return choose
