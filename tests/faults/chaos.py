"""Kills, stops and starts servers, locks their database, lets the model fail: by chance, one task for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext, suppress
from random import Random

from tests.faults.database import Database
from tests.faults.disturbances import Disturbances, Kind
from tests.faults.model import FaultyModel
from tests.server import AgentServer

SERVER_ACTIONS = {"kill": 60, "kill twice": 10, "terminate": 10, "pause": 20}
ALONE_SHARE = 0.75
"""How often a server is disturbed only while the other one works: a round without any server shows little."""


class Chaos:
    """What happens is chosen by `seed`; when exactly, by the machine."""

    def __init__(
        self,
        seed: int,
        servers: list[AgentServer],
        database: Database,
        model: FaultyModel,
        *,
        lease_seconds: float,
    ) -> None:
        self.disturbances = Disturbances()
        self.up = dict.fromkeys(servers, True)
        """Whether a server takes connections, as far as is known here."""
        self._seed = seed
        self._database = database
        self._model = model
        self._lease_seconds = lease_seconds
        self._stop = asyncio.Event()
        self._turn = asyncio.Lock()

    async def run(self, stop: asyncio.Event) -> None:
        """Disturb until `stop` is set; then everything is up again."""
        self._stop = stop
        async with asyncio.TaskGroup() as group:
            for number, server in enumerate(self.up):
                group.create_task(self._disturb_server(number, server))
            group.create_task(self._disturb_database())
            group.create_task(self._disturb_model())

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
        action = "kill"  # comes first, so that even the shortest round has one
        while not await self._pause(random.uniform(0.2, 5)):
            async with self._turn if random.random() < ALONE_SHARE else nullcontext():
                await self._disturb(server, name, action, random)
            (action,) = random.choices(list(SERVER_ACTIONS), list(SERVER_ACTIONS.values()))

    async def _disturb(self, server: AgentServer, name: str, action: str, random: Random) -> None:
        match action:
            case "kill":
                with self.disturbances.during(Kind.KILL, name):
                    await self._kill(server)
                    await self._start(server)
            case "kill twice":
                await self._kill_while_it_starts(server, name, random.uniform(0.1, 2))
            case "terminate":
                with self.disturbances.during(Kind.TERMINATE, name):
                    await self._terminate(server)
                    await self._start(server)
            case "pause":
                with self.disturbances.during(Kind.PAUSE, name):
                    await self._freeze(server, self._lease_seconds * random.uniform(1.2, 2.2))

    async def _kill(self, server: AgentServer) -> None:
        self.up[server] = False
        await asyncio.to_thread(server.kill)

    async def _start(self, server: AgentServer) -> None:
        await asyncio.to_thread(server.start)
        self.up[server] = True

    async def _kill_while_it_starts(self, server: AgentServer, name: str, seconds: float) -> None:
        with self.disturbances.during(Kind.KILL, name):
            await self._kill(server)
            starting = asyncio.create_task(asyncio.to_thread(server.start))
            await asyncio.sleep(seconds)
        with self.disturbances.during(Kind.KILL, name):
            await asyncio.to_thread(server.kill)
            with suppress(AssertionError):  # how it says that it did not come to listen
                await starting
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

    # --- what they stand on ---

    async def _disturb_database(self) -> None:
        random = Random(f"{self._seed}/database")
        while not await self._pause(random.uniform(4, 15)):
            if random.random() < 0.6 or not self._database.has_connections:
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


def chooser(chaos: Chaos, random: Random) -> Callable[[], int]:
    """The port that a new connection goes to: of a server that is up, if one is."""

    def choose() -> int:
        ports = [server.port for server, is_up in chaos.up.items() if is_up]
        return random.choice(ports or [server.port for server in chaos.up])

    return choose
