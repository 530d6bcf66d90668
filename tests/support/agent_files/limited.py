"""An agent whose runs may make five tool calls; its tool writes down what it did."""

from __future__ import annotations

from pathlib import Path

from myagent import create_react_agent, tool


@tool(idempotent=True)
async def look(at: str, into: str) -> str:
    """Looks at something, and writes a line about it."""
    with Path(into).open("a") as file:
        file.write(f"{at}\n")
    return f"nothing at {at}"


agent = create_react_agent(name="limited", tools=[look], system_prompt="You look around.", max_tool_calls=5)
