"""The tools of all agents: never on the server's loop, and blocking ones found and set apart."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import aiohttp
import httpx2
import pytest

from agents.tool_runner import tool_runner
from agents.tool_runner.tool_runner import ToolRunner
from myagent import BaseTool, RunContext, ToolFailed, ToolResult, current_run, tool
from tests.support.patience import WAIT_SECONDS

PATIENCE = WAIT_SECONDS
"""Seconds until a test that waits for an event gives up."""

marker: ContextVar[str] = ContextVar("marker", default="unset")


@pytest.fixture
def reported() -> list[tuple[str, str]]:
    return []


@pytest.fixture
async def loops(reported: list[tuple[str, str]]) -> AsyncIterator[ToolRunner]:
    loops = ToolRunner(stall_seconds=0.1, on_blocking=lambda agent, tool, _: reported.append((agent, tool)))
    yield loops
    await loops.close(PATIENCE)
    gc.collect()  # what a loop left behind must show up in the test that left it


class Gate:
    """Blocks the threads that pass it, until it is opened; knows how many came."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.threads: list[int] = []

    def block(self) -> None:
        self.threads.append(threading.get_ident())
        self.arrived.release()
        assert self.opened.wait(PATIENCE)

    async def reached(self) -> None:
        """Wait until one more thread has come."""
        assert await asyncio.to_thread(self.arrived.acquire, True, PATIENCE)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


def run(loops: ToolRunner, tool: BaseTool, agent: str = "weather", *, version: int = 1, **arguments: Any) -> Any:
    context = RunContext(session_id="s", run_id="r", agent=agent)
    return loops.execute(agent, tool, tool.bind(arguments, context), version=version)


async def output(loops: ToolRunner, tool: BaseTool, agent: str = "weather", **arguments: Any) -> Any:
    async with asyncio.timeout(PATIENCE):
        return (await run(loops, tool, agent, **arguments)).output


def blocking(gate: Gate) -> BaseTool:
    @tool
    async def block() -> str:
        gate.block()
        return "passed"

    return block


@tool
async def greet(name: str) -> str:
    await asyncio.sleep(0)
    return f"Hello, {name}!"


@tool
async def where_async() -> ToolResult:
    return ToolResult("", data=[threading.get_ident(), id(asyncio.get_running_loop())])


@tool
def where_sync() -> ToolResult:
    return ToolResult("", data=[threading.get_ident(), threading.current_thread().daemon])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


# Where code runs


async def test_async_code_runs_on_one_loop_of_its_agent_which_is_not_the_servers(loops):
    first = (await run(loops, where_async)).data
    second = (await run(loops, where_async)).data
    other = (await run(loops, where_async, "news")).data
    assert first == second
    assert first[0] != threading.get_ident()
    assert first[1] != id(asyncio.get_running_loop())
    assert other[0] != first[0]
    assert other[1] != first[1]


async def test_plain_code_runs_in_a_daemon_thread(loops):
    thread, daemon = (await run(loops, where_sync)).data
    assert thread != threading.get_ident()
    assert daemon


async def test_what_a_plain_function_returns_to_be_awaited_is_awaited_on_the_tool_loop(loops):
    @tool
    def later() -> Any:
        async def place() -> int:
            return id(asyncio.get_running_loop())

        return place()

    expected = (await run(loops, where_async)).data[1]
    assert await output(loops, later) == str(expected)


async def test_generators_are_run_where_the_tool_runs(loops):
    @tool
    def counting() -> Iterator[str]:
        yield from ("one ", "two")

    @tool
    async def counting_async() -> AsyncIterator[dict[str, int]]:
        yield {"thread": threading.get_ident()}
        await asyncio.sleep(0)
        yield {"thread": threading.get_ident()}

    assert await output(loops, counting) == "one two"
    thread = (await run(loops, where_async)).data[0]
    assert (await run(loops, counting_async)).data == [{"thread": thread}] * 2


async def test_context_variables_are_carried_over_and_do_not_come_back(loops):
    @tool
    async def look() -> str:
        seen = f"{marker.get()} {current_run().session_id}"
        marker.set("changed")
        return seen

    @tool
    def look_sync() -> str:
        seen = f"{marker.get()} {current_run().session_id}"
        marker.set("changed")
        return seen

    marker.set("server")
    assert await output(loops, look) == "server s"
    assert await output(loops, look_sync) == "server s"
    assert marker.get() == "server"
    with pytest.raises(LookupError):
        current_run()


