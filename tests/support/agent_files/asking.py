"""An agent whose hooks ask at each of their points, when the message names it; its tools are chosen by each run."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from myagent import Refuse, RunContext, create_react_agent, tool


@tool(idempotent=True)
async def look(at: str, into: str) -> str:
    """Looks at something, and writes a line about it."""
    with Path(into).open("a") as file:
        file.write(f"{at}\n")
    return f"nothing at {at}"


@tool
async def dig(into: str, run: RunContext) -> str:
    """Digs, once."""
    with Path(into).open("a") as file:
        file.write("dug\n")
    return "a hole"


def tools(run: RunContext) -> list[Any]:
    """Those that the environment of the server names."""
    left = os.environ.get("ASKING_TOOLS", "look dig").split()
    return [tool for tool in (look, dig) if tool.name in left]


agent = create_react_agent(name="asking", tools=tools, system_prompt="", enable_tracing=True)
asks_at = ""


def asking(point: str) -> Callable[..., Awaitable[None]]:
    async def ask(value: Any, run: RunContext) -> None:
        global asks_at
        if point == "user_message":
            asks_at = value.text
        if point in asks_at and not await run.confirm(f"Go on at {point}?"):
            raise Refuse(f"Stopped at {point}.")

    ask.__name__ = f"ask_at_{point}"
    return ask


for point in ("user_message", "before_model", "after_model", "before_tool", "after_tool", "answer"):
    agent.hook(point)(asking(point))  # type: ignore[arg-type]
