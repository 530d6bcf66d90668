"""One round: starts real servers, has clients talk to them, disturbs them, lets all settle, and checks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from websockets.exceptions import WebSocketException

from tests.faults.audit import audit
from tests.faults.chaos import Chaos, chooser
from tests.faults.checker import check_all, effects_in
from tests.faults.client import FaultClient
from tests.faults.conversations import Conversations
from tests.faults.cutter import Cutter
from tests.faults.database import TABLES, Database, PostgreSQL, Row, SQLite
from tests.faults.deaf import deaf_client
from tests.faults.disturbances import Kind
from tests.faults.model import FaultyModel
from tests.faults.report import Report
from tests.faults.stored import Stored
from tests.faults.supervised import SupervisedServer
from tests.faults.tracebacks import tracebacks
from tests.faults.view import View
from tests.support.agent_server import AgentServer
from tests.support.model_server import ModelServer
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.services import give_postgres_tables, give_sqlite_tables, postgres_database

LEASE_SECONDS = 3
SETTLE_SECONDS = 180
LONGER_SECONDS = 60.0
"""By how much at most a round takes longer than twice as long as wanted, to reach its counts."""
SQLITE, OWN_POSTGRES = "sqlite", "postgres"
SETTINGS = {"LEASE_SECONDS": LEASE_SECONDS, "DRAIN_SECONDS": 1, "STALL_SECONDS": 1.5}
SECRET = "of a round of the fault suite, whose servers are to take each other's states"
MOST_MIB = 400
"""That a server may ever have, whatever its clients do."""
_STALLED = "has read nothing for"


@dataclass(frozen=True, kw_only=True)
class Round:
    """What a round is: how long it disturbs, in seconds, how many clients of how many servers, on which `database`.

    Each server has `workers` under a supervisor, or is a single process with 0. The round continues until there were so
    many `kills` and `cuts`, and one client saw the end of so many `runs`, but not for ever. `redis` is the path of the
    program that wakes the servers up, None for none.
    """

    seconds: float
    seed: int
    clients: int
    servers: int
    workers: int
    database: str
    redis: str | None = None
    kills: int = 0
    cuts: int = 0
    runs: int = 0


class Supervisor:
    """Runs one round in `folder` and fills `report`."""

    def __init__(self, wanted: Round, folder: Path, report: Report) -> None:
        self._wanted = wanted
        self._folder = folder
        self._report = report
        self._model = FaultyModel(wanted.seed)
        names = [f"c{number}" for number in range(wanted.clients)]
        self._conversations = Conversations(names, self._random("followers"))
        self._effects = folder / "effects.jsonl"
        self._clients: list[FaultClient] = []
        self._audits: list[View] = []

    def run(self) -> None:
        """All of it; afterwards the report has the counts and the problems."""
        with ExitStack() as stack:
            model = stack.enter_context(ModelServer(default=self._model))
            postgres = stack.enter_context(PostgresServer()) if self._wanted.database == OWN_POSTGRES else None
            database, environment = self._database(stack, postgres)
            redis = None
            if self._wanted.redis is not None:
                redis = stack.enter_context(RedisServer(self._wanted.redis, self._folder))
                environment = environment | {"REDIS_URL": redis.url}
            # Servers of one SQLite database share its folder; those of a PostgreSQL are on machines of their own.
            shares_folder = not database.has_connections
            numbers = range(self._wanted.servers)
            folders = [self._folder if shares_folder else self._folder / str(number) for number in numbers]
            servers = [self._server(model, folder, environment) for folder in folders]
            with self._logs_kept(servers):
                for server in servers:
                    stack.push(server)
                with ThreadPoolExecutor() as pool:
                    list(pool.map(AgentServer.__enter__, servers))
                seed = self._wanted.seed
                chaos = Chaos(seed, servers, database, self._model, redis, postgres, lease_seconds=LEASE_SECONDS)
                asyncio.run(self._drive(chaos, servers))
                self._stop(servers, chaos)
            tables = {table: database.rows(table) for table in TABLES}
        self._check(Stored(tables, chaos.disturbances), chaos)
        self._count(tables, chaos)

    def _database(self, stack: ExitStack, own: PostgresServer | None) -> tuple[Database, dict[str, str]]:
        """The database of the round, and what servers are told of it."""
        if self._wanted.database == SQLITE:
            give_sqlite_tables(self._folder / "data")
            return SQLite(self._folder / "data" / "myagent.sqlite3"), {}
        if own is not None:
            give_postgres_tables(own.url)
        url = own.url if own is not None else stack.enter_context(postgres_database())
        return PostgreSQL(url), {"DATABASE_URL": url, "MYAGENT_SECRET_KEY": SECRET}

    def _stop(self, servers: list[AgentServer], chaos: Chaos) -> None:
        for server in servers:
            chaos.most_mib = max(chaos.most_mib, server.peak_mib)
            server.terminate()
        for server in servers:
            if (code := server.wait_exit()) != 0:
                self._report.problems.append(f"a server ended with {code}: {server.log[-2000:]}")

    def _random(self, actor: str) -> Random:
        return Random(f"{self._wanted.seed}/{actor}")

    def _server(self, model: ModelServer, folder: Path, environment: dict[str, str]) -> AgentServer:
        folder.mkdir(exist_ok=True)
        told: dict[str, str | None] = {**environment, "COUNTING_FILE": str(self._effects)}
        facts: dict[str, Any] = {"model": model, "settings": SETTINGS, "environment": told}
        if self._wanted.workers:
            return SupervisedServer(folder, "counting.py", workers=self._wanted.workers, **facts)
        return AgentServer(folder, "counting.py", **facts)

    @contextmanager
    def _logs_kept(self, servers: list[AgentServer]) -> Iterator[None]:
        try:
            yield
        finally:
            for number, server in enumerate(servers):
                (self._folder / f"server-{number}.log").write_text(server.log)
                self._report.counts["clients cut off because they did not read"] += server.log.count(_STALLED)
                self._report.problems += tracebacks(server.log)

    # --- while it runs ---

    async def _drive(self, chaos: Chaos, servers: list[AgentServer]) -> None:
        async with Cutter(self._random("cutter"), chooser(chaos, self._random("targets"))) as cutter:
            url = f"ws://127.0.0.1:{cutter.port}/"
            names = [f"c{number}" for number in range(self._wanted.clients)]
            self._clients = [FaultClient(name, url, self._random(name), self._conversations) for name in names]
            talking = [asyncio.create_task(client.run(), name=client.name) for client in self._clients]
            stop = asyncio.Event()
            disturbing = asyncio.create_task(chaos.run(stop))
            deaf = asyncio.create_task(deaf_client(servers, self._conversations, self._random("deaf"), stop))
            await self._disturbed(chaos, cutter, [*talking, disturbing])
            stop.set()
            await asyncio.gather(disturbing, deaf, return_exceptions=True)
            self._conversations.is_settling, cutter.is_cutting = True, False
            self._model.settle()
            await asyncio.wait(talking, timeout=SETTLE_SECONDS)
            for task in (*talking, disturbing, deaf):
                await self._end(task)
            for number, server in enumerate(servers):
                try:
                    name, talks = f"audit of server {number}", self._conversations.talks.values()
                    self._audits.append(await audit(name, server.url, talks))
                except (OSError, WebSocketException) as error:
                    self._report.problems.append(f"server {number} cannot be asked at the end: {error!r}")
            self._report.counts["connections cut by the proxy"] = cutter.cuts

    async def _disturbed(self, chaos: Chaos, cutter: Cutter, tasks: list[asyncio.Task[None]]) -> None:
        """Wait until enough has happened, or one of the tasks ended, which none should."""
        wanted, begun = self._wanted, time.monotonic()
        seconds = wanted.seconds
        while seconds > 0:
            done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            left = begun + 2 * wanted.seconds + LONGER_SECONDS - time.monotonic()
            lacks = cutter.cuts < wanted.cuts or chaos.disturbances.counts[Kind.KILL] < wanted.kills
            lacks = lacks or max(len(client.view.ended) for client in self._clients) < wanted.runs
            seconds = min(1.0, left) if lacks and not done else 0

    async def _end(self, task: asyncio.Task[None]) -> None:
        if not task.done():
            (client,) = [client for client in self._clients if client.name == task.get_name()]
            self._report.problems.append(
                f"{client.name} still waits {SETTLE_SECONDS} s after the last disturbance:"
                f" for the end of the runs {client.missing}, for a reply to the messages {client.unanswered}"
            )
            task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(outcome, Exception):
            self._report.problems.append(f"{task.get_name()} failed: {outcome!r}")

    # --- afterwards ---

    def _check(self, stored: Stored, chaos: Chaos) -> None:
        views = [*(client.view for client in self._clients), *self._audits]
        self._report.problems += [*self._model.problems, *chaos.problems]
        self._report.problems += check_all(
            stored, self._conversations, views, self._model.asked, effects_in(self._effects)
        )

    def _count(self, tables: dict[str, list[Row]], chaos: Chaos) -> None:
        counts = self._report.counts
        counts += chaos.disturbances.counts
        counts += self._conversations.counts
        counts["MiB that a server had at most"] = round(chaos.most_mib)
        if chaos.most_mib > MOST_MIB:
            self._report.problems.append(f"a server had {chaos.most_mib:.0f} MiB, which is more than {MOST_MIB}")
        counts["events checked"] = sum(client.view.checked for client in self._clients)
        counts["events stored"] = len(tables["event"])
        counts["runs"] = len(tables["run"])
        counts["runs that another process went on with"] = sum(row["attempts"] > 1 for row in tables["run"])
        counts["steps shown anew"] = sum(row["name"] == "agent.step_reset" for row in tables["event"])
        counts["tool calls"] = len(tables["toolcall"])
        counts["tool calls with unknown result"] = sum(row["outcome"] == "unknown" for row in tables["toolcall"])
        counts["spans of calls"] = len(tables["span"])
        counts["effects of tools"] = effects_in(self._effects).total()
        counts["model calls"] = len(self._model.asked)
        counts["model calls failed"] = sum(bool(request.fault) for request in self._model.asked)
        for row in tables["run"]:
            counts[f"runs {row['status']} {row['error_code']}".strip()] += 1
        for name, rows in tables.items():
            self._report.keep(name, rows)
        self._report.keep("model", self._model.asked)
        self._report.keep("disturbances", chaos.disturbances.all)
        self._report.keep("problems", self._report.problems)
