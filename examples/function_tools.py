"""Plain functions as tools. 普通函数就是工具。

    myagent-ws server examples/function_tools.py --llm demo

Say "Roll a d20", "How many pounds are 5 kg?" or "What can you tell me about Mars?". Name, description and parameters of
a tool come from the function's name, docstring and annotations; what a model gets wrong never reaches the function.

试着说 “Roll a d20”、“How many pounds are 5 kg?” 或 “What can you tell me about Mars?”。
工具的名字、说明和参数来自函数名、文档字符串和类型注解。
"""

import random
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from myagent import RetryTool, create_react_agent, tool


@dataclass
class Planet:
    name: str
    moons: int
    day_hours: float


PLANETS = {"mars": Planet("Mars", 2, 24.6), "venus": Planet("Venus", 0, 2802.0), "jupiter": Planet("Jupiter", 95, 9.9)}


def roll(die: Literal["d6", "d20"], times: Annotated[int, Field(ge=1, le=10)] = 1) -> list[int]:
    """Rolls dice.

    Args:
        die: which die
        times: how often
    """
    return [random.randint(1, int(die[1:])) for _ in range(times)]


# With @tool a function can have options, and is still a function.
@tool(name="convert_weight", idempotent=True)
def convert(amount: Annotated[float, Field(examples=[5, 12.5])], unit: Literal["kg", "lb"]) -> str:
    """Converts between kilograms and pounds.

    Args:
        amount: how much
        unit: of what; the result is in the other one
    """
    return (
        f"{amount:g} kg = {amount * 2.20462:.2f} lb" if unit == "kg" else f"{amount:g} lb = {amount / 2.20462:.2f} kg"
    )


# Text, numbers, dicts, lists, dataclasses and pydantic models may be returned; the model gets them as JSON.
def planet(name: Annotated[str, Field(examples=["Mars", "Venus", "Jupiter"])]) -> Planet:
    """Tells about a planet.

    Args:
        name: of the planet
    """
    if name.lower() not in PLANETS:
        raise RetryTool(f"Nothing is known of {name}. Known are: {', '.join(PLANETS)}.")
    return PLANETS[name.lower()]


agent = create_react_agent(
    name="functions",
    description="Rolls dice, converts weights, knows planets",
    tools=[roll, convert, planet],
    system_prompt="You answer with the help of your tools, in one sentence.",
)
