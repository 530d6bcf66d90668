"""Kill servers in the middle of runs that have limits, fallback models, steering, structured output and hooks.

    python -m tests.faults.kills --rounds 100 --seed 7 --database sqlite
    python -m tests.faults.kills --rounds 100 --database postgres

Each round has a server and a conversation of its own, and is drawn by the seed and its number; `--only N` plays one.
The folder of a round in which something is wrong is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import secrets
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.faults.checker import effects_in
from tests.faults.kills.draw import OPTIONS, Drawn
from tests.faults.kills.killed_round import KilledRound, Outcome
from tests.faults.kills.script import MAIN, SECOND
from tests.faults.kills.verdict import Verdict
from tests.faults.report import Report
from tests.faults.tracebacks import tracebacks
from tests.support.services import answering_postgres, give_sqlite_tables

SQLITE, POSTGRES = "sqlite", "postgres"


def main() -> int:
    """The command; returns its exit code."""
    wanted = _arguments()
    os.environ.pop("DATABASE_URL", None)
    if wanted.database == POSTGRES:
        os.environ["DATABASE_URL"] = answering_postgres()
    # Whoever asks the models is killed in the middle of their replies; their servers have much to say about that.
    logging.getLogger("aiohttp.server").disabled = True
    folder = Path(tempfile.mkdtemp(prefix="myagent-kills-"))
    repeat = f"python -m tests.faults.kills --rounds {wanted.rounds} --seed {wanted.seed} --database {wanted.database}"
    report = Report(repeat, folder)
    sys.stdout.write(f"{repeat}\n")
    sys.stdout.flush()
    give_sqlite_tables(folder / "first")  # the template is made before several rounds begin with it
    numbers = range(wanted.rounds) if wanted.only is None else [wanted.only]
    asyncio.run(_play(wanted, list(numbers), report))
    sys.stdout.write(f"{report}\n")
    if not report.problems:
        shutil.rmtree(folder)
    return 1 if report.problems else 0


async def _play(wanted: argparse.Namespace, numbers: list[int], report: Report) -> None:
    places = asyncio.Semaphore(wanted.at_once)

    async def one(number: int) -> None:
        async with places:
            await _play_one(f"{wanted.seed}/{number}", report.folder / str(number), report)

    async with asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(one(number))


async def _play_one(seed: str, folder: Path, report: Report) -> None:
    drawn = Drawn.by(seed)
    outcome = await KilledRound(drawn, folder).play()
    effects = effects_in(folder / "effects.jsonl")
    problems = [*Verdict(outcome, effects).problems(), *tracebacks((folder / "server.log").read_text())]
    report.problems += [f"round {folder.name} ({' '.join(drawn.options)}): {problem}" for problem in problems]
    report.counts.update(_counts(outcome))
    report.counts["effects of tools"] += effects.total()
    if problems:
        kept = Report("", folder)
        kept.keep("frames", outcome.frames)
        kept.keep("asked", outcome.asked)
    else:
        shutil.rmtree(folder)


def _counts(outcome: Outcome) -> Counter[str]:
    drawn = outcome.drawn
    counts = Counter({f"rounds with {option}": 1 for option in drawn.options})
    counts["rounds"] = 1
    counts["rounds with everything"] = int(len(drawn.options) == len(OPTIONS))
    if "fallback" in drawn.options and drawn.fails:
        counts[f"rounds in which the first model is {drawn.fails}"] = 1
    counts["kills"] = len(outcome.kills)
    counts["kills in an unfinished run"] = outcome.in_runs
    counts["cancels"] = outcome.cancels
    counts["messages accepted"] = len(outcome.accepted)
    counts["messages taken back"] = len(outcome.taken_back)
    counts["model calls"] = len(outcome.asked)
    counts["model calls of the second model"] = sum(asked.model == SECOND for asked in outcome.asked)
    for frame in outcome.frames:
        if frame.ends_run:
            counts[f"runs that ended with {frame.event} {frame.code or frame.metadata.get('finish', '')}".strip()] += 1
        elif frame.event == "user.message" and not frame.metadata["message_id"].startswith(MAIN):
            counts["steering messages read"] += 1
        elif frame.event == "agent.step_reset":
            counts[f"steps taken back: {frame.metadata['reason']}"] += 1
    return counts


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kills", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100, help="how many conversations (%(default)s)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="chooses what happens (by chance)")
    parser.add_argument("--only", type=int, default=None, help="play the round with this number, from 0")
    parser.add_argument("--database", choices=(SQLITE, POSTGRES), default=SQLITE, help="(%(default)s)")
    parser.add_argument("--at-once", type=int, default=2, help="how many at the same time (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
