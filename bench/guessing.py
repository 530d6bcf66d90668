"""What a connection notices of people who guess passwords: hashing one keeps a core busy for a third of a second.

`python -m bench.guessing URL` is the guessers, in a process of their own.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
import sys
import tempfile
import time
from contextlib import suppress

import aiohttp
from websockets.asyncio.client import connect

from bench.measuring import COMMAND, FLOOR, OURS
from bench.processes import ROOT, Cores, environment, free_port, serving
from bench.report import Limit, Line, percentile

GUESSERS = 30
BUDGET_RATIO = 3.0
BUDGET_MS = 20.0
"""The budget is the larger one of the two: so many times the idle value, or so many milliseconds."""
ROUND_TRIPS = 200
PAUSE_SECONDS = 0.02
_ASKED = json.dumps({"event": "user.list_sessions", "content": {"limit": 5}})


async def round_trips(url: str) -> list[float]:
    """Milliseconds from a request to its reply, one after the other with pauses."""
    seen = []
    async with connect(url) as socket:
        await socket.recv()
        for _ in range(ROUND_TRIPS):
            begun = time.perf_counter()
            await socket.send(_ASKED)
            await socket.recv()
            seen.append((time.perf_counter() - begun) * 1000)
            await asyncio.sleep(PAUSE_SECONDS)
    return seen


async def guess(url: str) -> None:
    """So many people who try one password after the other, until they are stopped."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(f"{url}login/") as page:
            form = (await page.text()).partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        await asyncio.gather(*(_one(session, url, form, number) for number in range(GUESSERS)))


async def _one(session: aiohttp.ClientSession, url: str, form: str, number: int) -> None:
    tried = 0
    while True:
        tried += 1
        fields = {"csrfmiddlewaretoken": form, "username": f"name {number} {tried}", "password": "guess"}
        async with session.post(f"{url}login/", data=fields) as answer:
            await answer.read()


def line(command: str = COMMAND) -> Line:
    """The number for the report; the other value is that of the same connection while nobody guesses."""
    port = free_port()
    cores = Cores.split(pin=False)
    with tempfile.TemporaryDirectory() as folder:
        started = shlex.split(command.format(port=port))
        with serving(started, port=port, env={"MYAGENT_DATA_DIR": folder}, cores=cores.server):
            idle = asyncio.run(round_trips(f"ws://127.0.0.1:{port}/"))
            guessers = subprocess.Popen(
                [sys.executable, "-m", "bench.guessing", f"http://127.0.0.1:{port}/"], cwd=ROOT, env=environment({})
            )
            try:
                guessed = asyncio.run(round_trips(f"ws://127.0.0.1:{port}/"))
            finally:
                guessers.terminate()
                guessers.wait()
    before = percentile(idle, 0.95)
    return Line(
        scenario=f"{GUESSERS} who guess passwords, against nobody",
        measure="round trip p95",
        unit="ms",
        values={OURS: percentile(guessed, 0.95), FLOOR: before},
        rounds={},
        limit=Limit(of="ours", bound=max(BUDGET_RATIO * before, BUDGET_MS)),
    )


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(guess(sys.argv[1]))
