"""An agent with hooks, and a system prompt that is a function. Its tool writes down what it did."""

from __future__ import annotations

import time
from pathlib import Path

from myagent import HookedAnswer, HookedCall, Message, Refuse, RunContext, create_react_agent, tool


@tool(idempotent=True)
def look(at: str, into: str) -> str:
    """Looks at something, and writes a line about it."""
    with Path(into).open("a") as file:
        file.write(f"{at}\n")
    return f"nothing at {at}"


async def instructions(run: RunContext) -> str:
    return f"You serve session {run.session_id}."


agent = create_react_agent(name="hooked", tools=[look], system_prompt=instructions)


@agent.hook("user_message")
def without_numbers(message: Message) -> str:
    time.sleep(0.01)  # a plain function may block
    if "rude" in message.text:
        raise Refuse("Not in this tone.")
    return message.text.replace("1234", "****")


@agent.hook("before_tool")
async def allowed_places(call: HookedCall, run: RunContext) -> dict[str, str] | None:
    if call.arguments["at"] == "vault" and not await run.confirm("Look into the vault?"):
        raise Refuse("The vault stays shut.")
    return {**call.arguments, "at": "garden"} if call.arguments["at"] == "yard" else None


@agent.hook("answer")
def no_secrets(answer: HookedAnswer) -> None:
    if "broken" in answer.text:
        raise ValueError("the password is hunter2")
    if "secret" in answer.text:
        raise Refuse("I may not say that.")
