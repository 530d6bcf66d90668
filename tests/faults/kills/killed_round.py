"""One round: a conversation with an agent that has options, whose server is killed, and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from myagent.client import Client, RequestRefused, ServerFrame, connect, stay_connected
from tests.faults.kills.draw import Act, Drawn
from tests.faults.kills.moments import Moments
from tests.faults.kills.script import SILENT, Asked, Script
from tests.support.agent_server import AgentServer
from tests.support.model_server import ModelServer
from tests.support.strict_endpoint import strict

SETTINGS = {"LEASE_SECONDS": 3, "DRAIN_SECONDS": 1}
STUCK_SECONDS = 90.0
CLOSING = "mlast"
"""The id of the message that ends a conversation: what its request holds was read."""


@dataclass
class Outcome:
    """All that is known of a round when it is over."""

    drawn: Drawn
    frames: list[ServerFrame] = field(default_factory=list)
    """The log, as a new client was sent it at the end."""
    asked: list[Asked] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    """The ids of the messages that a server took."""
    taken_back: set[str] = field(default_factory=set)
    perhaps_taken_back: set[str] = field(default_factory=set)
    """Of these a server said that there was none, which it had said of a killed one's behalf, or not."""
    kills: list[float] = field(default_factory=list)
    """When, in seconds since the epoch."""
    in_runs: int = 0
    """How many of the kills met an unfinished run."""
    cancels: int = 0
    problems: list[str] = field(default_factory=list)


