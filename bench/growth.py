"""`python -m bench.growth`: does a turn cost more when more is stored?

Databases with a thousand, a hundred thousand and a million events are served, by a server each, and the CPU time of
their turns is compared; and that of the first turns of one session with the last of its 400. Ends with 0 when all stay
within the bound, 1 when one does not, 2 when nothing could be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from agents.database.data_folder import DATABASE_FILE
from bench.client import WrongAnswer, conversation, load
from bench.measuring import COMMAND
from bench.model import CITIES
from bench.multiplying import copy_conversations
from bench.processes import Cores, ServerFailed, cpu_seconds, free_port, serving

STORED = (1_000, 100_000, 1_000_000)
EXCHANGES = 400
MEASURED = 40
"""Exchanges at the beginning and at the end of the long session whose cost is compared."""
BOUND = 1.3
SESSIONS = 20
SEED_TURNS = 3


def main() -> int:
    """Measure and say what was found; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--stored", type=int, action="append", metavar="N", help=f"stored events ({STORED})")
    parser.add_argument(
        "--exchanges", type=int, default=EXCHANGES, metavar="N", help="of the long session (%(default)s)"
    )
    parser.add_argument("--turns", type=int, default=5, metavar="N", help="turns per session and round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="measurements of each size (%(default)s)")
    options = parser.parse_args()
    try:
        with ExitStack() as stack:
            bench = Bench(stack)
            kept = bench.sizes(options.stored or list(STORED), turns=options.turns, rounds=options.rounds)
            return int(not (bench.long_session(options.exchanges) and kept))
    except (ServerFailed, WrongAnswer, subprocess.CalledProcessError) as error:
        print("\n".join([str(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
        return 2


class Bench:
    """The fake model and a folder for the databases; both are gone when `stack` is closed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._cores = Cores.split(pin=True)
        self._folder = Path(stack.enter_context(TemporaryDirectory(prefix="myagent-growth-")))
        self._model = free_port()
        model = [sys.executable, "-m", "bench.model", "--port", str(self._model)]
        stack.enter_context(serving(model, port=self._model, env={}, cores=self._cores.load))

    @contextmanager
    def _server(self, folder: Path) -> Iterator[tuple[str, int]]:
        port = free_port()
        env = {"OPENAI_BASE_URL": f"http://127.0.0.1:{self._model}/v1", "OPENAI_API_KEY": "x", "LLM_MODEL": "bench"}
        env |= {"MYAGENT_DATA_DIR": str(folder), "MYAGENT_LANGUAGE": "en"}
        command = shlex.split(COMMAND.format(port=port))
        with serving(command, port=port, env=env, cores=self._cores.server) as pid:
            yield f"ws://127.0.0.1:{port}/", pid

    def sizes(self, stored: list[int], *, turns: int, rounds: int) -> bool:
        """Compare databases with so many events; whether all are within the bound of the first."""
        seed = self._folder / "seed"
        with self._server(seed) as (url, pid):
            asyncio.run(load(url, pid=pid, at_once=SESSIONS, conversations=SESSIONS, turns=SEED_TURNS))
        running: dict[int, tuple[str, int]] = {}
        for size in stored:
            folder = self._folder / str(size)
            shutil.copytree(seed, folder, ignore=shutil.ignore_patterns("*.lock"))
            copy_conversations(folder / DATABASE_FILE, events=size)
            running[size] = self._stack.enter_context(self._server(folder))
        spent: dict[int, list[float]] = {size: [] for size in stored}
        for number in range(rounds):
            # First to last, then last to first: none always comes first.
            for size in stored if number % 2 == 0 else stored[::-1]:
                url, pid = running[size]
                done = asyncio.run(load(url, pid=pid, at_once=SESSIONS, conversations=SESSIONS, turns=turns))
                spent[size].append(done.server_cpu_seconds / len(done.turns))
        medians = {size: statistics.median(seconds) for size, seconds in spent.items()}
        first = medians[stored[0]]
        kept = [_told(f"{size:,} events stored", seconds, first) for size, seconds in medians.items()]
        return all(kept)

    def long_session(self, exchanges: int) -> bool:
        """Compare the first and the last exchanges of one session; whether these are within the bound."""
        with self._server(self._folder / "long") as (url, pid):
            first, last = asyncio.run(_ends(url, pid, exchanges))
        _told(f"the first {MEASURED} exchanges of a session", first, first)
        return _told(f"the last {MEASURED} of {exchanges}", last, first)


async def _ends(url: str, pid: int, exchanges: int) -> tuple[float, float]:
    """CPU seconds per turn of the server, at the beginning and at the end of one conversation."""
    marks: list[float] = []
    async with conversation(url) as talk:
        for number in range(-1, exchanges):
            if number in (0, MEASURED, exchanges - MEASURED):
                marks.append(cpu_seconds(pid))
            await talk.turn(CITIES[number % len(CITIES)])
        marks.append(cpu_seconds(pid))
    return (marks[1] - marks[0]) / MEASURED, (marks[3] - marks[2]) / MEASURED


def _told(what: str, seconds: float, first: float) -> bool:
    """Print one result with its ratio to the first one; whether that is within the bound."""
    ratio = seconds / first
    words = "kept" if ratio <= BOUND else "missed"
    print(f"{what:40} {seconds * 1000:6.2f} ms CPU per turn  {ratio:5.2f}×  ≤ {BOUND:g}×: {words}", flush=True)
    return ratio <= BOUND


if __name__ == "__main__":
    sys.exit(main())
