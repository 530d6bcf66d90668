"""An agent with those options of a run that KILLED_OPTIONS names, for rounds in which its server is killed."""

import asyncio
import os
from typing import Any

from myagent import HookedAnswer, HookedCall, Message, OpenAILLM, Refuse, ToolFailed, create_react_agent, tool
from tests.faults.kills.terms import CLOSED, FORBIDDEN, LIMITS, MASKED, SECRET, SHOWN, Total
from tests.support.agent_files.counting import again, take_effect


@tool
async def once(key: str, seconds: float) -> str:
    """Takes effect, and must not be run again."""
    take_effect(key, "once")
    await asyncio.sleep(seconds)
    return f"done {key}"


def read_message(message: Message) -> str:
    if FORBIDDEN in message.text:
        raise Refuse("This is not talked about.")
    return message.text.replace(MASKED, SHOWN)


def check_call(call: HookedCall) -> None:
    if CLOSED in call.arguments.get("key", ""):
        raise ToolFailed("This is closed.")


async def check_answer(answer: HookedAnswer) -> None:
    if SECRET in answer.text:
        raise Refuse("I may not say that.")


def first_model() -> OpenAILLM:
    """One that is found dead after one request, or three streams that broke off."""
    return OpenAILLM("first", timeout=float(os.environ["FIRST_TIMEOUT"]), max_retries=0, context_window=100_000)


OPTIONS: dict[str, dict[str, Any]] = {
    "limits": LIMITS,
    "fallback": {
        "llm": [first_model(), OpenAILLM("second", base_url=os.environ["SECOND_URL"], context_window=100_000)]
    },
    "output": {"output": Total},
    "steering": {"when_busy": ("steer", "queue")},
    "hooks": {},
}

chosen = os.environ["KILLED_OPTIONS"].split()
agent = create_react_agent(
    "killed",
    tools=[again, once],
    enable_tracing=True,
    **{"llm": first_model()} | {name: value for option in chosen for name, value in OPTIONS[option].items()},
)
if "hooks" in chosen:
    agent.hook("user_message")(read_message)
    agent.hook("before_tool")(check_call)
    agent.hook("answer")(check_answer)
