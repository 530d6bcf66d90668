"""Rules for what goes through a run, and a memory. 运行中的规则，以及记忆。

    myagent-ws server examples/hooks_with_memory.py --llm demo

Say "My favourite drink is tea". A hook on the answer ends it with what is known of you, also in your next conversation,
since the memory is yours and not the conversation's: the prompt is written for each run, with what is in it. Then
"My password is tulip": another hook refuses the call, and the run ends with its words, whatever the model thinks of
it. "Forget my drink" takes it out again. Guests without a name are not remembered, so they are given no tools.

What is remembered is in the admin, is deleted there or with the user (`manage.py deleteuser`), and is part of what
`manage.py exportuser` writes. Without a server it is what you give: `await agent.arun("…", memory=a_dict)`.

先说 “My favourite drink is tea”：回答的结尾由钩子加上，说出它记得你的什么；换一个会话也一样，
因为记忆属于你，不属于会话，提示词为每次运行写一遍，写进记住的内容。
再说 “My password is tulip”：另一个钩子拒绝这次调用，运行以它的话结束，不取决于模型怎么想。
“Forget my drink” 会让它忘掉。没有名字的访客不会被记住，因此也没有工具。

记住的内容在后台可以看到，可以在那里删除，也随用户一起删除（`manage.py deleteuser`），
`manage.py exportuser` 会一并导出。没有服务器时由你给出：`await agent.arun("…", memory=一个字典)`。
"""

from typing import Literal

from myagent import BaseTool, HookedAnswer, HookedCall, Refuse, RunContext, create_react_agent, tool

Topic = Literal["drink", "city", "password"]


@tool(idempotent=True)
def remember(topic: Topic, said: str, run: RunContext) -> str:
    """Remember what the user says of a favourite thing.

    Args:
        topic: what it is about
        said: in the user's words
    """
    if run.memory is not None:
        run.memory[topic] = said
    return f"I will remember your {topic}."


@tool(idempotent=True)
def forget(topic: Topic, run: RunContext) -> str:
    """Forget what the user has said of a thing.

    Args:
        topic: what it is about
    """
    known = run.memory is not None and run.memory.pop(topic, None) is not None
    return f"Your {topic} is forgotten." if known else f"I do not know your {topic}."


def instructions(run: RunContext) -> str:
    known = "\n".join(f"- {topic}: {said}" for topic, said in (run.memory or {}).items())
    return f"You chat with {run.user or 'a guest'}. What they have told you before:\n{known or 'nothing'}"


def tools(run: RunContext) -> list[BaseTool]:
    return [] if run.memory is None else [remember, forget]


agent = create_react_agent(
    name="friend",
    description="Remembers what you like, in all of your conversations",
    examples=["My favourite drink is tea", "Forget my drink"],
    system_prompt=instructions,
    tools=tools,
)


@agent.hook("before_tool")
def keep_no_secrets(call: HookedCall) -> None:
    if call.name == "remember" and call.arguments["topic"] == "password":
        raise Refuse("I keep no secrets.")


@agent.hook("answer")
def say_what_is_known(answer: HookedAnswer, run: RunContext) -> str:
    return f"{answer.text} (I know your {', '.join(run.memory)}.)" if run.memory else answer.text