async def test_many_calls_side_by_side(loops):
    names = [str(number) for number in range(200)]
    outputs = await asyncio.gather(*(output(loops, greet, name=name) for name in names))
    assert outputs == [f"Hello, {name}!" for name in names]
    assert not loops.blocking_tools("weather")


@pytest.mark.parametrize("made", [greet, where_sync], ids=["async", "sync"])
async def test_a_finished_call_is_freed_without_the_collector(loops, made):
    class Call:
        def __call__(self) -> Any:
            return asyncio.sleep(0) if made.is_async else None

    gc.disable()
    try:
        call = Call()
        reference = weakref.ref(call)
        await loops.execute("weather", made, call)
        del call
        await until(lambda: reference() is None)
    finally:
        gc.enable()


# What code raises


async def test_an_exception_comes_with_the_traceback_of_the_tool(loops):
    @tool
    async def fail_async() -> None:
        raise ValueError("the city's archive is closed")

    @tool
    def fail_sync() -> None:
        raise ValueError("the city's archive is closed")

    for failing, function in ((fail_async, "fail_async"), (fail_sync, "fail_sync")):
        with pytest.raises(ValueError, match="archive is closed") as caught:
            await run(loops, failing)
        assert function in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


async def test_what_a_tool_raises_for_the_model_comes_as_it_is(loops):
    @tool
    async def refuse() -> None:
        raise ToolFailed("The archive is closed.")

    with pytest.raises(ToolFailed, match=r"^The archive is closed\.$"):
        await run(loops, refuse)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
async def test_no_exception_of_a_tool_ends_or_cancels_who_waits(loops, error):
    @tool
    async def leave() -> None:
        raise error

    @tool
    def leave_sync() -> None:
        raise error

    for leaving in (leave, leave_sync):
        with pytest.raises(RuntimeError, match=type(error).__name__) as caught:
            await run(loops, leaving)
        assert caught.value.__cause__ is error
    assert await output(loops, greet, name="Ann") == "Hello, Ann!"


async def test_a_stop_iteration_is_an_error_like_others(loops):
    @tool
    def empty() -> str:
        return next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        await run(loops, empty)


async def test_a_tool_loop_outlives_what_its_tools_do_to_it(loops, caplog):
    @tool
    async def stop() -> str:
        asyncio.get_running_loop().stop()
        return "stopped"

    @tool
    async def break_out() -> str:
        async def leave() -> None:
            raise SystemExit(3)

        left = asyncio.create_task(leave())
        with contextlib.suppress(SystemExit):
            await left
        return "left"

    before = (await run(loops, where_async)).data
    assert await output(loops, stop) == "stopped"
    with caplog.at_level(logging.ERROR):
        assert await output(loops, break_out) == "left"
    assert (await run(loops, where_async)).data == before


# Cancelling


