"""What a conversation remembers, and how far a tool is. 会话状态与进度。

    myagent-ws server examples/state_and_progress.py --llm demo

Say "Put bread on my list", "And milk", then "Now order it". `run.state` is a dict that is stored with the session: it
is there after a restart, on another machine, and for nobody else. `run.progress` is shown while the tool works.

试着说 “Put bread on my list”、“And milk”，再说 “Now order it”。
run.state 随会话保存；run.progress 在工具运行时显示进度。
"""

import asyncio
from typing import Literal

from myagent import RunContext, create_react_agent, tool


@tool
async def put_on_list(item: Literal["bread", "milk", "apples"], run: RunContext) -> str:
    """Puts something on the user's shopping list.

    Args:
        item: what to buy
    """
    items = run.state.setdefault("list", [])
    if item not in items:
        items.append(item)
    return f"On the list: {', '.join(items)}."


@tool(timeout=120)
async def place_order(when: Literal["now", "tomorrow"], run: RunContext) -> dict:
    """Orders everything on the list, and empties it.

    Args:
        when: the day of the delivery
    """
    items = run.state.get("list", [])
    for number, item in enumerate(items):
        run.progress(f"packing {item}", percent=100 * number / len(items))
        await asyncio.sleep(0.3)  # what a real shop would need
    run.state["list"] = []
    return {"ordered": items, "delivery": when}


agent = create_react_agent(
    name="shopper",
    description="Keeps a shopping list and orders it",
    tools=[put_on_list, place_order],
    system_prompt="You keep the user's shopping list.",
)