class KilledRound:
    """Plays what was drawn, with a server of its own in `folder`."""

    def __init__(self, drawn: Drawn, folder: Path) -> None:
        self.outcome = Outcome(drawn)
        self._drawn = drawn
        self._folder = folder
        self._random = Random(f"{drawn.seed}/moments")
        self._script = Script(Random(f"{drawn.seed}/script"), drawn.plans, drawn.fails, drawn.fails_from)
        self._moments = Moments()
        self._script.happened = self._moments.happened
        self._frames: list[ServerFrame] = []
        self._news = asyncio.Condition()
        self._session_id = ""

    async def play(self) -> Outcome:
        """All of it; `problems` has what went wrong meanwhile."""
        self._folder.mkdir()
        with ExitStack() as stack:
            first = stack.enter_context(ModelServer(default=self._script.first))
            second = stack.enter_context(ModelServer(default=self._script.second))
            first.guard = second.guard = strict
            server = self._server(first, second)
            stack.callback(server.__exit__)
            await asyncio.to_thread(server.__enter__)
            try:
                async with asyncio.timeout(STUCK_SECONDS):
                    await self._converse(server)
            except TimeoutError:
                self.outcome.problems.append(f"it is stuck: {self._state()}")
            finally:
                (self._folder / "server.log").write_text(server.log)
                refused = [request.body["messages"] for request in (*first.refused, *second.refused)]
                self.outcome.problems += [f"no endpoint takes {messages}" for messages in refused]
                self.outcome.asked = self._script.asked
                self.outcome.frames = self.outcome.frames or self._frames
        return self.outcome

    def _server(self, first: ModelServer, second: ModelServer) -> AgentServer:
        environment: dict[str, str | None] = {
            "KILLED_OPTIONS": " ".join(self._drawn.options),
            "FIRST_TIMEOUT": "1" if self._drawn.fails == SILENT else "60",
            "SECOND_URL": second.url,
            "COUNTING_FILE": str(self._folder / "effects.jsonl"),
        }
        return AgentServer(self._folder, "killed.py", model=first, settings=SETTINGS, environment=environment)

    def _state(self) -> str:
        unended = self._runs() - self._ended()
        unread = self.outcome.accepted - self._logged().keys() - self.outcome.taken_back
        return f"the runs {unended} have no end, {unread} are not logged; the last event is {self._frames[-1:]}"

    # --- the conversation ---

    async def _converse(self, server: AgentServer) -> None:
        async with stay_connected(server.url) as client, stay_connected(server.url) as watcher:
            self._session_id = await client.create_session()
            await watcher.resume(self._session_id)
            async with self._meanwhile(self._watch(watcher)):
                await self._talk(client, server)
                await self._until(self._is_settled)
                self._script.is_settling = True
                await client.say(self._session_id, f"[{CLOSING}] the end", CLOSING)
                await self._until(lambda: self._is_answered(CLOSING))
        async with connect(server.url) as client:
            replayed = await client.reconnect(self._session_id)
            frames = self.outcome.frames
            while not frames or (frames[-1].seq or 0) < replayed.last_seq:
                frames.append(await client.wait_for(lambda frame: frame.seq is not None))
            if replayed.run_status != "idle":
                self.outcome.problems.append(f"the session is {replayed.run_status} at the end")

    async def _talk(self, client: Client, server: AgentServer) -> None:
        """Say the main messages one after the other, and do meanwhile what was drawn."""
        over = asyncio.Event()
        doing = [asyncio.create_task(self._do(act, client, over)) for act in self._drawn.acts]
        killing = asyncio.create_task(self._kill(server, over))
        for name in self._drawn.mains:
            await self._say(client, name)
            await self._until(lambda name=name: self._is_answered(name))  # type: ignore[misc]
        over.set()
        await asyncio.gather(killing, *doing)

    async def _say(self, client: Client, name: str) -> None:
        await client.say(self._session_id, f"[{name}] {self._drawn.texts[name]}", name)
        self.outcome.accepted.add(name)
        self._moments.happened("accepted")

    async def _steer(self, client: Client, name: str) -> None:
        self._moments.happened("steering")
        await self._say(client, name)
        self._moments.happened("steered")

    async def _do(self, act: Act, client: Client, over: asyncio.Event) -> None:
        """One act at its moment, unless all is over before."""
        if not await self._comes(act.moment, act.number, over):
            return
        await asyncio.sleep(act.delay)
        match act.kind:
            case "steer":
                await self._steer(client, act.name)
            case "steer and withdraw":
                await self._steer(client, act.name)
                await asyncio.sleep(act.delay)
                await self._withdraw(client, act.name)
            case "cancel":
                self.outcome.cancels += 1
                await client.cancel(self._session_id)

    async def _withdraw(self, client: Client, name: str) -> None:
        try:
            await client.withdraw(self._session_id, name)
            self.outcome.taken_back.add(name)
        except RequestRefused as refused:
            if refused.frame.code == "message_not_found":
                self.outcome.perhaps_taken_back.add(name)
            elif refused.frame.code != "message_read":
                self.outcome.problems.append(f"{name} was to be taken back: {refused.frame}")

    async def _kill(self, server: AgentServer, over: asyncio.Event) -> None:
        for act in self._drawn.kills:
            await self._comes(act.moment, act.number, over)
            await asyncio.sleep(act.delay)
            self.outcome.in_runs += bool(self._runs() - self._ended())
            await asyncio.to_thread(server.kill)
            self.outcome.kills.append(time.time())
            await asyncio.to_thread(server.start)
            self._moments.happened("started")

    async def _comes(self, moment: str, number: int, over: asyncio.Event) -> bool:
        """Wait for a moment; whether it came before all was over."""
        waiting = [asyncio.create_task(self._moments.nth(moment, number)), asyncio.create_task(over.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return waiting[0].done()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    # --- what is seen ---

    async def _watch(self, watcher: Client) -> None:
        async for frame in watcher:
            if frame.seq is not None:
                async with self._news:
                    self._frames.append(frame)
                    self._news.notify_all()
                self._moments.happened("frame")

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with self._news:
            await self._news.wait_for(holds)

    def _logged(self) -> dict[str, str]:
        """The runs of the messages that are logged, by the ids of the messages."""
        said = (frame for frame in self._frames if frame.event == "user.message")
        return {frame.metadata["message_id"]: frame.run_id or "" for frame in said}

    def _runs(self) -> set[str]:
        return set(self._logged().values())

    def _ended(self) -> set[str]:
        return {frame.run_id or "" for frame in self._frames if frame.ends_run}

    def _is_answered(self, name: str) -> bool:
        return self._logged().get(name, "not yet") in self._ended()

    def _is_settled(self) -> bool:
        missing = self.outcome.accepted - self.outcome.taken_back - self.outcome.perhaps_taken_back
        return missing <= self._logged().keys() and self._runs() <= self._ended()

    @asynccontextmanager
    async def _meanwhile(self, work: Coroutine[Any, Any, None]) -> Any:
        task = asyncio.create_task(work)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
