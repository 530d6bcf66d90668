"""`python -m bench.cluster [PART …]`: what several processes do together on one PostgreSQL, with Redis.

turns: turns per second and CPU per turn with 1, 2 and 4 workers. latency: from the commit of an event to a client of
another server. takeover: how long a run pauses whose process is killed. idle: memory of 10,000 connections of two
workers. storm: 2,000 clients that lose their server at the same moment. All parts by default; PostgreSQL and Redis are
those of the tests. Ends with 0 when all keep to their bounds, 1 when one does not, 2 when nothing could be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory, mkdtemp

from bench.client import WrongAnswer, idle, load
from bench.measuring import COMMAND
from bench.probing import token_of
from bench.processes import MeasuredServer, ServerFailed, free_port, serving
from bench.report import percentile
from bench.watching import Killed, delays, storm
from tests.support.services import answering_redis, postgres_database

PARTS = ("turns", "latency", "takeover", "idle", "storm")
WORKERS = (1, 2, 4)
SESSIONS, TURNS = 50, 4
PACED_MS = 20
OPEN_FILES = 16_384
UP_SECONDS = 120.0
KIB = 1024
UNLIMITED = {
    "MAX_CONNECTIONS": 12_000,
    "USER_SESSIONS": None,
    "USER_STORED_BYTES": None,
    "USER_REQUESTS_PER_SECOND": None,
    "USER_BYTES_PER_SECOND": None,
}
"""For crowds that are one user."""
SPEEDUP, P50_MS, P99_MS, TAKEOVER_SECONDS, CONNECTION_KIB = 1.7, 10.0, 100.0, 20.0, 20.0


class Cluster:
    """Where servers run: one database, one Redis, one fake model; all is gone when `stack` is closed."""

    def __init__(self, stack: ExitStack, *, delay_ms: int = 0) -> None:
        self._folder = stack.enter_context(TemporaryDirectory(prefix="myagent-cluster-"))
        model = free_port()
        command = [sys.executable, "-m", "bench.model", "--port", str(model), "--delay-ms", str(delay_ms)]
        stack.enter_context(serving(command, port=model, env={}, cores=frozenset()))
        self.env = {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{model}/v1",
            "OPENAI_API_KEY": "x",
            "LLM_MODEL": "bench",
            "DATABASE_URL": stack.enter_context(postgres_database()),
            "REDIS_URL": answering_redis(),
            "MYAGENT_SECRET_KEY": "of one cluster that is only measured",
            "MYAGENT_LANGUAGE": "en",
        }

    @contextmanager
    def server(self, *, workers: int = 0, settings: dict[str, object] | None = None) -> Iterator[MeasuredServer]:
        """A server with a data folder of its own, as on a machine of its own; it may be killed."""
        port = free_port()
        env = self.env | {"MYAGENT_DATA_DIR": mkdtemp(dir=self._folder)}
        if settings:
            env |= {"DJANGO_SETTINGS_MODULE": "tests.support.changed_settings", "TEST_MYAGENT": json.dumps(settings)}
        command = shlex.split(COMMAND.format(port=port)) + (["--workers", str(workers)] if workers else [])
        server = MeasuredServer(command, port=port, env=env, cores=frozenset())
        server.start()
        try:
            until = time.monotonic() + UP_SECONDS
            while server.log.count("Listening on") < workers:
                if server.has_ended or time.monotonic() > until:
                    raise ServerFailed("Not all workers came to serve.", server.last_words)
                time.sleep(0.05)
            yield server
        finally:
            server.stop()


def turns(rounds: int) -> bool:
    """Compare numbers of workers, from the first to the last and back."""
    found: dict[int, list[tuple[float, float]]] = {count: [] for count in WORKERS}
    with ExitStack() as stack:
        cluster = Cluster(stack)
        for number in range(rounds):
            for count in WORKERS if number % 2 == 0 else WORKERS[::-1]:
                with cluster.server(workers=count) as server:
                    done = asyncio.run(
                        load(server.url, pid=server.pid, at_once=SESSIONS, conversations=SESSIONS, turns=TURNS)
                    )
                answered = len(done.turns)
                found[count].append((answered / done.wall_seconds, done.server_cpu_seconds / answered * 1000))
    rates, costs = ({count: statistics.median(each[at] for each in found[count]) for count in WORKERS} for at in (0, 1))
    for count in WORKERS:
        print(f"{count} workers: {rates[count]:6.1f} turns/s, {costs[count]:5.2f} ms CPU per turn of the servers")
    cores, possible = os.cpu_count() or 1, 2 * costs[1] / costs[2]
    print(f"from 1 to 2 workers {rates[2] / rates[1]:.2f}× on {cores} cores that model, client and database share")
    return told("by CPU per turn two free cores do", possible, "×", SPEEDUP, at_least=True)


def latency(rounds: int) -> bool:
    """From a server to the clients of another one."""
    with ExitStack() as stack:
        cluster = Cluster(stack, delay_ms=PACED_MS)
        here, there = (stack.enter_context(cluster.server()) for _ in range(2))
        found = [delay for _ in range(rounds) for delay in asyncio.run(delays(here.url, there.url))]
    near, far = ([1000 * each[at] for each in found] for at in (0, 1))
    print(
        f"{len(found)} events, from the time in them, which is read before the COMMIT, to a client of the same process:"
        f" p50 {percentile(near, 0.5):.1f} ms, p99 {percentile(near, 0.99):.1f} ms"
    )
    half = told("to one of another process: p50", percentile(far, 0.5), " ms", P50_MS)
    return told("and p99", percentile(far, 0.99), " ms", P99_MS) and half


def takeover(rounds: int) -> bool:
    """A server on a machine of its own, then one of two workers, is killed in the middle of an answer."""
    with ExitStack() as stack:
        cluster = Cluster(stack, delay_ms=PACED_MS)
        there = stack.enter_context(cluster.server(workers=2))
        machines, workers = [], []
        for _ in range(rounds):
            with cluster.server() as here:
                machines.append(asyncio.run(Killed(here.url, there.url).pause(here.kill)))
            workers.append(asyncio.run(Killed(there.url, there.url).pause_of_worker(there.pid)))
    resumed = told("a machine is gone: its runs are resumed after at most", max(machines), " s", TAKEOVER_SECONDS)
    return told("a worker is killed: they are after at most", max(workers), " s", TAKEOVER_SECONDS) and resumed


def idle_connections(count: int) -> bool:
    """Connections with a session each that say nothing, over two workers."""
    with ExitStack() as stack:
        cluster = Cluster(stack)
        server = stack.enter_context(cluster.server(workers=2, settings=UNLIMITED))
        url = f"{server.url}?token={token_of('ann', cluster.env)}"
        found = asyncio.run(idle(url, pid=server.pid, sessions=count))
    each = (found.after - found.before) / KIB / count
    return told(f"{count} idle connections of 2 workers take each", each, " KiB", CONNECTION_KIB)


def reconnecting(count: int) -> bool:
    """All clients of two workers lose them at once, and come back to new ones."""
    with ExitStack() as stack:
        cluster = Cluster(stack)
        server = stack.enter_context(cluster.server(workers=2, settings=UNLIMITED))
        url = f"{server.url}?token={token_of('ann', cluster.env)}"
        back = asyncio.run(storm(url, server.pid, count))
    print(
        f"{count} clients whose 2 workers were killed have everything again after"
        f" {percentile(back, 0.5):.1f} s (p50), {percentile(back, 0.99):.1f} s (p99), {max(back):.1f} s (all)"
    )
    return len(back) == count


def told(what: str, value: float, unit: str, bound: float, *, at_least: bool = False) -> bool:
    """Print one result; whether it is within its bound."""
    kept = value >= bound if at_least else value <= bound
    print(f"{what} {value:.2f}{unit}, {'≥' if at_least else '≤'} {bound:g}: {'kept' if kept else 'missed'}", flush=True)
    return kept


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and say what was found; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)} (all)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="measurements of each (%(default)s)")
    parser.add_argument("--idle", type=int, default=10_000, metavar="N", help="idle connections (%(default)s)")
    parser.add_argument("--storm", type=int, default=2_000, metavar="N", help="clients that reconnect (%(default)s)")
    options = parser.parse_args(argv)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"There is no part {', '.join(sorted(unknown))}.")
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard) if hard >= 0 else OPEN_FILES, hard))
    work: dict[str, Callable[[], bool]] = {
        "turns": lambda: turns(options.rounds),
        "latency": lambda: latency(options.rounds),
        "takeover": lambda: takeover(options.rounds),
        "idle": lambda: idle_connections(options.idle),
        "storm": lambda: reconnecting(options.storm),
    }
    try:
        kept = [work[part]() for part in options.parts or PARTS]
    except (ServerFailed, WrongAnswer) as error:
        print("\n".join([str(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
        return 2
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
