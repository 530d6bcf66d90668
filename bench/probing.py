"""`python -m bench.probing`: can a stranger tell by the clock that a session is there?

One user asks over and over, in random order, for a session of another user and for one that is not there. What is
compared is the time until the refusal. Ends with 0 when the two cannot be told apart, 1 when they can, 2 when nothing
could be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from bench.processes import ROOT, ServerFailed, environment, free_port, serving
from myagent.client import RequestRefused, connect

WARM_UP = 200
RESAMPLES = 2_000
TRIMMED = 0.05
"""Of the slowest answers, which tell of the machine and not of the request."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Medians in microseconds, and where their difference lies with a certainty of 99 %."""

    foreign: float
    missing: float
    low: float
    high: float

    @property
    def tells(self) -> bool:
        """Whether zero is outside."""
        return not self.low <= 0 <= self.high

    def __str__(self) -> str:
        found = "can be told apart" if self.tells else "cannot be told apart"
        return (
            f"somebody else's {self.foreign:.1f} µs, not there {self.missing:.1f} µs; "
            f"difference {self.low:+.2f} to {self.high:+.2f} µs (99 %): they {found}"
        )


async def probe(url: str, tokens: dict[str, str], rounds: int) -> Verdict:
    """Ask for both, in random order and equally often."""
    async with connect(url, token=tokens["ann"]) as ann:
        foreign = await ann.create_session()
        async with connect(url, token=tokens["bob"]) as bob:
            ids = {"foreign": foreign, "missing": str(uuid.uuid4())}
            taken: dict[str, list[float]] = {kind: [] for kind in ids}
            order = [kind for kind in ids for _ in range(rounds)]
            random.shuffle(order)
            for kind in [*random.choices(list(ids), k=WARM_UP), *order]:
                began = time.perf_counter()
                try:
                    await bob.request({"event": "user.reconnect", "session_id": ids[kind]})
                except RequestRefused:
                    taken[kind].append((time.perf_counter() - began) * 1e6)
    return judge(taken["foreign"], taken["missing"])


def judge(foreign: list[float], missing: list[float]) -> Verdict:
    """Compare the medians, by drawing again from what was measured."""
    samples = [sorted(values)[: int(len(values) * (1 - TRIMMED))] for values in (foreign, missing)]
    differences = sorted(
        statistics.median(random.choices(samples[0], k=len(samples[0])))
        - statistics.median(random.choices(samples[1], k=len(samples[1])))
        for _ in range(RESAMPLES)
    )
    edge = RESAMPLES // 200
    medians = [statistics.median(values) for values in samples]
    return Verdict(medians[0], medians[1], differences[edge], differences[-1 - edge])


def token_of(user: str, env: dict[str, str]) -> str:
    """A token of a user who is made for this."""
    command = [sys.executable, "manage.py", "createtoken", user, "--create-user"]
    done = subprocess.run(command, cwd=ROOT, env=environment(env), check=True, capture_output=True, text=True)
    return done.stdout.strip()


def main() -> int:
    """Measure and say what was found; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.probing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4_000, metavar="N", help="requests of each kind (4000)")
    parser.add_argument("--database", default="", metavar="URL", help="instead of SQLite in a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        env = {"MYAGENT_DATA_DIR": str(Path(folder) / "data"), "DATABASE_URL": options.database}
        port = free_port()
        command = [sys.executable, "manage.py", "runagent", "bench/agent.py", "--port", str(port), "--llm", "demo"]
        try:
            with serving(command, port=port, env=env, cores=frozenset()):
                tokens = {user: token_of(user, env) for user in ("ann", "bob")}
                verdict = asyncio.run(probe(f"ws://127.0.0.1:{port}/", tokens, options.rounds))
        except (ServerFailed, subprocess.CalledProcessError) as error:
            print("\n".join([str(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
            return 2
    print(verdict)
    return int(verdict.tells)


if __name__ == "__main__":
    sys.exit(main())
