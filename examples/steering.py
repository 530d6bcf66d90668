"""Messages to an agent that is at work. 对正在工作的 Agent 说话。

    myagent-ws server examples/steering.py --llm demo

Say "Look for a lamp", and while it looks say "In green, please". The model reads what you say before its next step:
between a call and its result nothing is ever put. When its answer comes first, your message is simply the next one.
Programs choose for each message with `metadata.when_busy`: `"steer"`, `"queue"` or `"interrupt"`. What nobody has read
yet can be taken back: `user.withdraw`. The demo model does not think: it answers the newest message.

试着说 “Look for a lamp”，在它查找时再说 “In green, please”。模型在下一步之前读到这句话，
绝不会插在调用和它的结果之间；如果回答先到，这句话就成为下一条消息。
程序可以用 `metadata.when_busy` 为每条消息选择 `"steer"`、`"queue"` 或 `"interrupt"`；
还没有被读到的消息可以用 `user.withdraw` 收回。演示模型不会思考，只回答最新的一条消息。
"""

import asyncio
from typing import Literal

from myagent import RunContext, create_react_agent, tool

SHELVES = {"lamp": ["a green lamp", "a red lamp"], "chair": ["a green chair"]}
SECONDS = 4


@tool(idempotent=True)
async def look_for(thing: Literal["lamp", "chair"], run: RunContext) -> str:
    """Look for a thing in the warehouse, which takes a while.

    Args:
        thing: what to look for
    """
    for second in range(SECONDS):
        run.progress(f"aisle {second + 1}", percent=100 * second // SECONDS)
        await asyncio.sleep(1)
    return f"There is {' and '.join(SHELVES[thing])}."


agent = create_react_agent(
    name="warehouse",
    description="Looks for things, and listens meanwhile",
    examples=["Look for a lamp"],
    system_prompt="Look for what the user wants. The newest message counts most.",
    tools=[look_for],
    when_busy=("steer", "queue", "interrupt"),
)
