"""`python -m bench.connecting`: what it costs to ask whose program a client is, with many connections open.

Opens WebSockets one after the other, in random order without credentials (as the user `local`, for which the owner of
the socket is looked for among all sockets of the machine) and with a token. Ends with 0 when the medians keep to the
ratio, 1 when they do not, 2 when nothing could be measured.
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
from contextlib import AsyncExitStack
from pathlib import Path

from websockets.asyncio.client import connect

from bench.probing import token_of
from bench.processes import ServerFailed, free_port, serving

WARM_UP = 20
BUDGET = 5.0
"""How many times as long as with a token it may take to connect without one."""


def ratio_of(taken: dict[str, list[float]]) -> float:
    """The median without a token, in medians with one."""
    return statistics.median(taken["local"]) / statistics.median(taken["token"])


async def measured(url: str, token: str, *, open_connections: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds until the first frame, of each kind; both ends of a connection are sockets of this machine."""
    urls = {"local": url, "token": f"{url}?token={token}"}
    taken: dict[str, list[float]] = {kind: [] for kind in urls}
    order = [kind for kind in urls for _ in range(rounds)]
    random.shuffle(order)
    async with AsyncExitStack() as stack:
        for _ in range(open_connections):
            await stack.enter_async_context(connect(urls["token"], compression=None))
        for number, kind in enumerate([*random.choices(list(urls), k=WARM_UP), *order]):
            began = time.perf_counter()
            async with connect(urls[kind], compression=None) as socket:
                await socket.recv()
                if number >= WARM_UP:
                    taken[kind].append((time.perf_counter() - began) * 1000)
    return taken


def main() -> int:
    """Measure and say what was found; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.connecting", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, metavar="N", help="connections of each kind (200)")
    parser.add_argument("--open", type=int, default=1_000, metavar="N", help="connections that are open (1000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        env = {"MYAGENT_DATA_DIR": str(Path(folder) / "data")}
        port = free_port()
        command = [sys.executable, "manage.py", "runagent", "bench/agent.py", "--port", str(port), "--llm", "demo"]
        try:
            with serving(command, port=port, env=env, cores=frozenset()):
                token, url = token_of("ann", env), f"ws://127.0.0.1:{port}/"
                taken = asyncio.run(measured(url, token, open_connections=options.open, rounds=options.rounds))
        except (ServerFailed, subprocess.CalledProcessError) as error:
            print("\n".join([str(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
            return 2
    ratio = ratio_of(taken)
    medians = ", ".join(f"{kind} {statistics.median(values):.1f} ms" for kind, values in taken.items())
    print(f"{2 * options.open} sockets open: {medians}; ratio {ratio:.2f}, at most {BUDGET:g}")
    return int(ratio > BUDGET)


if __name__ == "__main__":
    sys.exit(main())
