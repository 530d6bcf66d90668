"""The load client: sessions on connections of their own, turns back to back, every answer checked.

It is no `myagent.client`: it measures what a server costs, so it parses nothing that it does not check, and adds no
request ids and acknowledgements that another server would not be sent.

`python -m bench.client load` and `… idle` measure one server once and print the outcome as one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from bench.model import CITIES, answer
from bench.processes import cpu_seconds, resident_bytes

TURN_SECONDS = 60
OPENING_AT_ONCE = 20
SETTLE_SECONDS = 0.3  # what a server still does for a turn after its answer belongs to the turn
IDLE_SETTLE_SECONDS = 2.0
FAILURES = {"agent.error", "agent.interrupted", "agent.session_deleted", "system.error"}


class WrongAnswer(Exception):
    """The server said something else than the model, or an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn as the client saw it, in seconds from the message sent; `frames` counts partial answers with text."""

    seconds: float
    first_event: float
    first_text: float
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one server did: the turns, how long they took together, the CPU seconds that the server spent."""

    turns: list[Turn]
    wall_seconds: float
    server_cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Resident memory of a server in bytes before and with `sessions` idle sessions, each on its own connection."""

    sessions: int
    before: int
    after: int


@dataclass(slots=True)
class Conversation:
    """One session on a connection of its own."""

    socket: ClientConnection
    session_id: str = ""
    last: dict[str, Any] = field(default_factory=dict)

    async def frame(self) -> dict[str, Any]:
        """The next thing that the server says. Raises `WrongAnswer` when it is a complaint."""
        self.last = orjson.loads(await self.socket.recv(decode=False))
        if self.last["event"] in FAILURES:
            raise WrongAnswer(f"The server answered {self.last!r}.")
        return self.last

    @asynccontextmanager
    async def patience(self) -> AsyncIterator[None]:
        """Allow `TURN_SECONDS` for what is awaited inside. Raises `WrongAnswer` after that."""
        try:
            async with asyncio.timeout(TURN_SECONDS):
                yield
        except TimeoutError:
            raise WrongAnswer(f"Nothing for {TURN_SECONDS} s; the last frame was {self.last!r}.") from None

    async def turn(self, city: str) -> Turn:
        """Ask for the weather in `city` and wait for the answer. Raises `WrongAnswer`."""
        message = {"event": "user.message", "session_id": self.session_id, "content": f"How is the weather in {city}?"}
        started = time.perf_counter()
        await self.socket.send(orjson.dumps(message).decode())
        first_event, first_text, parts = 0.0, 0.0, []
        async with self.patience():
            while (event := (frame := await self.frame())["event"]) != "agent.final_answer":
                elapsed = time.perf_counter() - started
                if not first_event and event.startswith("agent."):
                    first_event = elapsed
                if event == "agent.partial_answer" and frame["content"]:
                    first_text = first_text or elapsed
                    parts.append(frame["content"])
        elapsed = time.perf_counter() - started
        if not frame["content"] == "".join(parts) == answer(city):
            raise WrongAnswer(f"Asked for {city}; got {parts!r} and then {frame!r}.")
        return Turn(seconds=elapsed, first_event=first_event, first_text=first_text, frames=len(parts))


@asynccontextmanager
async def conversation(url: str) -> AsyncIterator[Conversation]:
    """Connect and create a session; connection and session stay until the end."""
    # Compression is offered, as browsers do. No proxy and no pings: they cost time here and show nothing.
    async with connect(url, proxy=None, ping_interval=None, open_timeout=60) as socket:
        opened = Conversation(socket)
        await socket.send('{"event": "user.create_session"}')
        async with opened.patience():
            while (frame := await opened.frame())["event"] != "agent.session_created":
                pass
        opened.session_id = frame["session_id"]
        yield opened


async def _open(stack: AsyncExitStack, url: str, count: int) -> list[Conversation]:
    """Open `count` conversations, a few at a time."""
    gate = asyncio.Semaphore(OPENING_AT_ONCE)

    async def one() -> Conversation:
        async with gate:
            return await stack.enter_async_context(conversation(url))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one()) for _ in range(count)]
    return [task.result() for task in tasks]


async def load(url: str, *, pid: int, at_once: int, conversations: int, turns: int) -> Load:
    """Hold `conversations` of `turns` turns each, `at_once` at the same time; one turn of each goes before, unmeasured.

    `pid` is the server's process.
    """
    async with AsyncExitStack() as stack:
        opened = await _open(stack, url, conversations)

        async def worker(first: int, count: int) -> list[Turn]:
            done: list[Turn] = []
            for index in range(first, conversations, at_once):
                done += [await opened[index].turn(CITIES[(index + number) % len(CITIES)]) for number in range(count)]
            return done

        async def everybody(count: int) -> list[Turn]:
            async with asyncio.TaskGroup() as group:
                workers = [group.create_task(worker(first, count)) for first in range(at_once)]
            return [turn for task in workers for turn in task.result()]

        await everybody(1)
        await asyncio.sleep(SETTLE_SECONDS)
        cpu, started = cpu_seconds(pid), time.perf_counter()
        done = await everybody(turns)
        wall = time.perf_counter() - started
        await asyncio.sleep(SETTLE_SECONDS)
        return Load(turns=done, wall_seconds=wall, server_cpu_seconds=cpu_seconds(pid) - cpu)


async def idle(url: str, *, pid: int, sessions: int) -> Idle:
    """Open `sessions` conversations that say nothing, and see what the server's memory becomes."""
    # What a first turn loads and what any burst of connections takes once is not the cost of a session.
    await load(url, pid=pid, at_once=OPENING_AT_ONCE, conversations=OPENING_AT_ONCE, turns=1)
    await asyncio.sleep(IDLE_SETTLE_SECONDS)
    before = resident_bytes(pid)
    async with AsyncExitStack() as stack:
        await _open(stack, url, sessions)
        await asyncio.sleep(IDLE_SETTLE_SECONDS)
        return Idle(sessions=sessions, before=before, after=resident_bytes(pid))


def main() -> None:
    """Measure once, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    modes = parser.add_subparsers(dest="mode", required=True)
    for mode in ("load", "idle"):
        options = modes.add_parser(mode)
        options.add_argument("--url", required=True)
        options.add_argument("--pid", type=int, required=True, help="the server's process")
    for name in ("--at-once", "--conversations", "--turns"):
        modes.choices["load"].add_argument(name, type=int, required=True)
    modes.choices["idle"].add_argument("--sessions", type=int, required=True)
    arguments = vars(parser.parse_args())
    try:
        if arguments.pop("mode") == "load":
            outcome: Load | Idle = asyncio.run(load(**arguments))
        else:
            outcome = asyncio.run(idle(**arguments))
    except* (WrongAnswer, WebSocketException, OSError) as group:
        # Of many connections that fail in the same way one is enough.
        first = next(_leaves(group))
        sys.exit(f"{type(first).__name__}: {first}")
    print(json.dumps(asdict(outcome)))


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


if __name__ == "__main__":
    main()
