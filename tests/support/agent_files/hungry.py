"""An agent whose server is told that its memory is full: to fill it would end the tests."""

from agents.hosting.process_memory import ProcessMemory
from myagent import create_react_agent, tool


@tool
def take(percent: float) -> str:
    """Let the system say that so much of the memory is taken."""
    ProcessMemory.percent = lambda _memory: percent
    return "taken"


agent = create_react_agent(name="hungry", tools=[take])