async def test_cancel_reaches_the_code(loops):
    begun, cancelled = threading.Event(), threading.Event()

    @tool
    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    task = asyncio.create_task(run(loops, wait))
    await until(begun.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(cancelled.is_set)
    assert await output(loops, greet, name="Ann") == "Hello, Ann!"


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_cancel_of_blocked_code_returns_at_once_and_drops_its_result(loops, gate, kind):
    tools = {"async": blocking(gate), "sync": tool(gate.block)}
    task = asyncio.create_task(run(loops, tools[kind]))
    await gate.reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not gate.opened.is_set()


async def test_a_call_that_is_cancelled_before_it_begins_never_begins(loops, gate):
    ran = threading.Event()

    @tool
    async def note() -> None:
        ran.set()

    blocked = asyncio.create_task(run(loops, blocking(gate)))
    await gate.reached()
    task = asyncio.create_task(run(loops, note))
    await asyncio.sleep(0)  # it is handed over, and waits behind the blocked one
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.opened.set()
    await blocked
    assert await output(loops, greet, name="Ann") == "Hello, Ann!"
    assert not ran.is_set()


async def test_cancelling_many_at_random_moments_loses_no_other_call(loops):
    async def one(number: int) -> str:
        task = asyncio.create_task(output(loops, greet, name=str(number)))
        for _ in range(number % 7):
            await asyncio.sleep(0)
        if number % 2:
            task.cancel()
        return await task

    results = await asyncio.gather(*map(one, range(200)), return_exceptions=True)
    assert [results[number] for number in range(0, 200, 2)] == [f"Hello, {number}!" for number in range(0, 200, 2)]


# One slow moment


async def test_others_do_not_wait_for_a_blocked_call(loops, gate, reported, caplog):
    with caplog.at_level(logging.WARNING, logger="myagent.tools"):
        blocked = asyncio.create_task(run(loops, blocking(gate)))
        await gate.reached()
        marker.set("moved")

        @tool
        async def look() -> str:
            return f"{marker.get()} {current_run().run_id}"

        outputs = await asyncio.gather(*(output(loops, look) for _ in range(20)))
    assert outputs == ["moved r"] * 20
    assert not blocked.done()
    assert reported == [], "it may have been one slow moment"
    (record,) = [record for record in caplog.records if record.name == "myagent.tools"]
    assert "'block' of agent 'weather' blocks" in record.getMessage()
    assert "test_tool_runner.py" in record.getMessage()


async def test_other_agents_do_not_notice(gate):
    loops = ToolRunner(stall_seconds=PATIENCE)  # long, so that nothing is moved
    blocked = asyncio.create_task(run(loops, blocking(gate), "weather"))
    await gate.reached()
    assert await output(loops, greet, "news", name="Ann") == "Hello, Ann!"
    gate.opened.set()
    await blocked
    await loops.close(PATIENCE)


async def test_calls_of_a_tool_wait_for_its_first_one_which_may_be_loading_something(loops, gate):
    loaded: list[int] = []

    @tool
    async def ask() -> str:
        if not loaded:
            gate.block()
            loaded.append(id(asyncio.get_running_loop()))
        assert loaded == [id(asyncio.get_running_loop())]
        return "answered"

    calls = [asyncio.create_task(output(loops, ask)) for _ in range(8)]
    await gate.reached()
    await until(lambda: is_stuck(loops))
    assert await output(loops, greet, name="Ann") == "Hello, Ann!"
    gate.opened.set()
    assert await asyncio.gather(*calls) == ["answered"] * 8
    assert len(gate.threads) == len(loaded) == 1


async def test_who_waits_for_a_first_call_that_never_ends_is_not_kept_for_ever(loops, gate, monkeypatch):
    monkeypatch.setattr(tool_runner, "PATIENCE_SECONDS", 0.2)
    calls = [asyncio.create_task(run(loops, blocking(gate))) for _ in range(2)]
    await gate.reached()
    await gate.reached()
    assert len(set(gate.threads)) == 2
    gate.opened.set()
    await asyncio.gather(*calls)


async def test_a_tool_goes_home_when_its_loop_is_free_again(loops, gate):
    home = (await run(loops, where_async)).data
    blocked = asyncio.create_task(run(loops, blocking(gate)))
    await until(lambda: is_stuck(loops))
    meanwhile = (await run(loops, where_async)).data
    assert meanwhile[1] != home[1]
    gate.opened.set()
    await blocked
    async with asyncio.timeout(PATIENCE):
        while (await run(loops, where_async)).data != home:
            await asyncio.sleep(0.01)


def is_stuck(loops: ToolRunner) -> bool:
    return any(loop.stuck_seconds for agent in loops._agents.values() for loop in agent.loops)


# What is kept: each of these fails on any other loop than the one where it was made


class Kept:
    """What tools keep open in module globals, and how often it was made."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.making, self.turn = asyncio.Lock(), asyncio.Lock()
        self.served: list[Any] = []

    async def get(self) -> Any:
        async with self.making:
            if not self.made:
                self.made.append(await self.make())
        return self.made[0]

    async def make(self) -> Any:
        raise NotImplementedError

    async def say(self, word: str) -> str:
        raise NotImplementedError

    async def close(self) -> None:
        """Close what was made, on its own loop."""


class KeptStream(Kept):
    async def make(self) -> Any:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.served.append(asyncio.current_task())
            while line := await reader.readline():
                writer.write(line)
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        return server, *await asyncio.open_connection(*server.sockets[0].getsockname())

    async def say(self, word: str) -> str:
        _server, reader, writer = await self.get()
        async with self.turn:
            writer.write(word.encode() + b"\n")
            return (await asyncio.wait_for(reader.readline(), PATIENCE)).decode().strip()

    async def close(self) -> None:
        server, _reader, writer = await self.get()
        server.close()
        writer.close()
        await writer.wait_closed()
        await asyncio.gather(*self.served)


class KeptHttp(Kept):
    async def make(self) -> Any:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.served.append(asyncio.current_task())
            with contextlib.suppress(asyncio.IncompleteReadError):
                while True:
                    line = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].lstrip(b"/")
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(line), line))
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        return server, httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False)

    async def say(self, word: str) -> str:
        return (await (await self.get())[1].get(f"/{word}")).text

    async def close(self) -> None:
        server, client = await self.get()
        server.close()
        await client.aclose()
        await asyncio.gather(*self.served)


class KeptSession(KeptHttp):
    async def make(self) -> Any:
        server, client = await super().make()
        session = aiohttp.ClientSession(str(client.base_url))
        await client.aclose()
        return server, session

    async def say(self, word: str) -> str:
        async with (await self.get())[1].get(f"/{word}") as answer:
            return await answer.text()

    async def close(self) -> None:
        server, session = await self.get()
        server.close()
        await session.close()
        await asyncio.gather(*self.served)


class KeptWorker(Kept):
    async def make(self) -> Any:
        jobs: asyncio.Queue[tuple[str, asyncio.Future[str]]] = asyncio.Queue()

        async def work() -> None:
            while True:
                word, answer = await jobs.get()
                answer.set_result(word)

        return jobs, asyncio.create_task(work())

    async def say(self, word: str) -> str:
        answer = asyncio.get_running_loop().create_future()
        (await self.get())[0].put_nowait((word, answer))
        return await asyncio.wait_for(answer, PATIENCE)


class KeptLock(Kept):
    async def make(self) -> Any:
        return asyncio.Lock()

    async def say(self, word: str) -> str:
        async with await self.get():
            await asyncio.sleep(0.01)  # another one has to wait, which binds the lock to the loop
        return word


KINDS = [KeptStream, KeptHttp, KeptSession, KeptWorker, KeptLock]


@pytest.fixture(params=KINDS, ids=[kind.__name__ for kind in KINDS])
async def kept(request: pytest.FixtureRequest, loops: ToolRunner) -> AsyncIterator[Kept]:
    kept = request.param()
    yield kept
    await run(loops, tool(kept.close))
    assert len(kept.made) == 1, "nothing was made twice"


WORDS = [f"word{number}" for number in range(3)]


async def test_after_a_slow_first_call_the_tool_uses_what_it_opened(loops, kept, reported):
    @tool
    async def say(word: str) -> str:
        if not kept.made:
            time.sleep(0.15)
        return await kept.say(word)

    assert await output(loops, say, word="first") == "first"
    for word in WORDS:
        assert await output(loops, say, word=word) == word
    assert reported == []


async def test_a_slow_first_call_under_load(loops, kept, reported):
    @tool
    async def say(word: str) -> str:
        if not kept.made:
            time.sleep(0.15)
            await kept.get()
        return await kept.say(word)

    first = asyncio.create_task(output(loops, say, word="first"))
    others = [asyncio.create_task(output(loops, greet, name=word)) for word in WORDS]
    assert await asyncio.gather(*others) == [f"Hello, {word}!" for word in WORDS]
    assert await first == "first"
    for _ in range(3):
        assert [await output(loops, say, word=word) for word in WORDS] == WORDS


async def test_a_tool_whose_client_is_on_the_blocked_loop_waits_for_it(loops, kept, gate):
    @tool
    async def say(word: str) -> str:
        return await kept.say(word)

    assert await asyncio.gather(*(output(loops, say, word=word) for word in WORDS[:2])) == WORDS[:2]
    blocked = asyncio.create_task(run(loops, blocking(gate)))
    await until(lambda: is_stuck(loops))
    waiting = [asyncio.create_task(output(loops, say, word=word)) for word in WORDS[:1]]
    assert await output(loops, greet, name="Ann") == "Hello, Ann!"
    assert not waiting[0].done()
    gate.opened.set()
    assert await asyncio.gather(*waiting) == WORDS[:1]
    await blocked


@pytest.mark.parametrize("kept", KINDS[:-1], indirect=True)
async def test_a_tool_that_blocks_at_each_call_keeps_its_client(loops, kept, reported):
    places: set[int] = set()

    @tool
    async def say(word: str) -> str:
        time.sleep(0.15)
        places.add(threading.get_ident())
        return await kept.say(word)

    @tool
    async def tell(word: str) -> str:
        return await kept.say(word)

    assert await output(loops, tell, word="first") == "first"
    while not reported:
        assert await output(loops, say, word="again") == "again"
    await until(lambda: not is_stuck(loops))
    await run(loops, where_async)  # once where the client is, which it might share
    for word in WORDS:
        said = asyncio.create_task(output(loops, say, word=word))
        told = asyncio.create_task(output(loops, tell, word=word))
        assert (await run(loops, where_async)).data[0] not in places, "others are not delayed"
        assert (await said, await told) == (word, word)
    assert len(places) == 1
    assert reported == [("weather", "say")]
    (place,) = loops.blocking_tools("weather").values()
    assert place.startswith(__file__)


async def test_a_def_tool_beside_notices_nothing(loops, gate):
    blocked = asyncio.create_task(run(loops, blocking(gate)))
    await gate.reached()
    assert (await run(loops, where_sync)).data[0] != gate.threads[0]
    gate.opened.set()
    await blocked


# Blocking again and again


async def named(loops: ToolRunner, name: str) -> BaseTool:
    """A tool that is known to block; with a gate as its argument it waits there."""
    gates: list[Gate] = []

    @tool(name=name)
    async def block() -> str:
        if gates:
            gates[-1].block()
        else:
            time.sleep(0.15)
        return f"{marker.get()} {current_run().run_id}"

    while name not in loops.blocking_tools("weather"):
        await output(loops, block)
    block.gates = gates
    return block


async def test_it_is_named_once_with_file_and_line(loops, reported, caplog):
    with caplog.at_level(logging.WARNING, logger="myagent.tools"):
        block = await named(loops, "block")
        await output(loops, block)
        await output(loops, block)
    assert reported == [("weather", "block")]
    line = block.execute.__code__.co_firstlineno + 5
    assert loops.blocking_tools("weather") == {"block": f"{__file__}:{line}"}
    assert [record.getMessage().count("again and again") for record in caplog.records] == [0, 1]


async def test_each_call_of_it_gets_a_thread(loops, gate):
    home = (await run(loops, where_async)).data[0]
    block = await named(loops, "block")
    block.gates.append(gate)
    marker.set("alone")
    calls = [asyncio.create_task(output(loops, block)) for _ in range(8)]
    for _ in calls:
        await gate.reached()
    assert len(set(gate.threads)) == 8
    assert home not in gate.threads
    assert (await run(loops, where_async)).data[0] == home
    gate.opened.set()
    assert await asyncio.gather(*calls) == ["alone r"] * 8
    assert await output(loops, block) == "alone r"
    assert len(set(gate.threads)) == 8, "threads are used again"


async def test_there_is_an_end_to_its_threads(gate):
    loops = ToolRunner(stall_seconds=0.1, threads=2)
    block = await named(loops, "block")
    block.gates.append(gate)
    calls = [asyncio.create_task(output(loops, block)) for _ in range(5)]
    await gate.reached()
    await gate.reached()
    await asyncio.sleep(0.3)
    assert len(gate.threads) == 2
    gate.opened.set()
    await asyncio.gather(*calls)
    await loops.close(PATIENCE)


async def test_calls_that_were_given_up_take_no_place(gate):
    loops = ToolRunner(stall_seconds=0.1, threads=1)
    block = await named(loops, "block")
    block.gates.append(gate)
    stuck = asyncio.create_task(run(loops, block))
    await gate.reached()
    stuck.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stuck
    block.gates.clear()
    assert await output(loops, block) == "unset r"
    gate.opened.set()
    await loops.close(PATIENCE)


@pytest.mark.parametrize("kept", KINDS[:-1], indirect=True)
async def test_what_it_keeps_later_ties_it_to_that_loop(loops, kept):
    ready = False

    @tool
    async def say(word: str) -> str:
        time.sleep(0.15)
        return await kept.say(word) if ready else word

    while not loops.blocking_tools("weather"):
        assert await output(loops, say, word="early") == "early"
    ready = True
    assert [await output(loops, say, word=word) for word in WORDS] == WORDS
    assert await asyncio.gather(*(output(loops, say, word=word) for word in WORDS[:3])) == WORDS[:3]


async def test_if_it_awaits_anything_its_calls_share_a_loop(loops):
    lock, places = asyncio.Lock(), []

    @tool
    async def hold() -> str:
        time.sleep(0.15)
        async with lock:
            await asyncio.sleep(0.01)
        places.append(threading.get_ident())
        return "held"

    while not loops.blocking_tools("weather"):
        await output(loops, hold)
    home = (await run(loops, where_async)).data[0]
    places.clear()
    assert await asyncio.gather(*(output(loops, hold) for _ in range(4))) == ["held"] * 4
    assert len(set(places)) == 1 and home not in places


async def test_a_call_of_it_can_be_cancelled_and_fail(loops):
    begun, cancelled = threading.Event(), threading.Event()
    mood = "block"

    @tool
    async def moody() -> None:
        match mood:
            case "block":
                time.sleep(0.15)
            case "fail":
                raise ToolFailed("No mood for it.")
            case "wait":
                begun.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    cancelled.set()

    while not loops.blocking_tools("weather"):
        await run(loops, moody)
    mood = "fail"
    with pytest.raises(ToolFailed, match="No mood"):
        await run(loops, moody)
    mood = "wait"
    task = asyncio.create_task(run(loops, moody))
    await until(begun.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(cancelled.is_set)


async def test_calls_under_way_on_a_blocked_loop_end_when_it_recovers(loops, gate):
    waiting: list[asyncio.Event] = []

    @tool
    async def wait() -> str:
        waiting.append(asyncio.Event())
        await waiting[0].wait()
        return "ended"

    @tool
    async def block() -> None:
        gate.block()
        waiting[0].set()

    begun = asyncio.create_task(run(loops, wait))
    await until(lambda: bool(waiting))
    blocked = asyncio.create_task(run(loops, block))
    await until(lambda: is_stuck(loops))
    assert not begun.done()
    gate.opened.set()
    assert (await begun).output == "ended"
    await blocked


async def test_a_blocking_task_of_a_tool_is_laid_at_its_door(loops, reported):
    @tool
    async def fork() -> str:
        async def child() -> None:
            time.sleep(0.15)

        await asyncio.create_task(child())
        return "joined"

    for _ in range(3):
        assert await output(loops, fork) == "joined"
    assert reported == [("weather", "fork")]


async def test_a_blocking_callback_that_belongs_to_nobody_blocks_nobody_else(loops, gate, reported, caplog):
    @tool
    async def plant() -> None:
        asyncio.get_running_loop().call_soon(gate.block)

    with caplog.at_level(logging.WARNING):
        await run(loops, plant)
        await gate.reached()
        assert await output(loops, greet, name="Ann") == "Hello, Ann!"
    assert "(unknown)" in caplog.text
    assert reported == []


async def test_many_short_turns_move_the_others_and_are_nobodys_fault(loops, reported):
    @tool
    async def short() -> None:
        time.sleep(0.04)

    crowd = [asyncio.create_task(run(loops, short)) for _ in range(15)]
    await asyncio.gather(*crowd)
    crowd = [asyncio.create_task(run(loops, short)) for _ in range(15)]
    await asyncio.gather(*crowd)
    assert reported == []


async def test_two_tools_that_block_one_after_the_other_are_both_found(loops, reported):
    await named(loops, "one")
    await named(loops, "two")
    assert reported == [("weather", "one"), ("weather", "two")]
    assert await output(loops, greet, name="Ann") == "Hello, Ann!"


async def test_an_observer_that_fails_is_logged_and_does_no_harm(caplog):
    def fail(agent: str, name: str, place: str) -> None:
        raise ValueError("no observer")

    loops = ToolRunner(stall_seconds=0.1, on_blocking=fail)
    block = await named(loops, "block")
    assert "on_blocking failed" in caplog.text
    await output(loops, block)
    await loops.close(PATIENCE)


async def test_blocked_threads_of_asyncio_to_thread_are_daemons_and_need_no_report(loops, gate, reported):
    @tool
    async def good() -> str:
        def work() -> str:
            gate.block()
            return str(threading.current_thread().daemon)

        return await asyncio.to_thread(work)

    working = asyncio.create_task(run(loops, good))
    await gate.reached()
    assert await output(loops, greet, name="Ann") == "Hello, Ann!"
    gate.opened.set()
    assert (await working).output == "True"
    assert reported == []


# The end


async def test_close_cancels_what_runs_and_refuses_more():
    loops = ToolRunner()
    begun, cancelled = threading.Event(), threading.Event()

    @tool
    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    task = asyncio.create_task(run(loops, wait))
    await until(begun.is_set)
    await loops.close(PATIENCE)
    await loops.close(PATIENCE)
    assert cancelled.is_set()
    with pytest.raises(RuntimeError):
        await task
    with pytest.raises(RuntimeError, match="closed"):
        await run(loops, greet, name="Ann")


async def test_close_does_not_wait_for_code_that_does_not_stop(gate, caplog):
    loops = ToolRunner()
    task = asyncio.create_task(run(loops, blocking(gate)))
    await gate.reached()
    with caplog.at_level(logging.WARNING):
        async with asyncio.timeout(PATIENCE):
            await loops.close(0.05)
    assert not task.done()
    assert "A tool of agent 'weather' does not stop" in caplog.text
    gate.opened.set()
    assert (await task).output == "passed"
    await asyncio.to_thread(_join_tool_threads)


def _join_tool_threads() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("tools of"):
            thread.join(PATIENCE)


@pytest.mark.parametrize(
    ("code", "calls"),
    [
        ("async def stuck(): forever()", 1),
        ("def stuck(): forever()", 3),
        ("async def stuck(): await asyncio.to_thread(forever)", 3),
    ],
    ids=["async", "sync", "to_thread"],
)
def test_code_that_never_returns_does_not_hold_up_exit(code, calls):
    program = textwrap.dedent(
        """
        import asyncio, threading
        from agents.tool_runner.tool_runner import ToolRunner
        from myagent import RunContext, tool

        begun = threading.Semaphore(0)

        def forever():
            begun.release()
            threading.Event().wait()

        {code}

        async def main():
            loops = ToolRunner(stall_seconds=0.05)
            never = tool(stuck)
            call = never.bind({{}}, RunContext(session_id="s", run_id="r", agent="a"))
            calls = [asyncio.create_task(loops.execute("a", never, call)) for _ in range({calls})]
            for _ in calls:
                await asyncio.to_thread(begun.acquire)
            for task in calls:
                task.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            await loops.close(0.05)

        asyncio.run(main())
        print("the end")
        """
    ).format(code=code, calls=calls)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (0, "the end\n"), done.stderr


# Versions


async def test_an_old_version_keeps_its_loop_until_it_is_ended(loops):
    before = set(threading.enumerate())
    old = (await run(loops, where_async)).data
    new = (await run(loops, where_async, version=2)).data
    assert old[0] != new[0]
    assert (await run(loops, where_async)).data == old
    await run(loops, where_sync)
    threads = [thread for thread in set(threading.enumerate()) - before if "weather" in thread.name]
    assert len(threads) == 3
    loops.end("weather", 1)
    loops.end("weather", 1)
    await until(lambda: [thread.is_alive() for thread in threads] == [thread.ident == new[0] for thread in threads])
    assert (await run(loops, where_async, version=2)).data == new


async def test_what_blocked_in_the_old_version_may_have_been_mended_in_the_new_one(loops):
    await named(loops, "block")
    assert await output(loops, greet, version=2, name="Ada") == "Hello, Ada!"
    loops.end("weather", 1)
    assert loops.blocking_tools("weather") == {}


async def test_ending_cancels_what_was_left_behind(loops):
    reached, cancelled = threading.Event(), threading.Event()

    @tool
    async def lingering() -> str:
        try:
            reached.set()
            await asyncio.sleep(PATIENCE)
        finally:
            cancelled.set()
        return ""

    going = asyncio.create_task(output(loops, lingering))
    assert await asyncio.to_thread(reached.wait, PATIENCE)
    loops.end("weather", 1)
    assert await asyncio.to_thread(cancelled.wait, PATIENCE)
    with pytest.raises(RuntimeError, match="CancelledError"):
        await going
