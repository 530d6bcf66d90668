"""An agent whose tools do what the tests need: finish, fail, wait, block, ask, remember."""

import asyncio
import base64
import threading
import time
from pathlib import Path

from myagent import BaseTool, Image, RetryTool, RunContext, ToolFailed, ToolResult, create_react_agent, tool

SECRET = "swordfish-of-the-database"


class Add(BaseTool):
    """Written as the seed has it: a class with a schema."""

    name = "add"
    description = "Adds two numbers"
    parameters = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    }

    async def execute(self, a: int, b: int) -> ToolResult:
        return ToolResult(output=str(a + b), data={"sum": a + b})


@tool
def plot() -> list[object]:
    """Gives a picture of one dot."""
    return ["a dot", Image(base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"))]


@tool
def boom() -> str:
    """Fails as code fails."""
    raise RuntimeError(f"password is {SECRET}")


@tool
async def choosy(city: str) -> str:
    """Wants another argument."""
    raise RetryTool(f"{city} is unknown; use its English name")


@tool
async def broken() -> str:
    """Fails on purpose."""
    raise ToolFailed("the printer is out of paper")


@tool(timeout=0.2)
async def slow() -> str:
    """Takes longer than it may."""
    await asyncio.sleep(3600)
    return "never"


@tool
async def big(size: int) -> str:
    """Says much."""
    return "x" * size


@tool
async def steps(run: RunContext) -> str:
    """Says how far it is, one thing after the other has been taken."""
    for percent in (10, 50, 90):
        run.progress(f"{percent} of 100", percent)
        await asyncio.sleep(0.05)
    return "all done"


@tool
async def remember(run: RunContext, word: str) -> str:
    """Adds a word to the session's state."""
    run.state.setdefault("words", []).append(word)
    return "noted"


@tool
async def recall(run: RunContext) -> str:
    """Says the words that it remembers."""
    return " ".join(run.state.get("words", [])) or "nothing"


@tool
async def who(run: RunContext) -> str:
    """Says for whom it works."""
    return f"{run.user} with {run.agent}"


_pairs: dict[str, asyncio.Barrier] = {}


@tool
async def meet(place: str) -> str:
    """Returns only when two calls are in the same place at the same time."""
    await _pairs.setdefault(place, asyncio.Barrier(2)).wait()
    return f"met in {place}"


@tool(timeout=None)
async def wait(run: RunContext) -> str:
    """Waits for ever without blocking anybody."""
    run.progress("waiting")
    await asyncio.sleep(3600)
    return "never"


@tool(timeout=None)
def block(run: RunContext) -> str:
    """Blocks its thread for ever, as a plain function may."""
    run.progress("blocking")
    threading.Event().wait()
    return "never"


@tool(timeout=None)
async def freeze(run: RunContext, seconds: float) -> str:
    """Blocks its loop, as an `async def` must not."""
    run.progress("freezing")
    time.sleep(seconds)
    return "thawed"


@tool(requires_confirmation=True)
async def write(path: str, text: str) -> str:
    """Writes a file, if a person allows it."""
    with Path(path).open("a") as file:
        file.write(text)
    return f"wrote {text}"


@tool(requires_confirmation=True, confirm_timeout=0.3)
async def hasty(path: str) -> str:
    """Writes a file, if a person allows it quickly."""
    Path(path).write_text("hasty")
    return "done"


@tool(timeout=5)
async def ask(run: RunContext, question: str) -> str:
    """Asks while it runs."""
    return "yes" if await run.confirm(question) else "no"


@tool
def ask_plain(run: RunContext, question: str) -> str:
    """Asks while it runs, from a plain function."""
    return "yes" if run.confirm_sync(question) else "no"


@tool
async def ask_carelessly(run: RunContext, question: str) -> str:
    """Asks, and does not wait for the answer."""
    return "yes" if run.confirm(question) else "no"


@tool
def ask_plain_carelessly(run: RunContext, question: str) -> str:
    """Asks from a plain function, and does not look at what it gets."""
    run.confirm(question)
    return "yes"


agent = create_react_agent(
    name="tools",
    description="Does what tests need",
    tools=[
        Add(),
        plot,
        boom,
        choosy,
        broken,
        slow,
        big,
        steps,
        remember,
        recall,
        who,
        meet,
        wait,
        block,
        freeze,
        write,
        hasty,
        ask,
        ask_plain,
        ask_carelessly,
        ask_plain_carelessly,
    ],
    system_prompt="You are the agent of the tests.",
    max_steps=5,
)
