"""Two agents on one server, this one and librarian.py. 一个服务器上的两个 Agent。

    myagent-ws server examples/two_agents --llm demo

Each has its own address, `ws://localhost:8080/ws/cook/` and `…/ws/librarian/`, and the first one is at `/`, too. The
page of the server lets you choose. Say "How do I make pancakes?" to this one. They share the modules beside them, here
`house.py`, and nothing else: sessions, state and the loops of their tools are each agent's own.

试着对这个 Agent 说 “How do I make pancakes?”。两个 Agent 各有自己的地址、会话和状态，共用旁边的模块 house.py。
"""

from typing import Literal

from house import signed

from myagent import create_react_agent, tool

RECIPES = {"pancakes": "2 eggs, 250 g flour, 500 ml milk; rest, fry.", "salad": "What the garden has; oil, vinegar."}


@tool
async def recipe(dish: Literal["pancakes", "salad"]) -> str:
    """Looks up a recipe.

    Args:
        dish: what to cook
    """
    return signed(RECIPES[dish], "the cook")


agent = create_react_agent(
    name="cook",
    description="Knows what to cook",
    tools=[recipe],
    system_prompt="You are the cook of the house. Speak of food only.",
)
