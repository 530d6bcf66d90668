"""`python -m bench.hanging`: what clients notice of a PostgreSQL that hangs: it takes what is sent and answers nothing.

The server reaches its database through a proxy that freezes. Measured are WebSocket pings before and meanwhile, how
long requests wait for their `try_again`, and how long the process takes to end. Ends with 0 when all three keep to
their bounds, 1 when one does not, 2 when nothing could be measured.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect

from bench.processes import MeasuredServer, ServerFailed, free_port
from bench.report import percentile
from myagent.client import RequestRefused
from myagent.client import connect as connect_client
from tests.support.proxy import Proxy
from tests.support.services import postgres_database

SETTLE_SECONDS = 5.0
PINGS = 300
PAUSE_SECONDS = 0.01
REQUESTS = 20
DRAIN_SECONDS = 10
"""The server's own default."""
BUDGET_RATIO, BUDGET_MS = 3.0, 20.0
"""A ping may take so many times as long as before, at the 95th percentile, or so many milliseconds if that is more."""
BUDGET_REFUSAL_SECONDS = 4.0
"""Three, after which those who wait are told, and one for all else."""
BUDGET_END_SECONDS = DRAIN_SECONDS + 10.0


async def ping_p95(socket: ClientConnection) -> float:
    """Milliseconds, at the 95th percentile, of pings one after the other."""
    taken = []
    for _ in range(PINGS):
        taken.append(await (await socket.ping()) * 1000)
        await asyncio.sleep(PAUSE_SECONDS)
    return percentile(taken, 0.95)


async def slowest_refusal(url: str, began: asyncio.Event) -> float:
    """Seconds until the last of several requests, each on its own connection, was told to try again."""
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(_refused_after(url, began)) for _ in range(REQUESTS)]
    return max(task.result() for task in waits)


async def _refused_after(url: str, began: asyncio.Event) -> float:
    async with connect_client(url) as client:
        await began.wait()
        sent = time.perf_counter()
        try:
            await client.list_sessions()
        except RequestRefused as refused:
            if refused.code != "try_again":
                raise
            return time.perf_counter() - sent
    raise ServerFailed("A request was answered while the database hung.", "")


async def measured(url: str, proxy: Proxy) -> tuple[float, float, float]:
    """Pings before and meanwhile in milliseconds, and the slowest refusal in seconds."""
    began = asyncio.Event()
    async with connect(url) as socket:
        refusals = asyncio.create_task(slowest_refusal(url, began))
        await asyncio.sleep(SETTLE_SECONDS)
        before = await ping_p95(socket)
        await asyncio.to_thread(proxy.freeze)
        began.set()
        return before, await ping_p95(socket), await refusals


@contextmanager
def served(folder: str) -> Iterator[tuple[MeasuredServer, Proxy]]:
    """A server whose database is behind a proxy; it is left to the caller to end it."""
    with postgres_database() as database:
        place = urlsplit(database)
        with Proxy(place.hostname or "127.0.0.1", place.port or 5432) as proxy:
            behind = place._replace(netloc=f"{place.username}@127.0.0.1:{proxy.port}").geturl()
            env = {"MYAGENT_DATA_DIR": folder, "DATABASE_URL": behind}
            port = free_port()
            command = [sys.executable, "manage.py", "runagent", "bench/agent.py", "--port", str(port), "--llm", "demo"]
            server = MeasuredServer(command, port=port, env=env, cores=frozenset())
            server.start()
            try:
                yield server, proxy
            finally:
                server.stop()


def main() -> int:
    """Measure and say what was found; returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with served(folder) as (server, proxy):
                before, meanwhile, refusal = asyncio.run(measured(f"ws://127.0.0.1:{server.port}/", proxy))
                server.terminate()
                began = time.perf_counter()
                server.wait_exit()
                end = time.perf_counter() - began
        except ServerFailed as error:
            print("\n".join([str(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
            return 2
    allowed = max(BUDGET_RATIO * before, BUDGET_MS)
    print(f"ping p95: {before:.1f} ms before, {meanwhile:.1f} ms meanwhile, at most {allowed:.1f} ms")
    print(f"slowest refusal of {REQUESTS}: {refusal:.1f} s, at most {BUDGET_REFUSAL_SECONDS:g} s")
    print(f"end of the process: {end:.1f} s, at most {BUDGET_END_SECONDS:g} s")
    return int(meanwhile > allowed or refusal > BUDGET_REFUSAL_SECONDS or end > BUDGET_END_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
