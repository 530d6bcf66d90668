"""`python -m bench.crowding`: can clients that send the heaviest frames make another client wait?

Ten clients send frames of 4 MB without a pause, all brackets and commas. Meanwhile another one asks for its sessions,
over and over; what is compared is its round trip, at the 95th percentile, with what it was on the idle server. Ends
with 0 when it stays below the bound, 1 when it does not, 2 when nothing could be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from bench.processes import ROOT, ServerFailed, free_port, serving

FLOODERS = 10
FRAME_BYTES = 4_000_000
BOUND_MS = 50.0
PERCENTILE = 0.95
SETTLE_SECONDS = 2.0
HEAVY = {
    "objects": '{"event": "user.ack", "x": [' + ",".join(["{}"] * (FRAME_BYTES // 3)) + "]}",
    "brackets": '{"event": "user.ack", "x": ' + "[" * (FRAME_BYTES // 2),
    "numbers": '{"event": "user.ack", "x": [' + ",".join(["1"] * (FRAME_BYTES // 2)) + "]}",
    "strings": '{"event": "user.ack", "x": [' + ",".join(['""'] * (FRAME_BYTES // 3)) + "]}",
    "escapes": '{"event": "user.ack", "x": "' + "\\\\\\u0000" * (FRAME_BYTES // 8) + '"}',
    "table": '{"event": "user.ack", "x": "' + "1," * (FRAME_BYTES // 2) + '"}',
    "most": '{"event": "user.ack", "x": [' + ",".join(['"' + "\\u0000" * 6 + '"'] * 99_000) + "]}",
}
"""Frames that take a parser long, by what they are made of. `most` and `table` are within what is allowed."""


async def flood(url: str, kind: str) -> None:
    """Send frames of this kind for ever, from several clients; what the server answers is read and dropped."""
    await asyncio.gather(*(_flood_alone(url, HEAVY[kind]) for _ in range(FLOODERS)))


async def _flood_alone(url: str, frame: str) -> None:
    async with connect(url, compression=None, max_queue=None, ping_interval=None) as socket:
        reading = asyncio.create_task(_drop(socket))
        try:
            while True:
                await socket.send(frame)
        except WebSocketException:
            print("A client that floods was disconnected.", file=sys.stderr)
        finally:
            reading.cancel()


async def _drop(socket: object) -> None:
    async for _frame in socket:  # type: ignore[attr-defined]
        pass


async def round_trips(url: str, seconds: float) -> list[float]:
    """The times of requests one after another, in milliseconds, sorted."""
    taken: list[float] = []
    async with connect(url, compression=None) as socket:
        await socket.recv()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            await socket.send('{"event": "user.list_sessions", "content": {"limit": 1}}')
            await socket.recv()
            taken.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.01)
    return sorted(taken)


def at_percentile(taken: list[float]) -> float:
    """The value that all but five of a hundred are below."""
    return taken[int(len(taken) * PERCENTILE)]


@contextmanager
def flooding(url: str, kind: str) -> Iterator[None]:
    """Other clients send heavy frames, in a process of their own."""
    process = subprocess.Popen([sys.executable, "-m", "bench.crowding", "--flood", url, "--kind", kind], cwd=ROOT)
    try:
        time.sleep(SETTLE_SECONDS)
        yield
        if process.poll() is not None:
            raise ServerFailed("The clients that flood the server have ended.", "")
    finally:
        process.kill()
        process.wait()


def measure(url: str, kinds: list[str], seconds: float) -> bool:
    """Measure and print; whether all is below the bound."""
    idle = at_percentile(asyncio.run(round_trips(url, seconds)))
    print(f"{'idle':10} p95 {idle:7.1f} ms")
    all_kept = True
    for kind in kinds:
        with flooding(url, kind):
            crowded = at_percentile(asyncio.run(round_trips(url, seconds)))
        kept = crowded <= BOUND_MS
        all_kept &= kept
        words = "kept" if kept else "missed"
        print(f"{kind:10} p95 {crowded:7.1f} ms  {crowded / idle:6.1f}×  ≤ {BOUND_MS:g} ms: {words}", flush=True)
    return all_kept


def main() -> int:
    """Measure and say what was found; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.crowding", description=__doc__)
    parser.add_argument("--kind", action="append", choices=list(HEAVY), help="only frames of this kind")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each is measured (5)")
    parser.add_argument("--flood", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    kinds: list[str] = options.kind or list(HEAVY)
    if options.flood:
        os.nice(0)  # the machine is to be shared with the server and the client that is measured
        asyncio.run(flood(options.flood, kinds[0]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        command = [sys.executable, "manage.py", "runagent", "bench/agent.py", "--port", str(port), "--llm", "demo"]
        env = {"MYAGENT_DATA_DIR": str(Path(folder) / "data"), "DATABASE_URL": ""}
        try:
            with serving(command, port=port, env=env, cores=frozenset()):
                return int(not measure(f"ws://127.0.0.1:{port}/", kinds, options.seconds))
        except ServerFailed as error:
            print("\n".join([str(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
