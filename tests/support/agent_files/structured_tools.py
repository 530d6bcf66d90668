"""An agent whose answers are values, with a tool to use first."""

from dataclasses import dataclass

from myagent import create_react_agent


@dataclass
class Total:
    total: float
    note: str = ""


def price(item: str) -> float:
    """What an item costs."""
    return 12.5


agent = create_react_agent(name="structured-tools", tools=[price], output=Total, max_steps=3)
