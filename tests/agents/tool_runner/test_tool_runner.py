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
import traceback
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from agents.tool_runner.tool_runner import ToolRunner
from myagent import BaseTool, RunContext, ToolFailed, ToolResult, current_run, tool

PATIENCE = 20.0
"""Seconds until a test that waits for an event gives up."""

marker: ContextVar[str] = ContextVar("marker", default="unset")


@pytest.fixture
def reported() -> list[tuple[str, str]]:
    return []


@pytest.fixture
async def loops(reported: list[tuple[str, str]]) -> AsyncIterator[ToolRunner]:
    loops = ToolRunner(stall_seconds=0.1, on_blocking=lambda agent, tool: reported.append((agent, tool)))
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


# Blocking code


async def test_eight_blocked_calls_do_not_keep_a_ninth_of_another_tool(loops, gate, reported, caplog):
    block = blocking(gate)
    with caplog.at_level(logging.WARNING, logger="myagent.tools"):
        blocked = [asyncio.create_task(run(loops, block)) for _ in range(8)]
        await gate.reached()
        assert await output(loops, greet, name="Ann") == "Hello, Ann!"
        for _ in range(7):
            await gate.reached()  # the others were moved, each to a thread of its own
    assert len(set(gate.threads)) == 8
    assert reported == [("weather", "block")]
    assert loops.blocking_tools("weather") == {"block"}
    (record,) = [record for record in caplog.records if record.name == "myagent.tools"]
    assert "'block' of agent 'weather' blocks" in record.getMessage()
    assert "test_tool_runner.py" in record.getMessage()
    gate.opened.set()
    results = await asyncio.gather(*blocked)
    assert {result.output for result in results} == {"passed"}


async def test_other_agents_do_not_notice(gate):
    loops = ToolRunner(stall_seconds=PATIENCE)  # long, so that nothing is moved
    blocked = asyncio.create_task(run(loops, blocking(gate), "weather"))
    await gate.reached()
    assert await output(loops, greet, "news", name="Ann") == "Hello, Ann!"
    gate.opened.set()
    await blocked
    await loops.close(PATIENCE)


async def test_calls_that_wait_behind_a_blocked_one_are_moved(loops, gate):
    blocked = asyncio.create_task(run(loops, blocking(gate)))
    await gate.reached()
    marker.set("moved")

    @tool
    async def look() -> str:
        return f"{marker.get()} {current_run().run_id}"

    outputs = await asyncio.gather(*(output(loops, look) for _ in range(20)))
    assert outputs == ["moved r"] * 20
    assert not blocked.done()


async def test_a_blocking_tool_gets_a_thread_and_loop_for_each_call_from_then_on(loops, gate):
    block = blocking(gate)
    home = (await run(loops, where_async)).data[0]
    blocked = asyncio.create_task(run(loops, block))
    await until(lambda: bool(loops.blocking_tools("weather")))
    gate.opened.set()
    await blocked
    assert gate.threads == [home]
    assert await output(loops, block) == "passed"
    assert gate.threads[1] != home


async def test_a_call_that_runs_alone_can_be_cancelled_and_fail_and_has_its_context(loops, gate):
    begun, cancelled = threading.Event(), threading.Event()

    @tool
    async def moody(mood: str) -> str:
        match mood:
            case "block":
                gate.block()
            case "fail":
                raise ToolFailed("No mood for it.")
            case "wait":
                begun.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    cancelled.set()
        return f"{marker.get()} {current_run().run_id}"

    marker.set("alone")
    blocked = asyncio.create_task(run(loops, moody, mood="block"))
    await until(lambda: bool(loops.blocking_tools("weather")))
    gate.opened.set()
    await blocked

    assert await output(loops, moody, mood="fine") == "alone r"
    with pytest.raises(ToolFailed, match="No mood"):
        await run(loops, moody, mood="fail")
    task = asyncio.create_task(run(loops, moody, mood="wait"))
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
    await until(lambda: bool(loops.blocking_tools("weather")))
    assert not begun.done()
    gate.opened.set()
    assert (await begun).output == "ended"
    await blocked


async def test_a_tool_goes_back_to_the_loop_of_its_clients(loops, gate):
    home = (await run(loops, where_async)).data
    blocked = asyncio.create_task(run(loops, blocking(gate)))
    await until(lambda: bool(loops.blocking_tools("weather")))

    @tool
    async def newcomer() -> str:
        return str(id(asyncio.get_running_loop()))

    meanwhile = (await run(loops, where_async)).data
    newcomers_home = await output(loops, newcomer)
    assert meanwhile[1] != home[1]
    assert newcomers_home == str(meanwhile[1])
    gate.opened.set()
    await blocked
    async with asyncio.timeout(PATIENCE):
        while (await run(loops, where_async)).data != home:
            await asyncio.sleep(0.01)
    assert await output(loops, newcomer) == newcomers_home


async def test_a_blocking_task_of_a_tool_is_laid_at_its_door(loops, gate, reported):
    @tool
    async def fork() -> str:
        async def child() -> None:
            gate.block()

        await asyncio.create_task(child())
        return "joined"

    forked = asyncio.create_task(run(loops, fork))
    await until(lambda: bool(reported))
    assert reported == [("weather", "fork")]
    gate.opened.set()
    assert (await forked).output == "joined"


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


async def test_two_tools_that_block_one_after_the_other_are_both_found(loops, reported):
    gates = [Gate(), Gate()]
    try:
        tools = [tool(name=f"block{number}")(blocking(gate).execute) for number, gate in enumerate(gates)]
        blocked = [asyncio.create_task(run(loops, each)) for each in tools]
        await until(lambda: len(reported) == 2)
        assert await output(loops, greet, name="Ann") == "Hello, Ann!"
        assert sorted(reported) == [("weather", "block0"), ("weather", "block1")]
    finally:
        for each in gates:
            each.opened.set()
    await asyncio.gather(*blocked)


async def test_an_observer_that_fails_is_logged_and_does_no_harm(gate, caplog):
    def fail(agent: str, name: str) -> None:
        raise ValueError("no observer")

    loops = ToolRunner(stall_seconds=0.1, on_blocking=fail)
    blocked = asyncio.create_task(run(loops, blocking(gate)))
    await gate.reached()
    assert await output(loops, greet, name="Ann") == "Hello, Ann!"
    assert "on_blocking failed" in caplog.text
    gate.opened.set()
    await blocked
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
    "code",
    ["async def stuck(): forever()", "def stuck(): forever()", "async def stuck(): await asyncio.to_thread(forever)"],
    ids=["async", "sync", "to_thread"],
)
def test_code_that_never_returns_does_not_hold_up_exit(code):
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
            calls = [asyncio.create_task(loops.execute("a", never, call)) for _ in range(3)]
            for _ in calls:
                await asyncio.to_thread(begun.acquire)
            for task in calls:
                task.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            await loops.close(0.05)

        asyncio.run(main())
        print("the end")
        """
    ).format(code=code)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
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


async def test_what_blocked_in_the_old_version_may_have_been_mended_in_the_new_one(loops, gate, reported):
    stuck = asyncio.create_task(output(loops, blocking(gate)))
    await gate.reached()
    await until(lambda: loops.blocking_tools("weather") == {"block"})
    gate.opened.set()
    assert await stuck == "passed"
    assert await output(loops, greet, version=2, name="Ada") == "Hello, Ada!"
    loops.end("weather", 1)
    assert loops.blocking_tools("weather") == frozenset()


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
