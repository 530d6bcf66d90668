"""Rules for what goes through a run. 运行中的规则。

    myagent-ws server examples/hooks.py --llm demo

Say "Read the shopping list": the answer is given its last words by a hook. Then "Read the password": another hook
refuses the call, and the run ends with its words. No hook depends on what the model thinks of it.

先说 “Read the shopping list”：回答的结尾由钩子加上。再说 “Read the password”：另一个钩子拒绝这次调用，
运行以它的话结束。钩子不取决于模型怎么想。
"""

from typing import Literal

from myagent import HookedAnswer, HookedCall, Refuse, RunContext, create_react_agent

NOTES = {"shopping": "bread, milk", "password": "correct horse battery staple"}


def read_note(note: Literal["shopping", "password"]) -> str:
    """Reads a note.

    Args:
        note: which one
    """
    return NOTES[note]


def instructions(run: RunContext) -> str:
    return f"You keep the notes of {run.user or 'a guest'}."


agent = create_react_agent(
    name="notes",
    description="Reads notes, but not all of them",
    examples=["Read the shopping list", "Read the password"],
    system_prompt=instructions,
    tools=[read_note],
)


@agent.hook("before_tool")
def keep_secrets(call: HookedCall) -> None:
    if call.arguments["note"] == "password":
        raise Refuse("Passwords are read by nobody but you.")


@agent.hook("answer")
def name_the_source(answer: HookedAnswer) -> str:
    return f"{answer.text} — from your notes."
