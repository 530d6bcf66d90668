"""An agent whose tools tell how often they took effect, so that a test sees what a restart did to a call."""

import asyncio
import os
import signal
from pathlib import Path

from myagent import RunContext, create_react_agent, tool


async def act(run: RunContext, path: str, text: str = "x") -> str:
    """Take effect; the first time, never come to an end."""
    with Path(path).open("a") as file:
        file.write(text)
    if len(Path(path).read_text()) == len(text):
        run.state["unfinished"] = True
        run.progress("begun")
        await asyncio.sleep(3600)
    return f"acted {Path(path).read_text()}"


@tool(timeout=None)
async def once(run: RunContext, path: str) -> str:
    """Must not be repeated."""
    return await act(run, path)


@tool(timeout=None, idempotent=True)
async def again(run: RunContext, path: str) -> str:
    """May be repeated."""
    return await act(run, path)


@tool(timeout=None, idempotent=True, requires_confirmation=True)
async def again_after_yes(run: RunContext, path: str, text: str) -> str:
    """May be repeated, once a person has agreed."""
    return await act(run, path, text)


@tool
async def note(run: RunContext, word: str) -> str:
    """Adds a word to the session's state."""
    run.state["words"] = [*run.state.get("words", []), word]
    return f"noted {word}"


@tool
async def notes(run: RunContext) -> str:
    """Says what the session's state holds."""
    return f"{' '.join(run.state.get('words', []))} {run.state.get('unfinished', False)}"


@tool(requires_confirmation=True)
async def write(path: str, text: str) -> str:
    """Writes, if a person agrees."""
    with Path(path).open("a") as file:
        file.write(text)
    return f"wrote {text}"


@tool(requires_confirmation=True, confirm_timeout=2)
async def hasty(path: str) -> str:
    """Writes, if a person agrees in time."""
    Path(path).write_text("hasty")
    return "done"


@tool
async def ask(run: RunContext, question: str) -> str:
    """Asks while it runs."""
    return "yes" if await run.confirm(question) else "no"


@tool(idempotent=True)
async def ask_again(run: RunContext, question: str) -> str:
    """Asks while it runs, and may be repeated."""
    return "yes" if await run.confirm(question) else "no"


@tool
def die() -> str:
    """Takes its process with it."""
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


agent = create_react_agent(
    name="recovering", tools=[once, again, again_after_yes, note, notes, write, hasty, ask, ask_again, die], max_steps=5
)
