"""An agent whose tools write down each time they take effect, so that the fault suite can count it.

A line of the file COUNTING_FILE is one effect: the key of the call, the tool, the process.
"""

import asyncio
import json
import os
import threading

from myagent import RunContext, ToolFailed, create_react_agent, tool


def take_effect(key: str, name: str) -> None:
    """One write of one line: processes that are killed leave whole lines, those that share the file do not mix them."""
    line = json.dumps({"key": key, "tool": name, "pid": os.getpid()}) + "\n"
    file = os.open(os.environ["COUNTING_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


@tool
async def quick(key: str) -> str:
    """Takes effect at once."""
    take_effect(key, "quick")
    return f"done {key}"


@tool
async def slow(run: RunContext, key: str, seconds: float) -> str:
    """Takes effect, and then its time."""
    take_effect(key, "slow")
    run.progress("half", 50)
    await asyncio.sleep(seconds)
    return f"done {key}"


@tool
def block(key: str, seconds: float) -> str:
    """Takes effect in a thread and blocks it."""
    take_effect(key, "block")
    threading.Event().wait(seconds)
    return f"done {key}"


@tool(idempotent=True)
async def again(key: str, seconds: float) -> str:
    """May be run again when nobody knows how it ended."""
    take_effect(key, "again")
    await asyncio.sleep(seconds)
    return f"done {key}"


@tool
async def fail(key: str) -> str:
    """Takes effect and fails."""
    take_effect(key, "fail")
    raise ToolFailed(f"no {key}")


@tool(requires_confirmation=True, confirm_timeout=4)
async def careful(key: str) -> str:
    """Takes effect if a person allows it."""
    take_effect(key, "careful")
    return f"done {key}"


agent = create_react_agent(
    name="counting",
    description="Counts what its tools do",
    tools=[quick, slow, block, again, fail, careful],
    system_prompt="You are the agent of the fault suite.",
    max_steps=8,
    enable_tracing=True,
)
