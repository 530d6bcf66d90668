"""An agent that may use tools once per message and then has to sum up."""

from myagent import create_react_agent, tool
from myagent.tool.terminate import Terminate


@tool
async def look(what: str) -> str:
    """Looks something up."""
    return f"saw {what}"


@tool
async def sweep() -> str:
    """Sweeps the hall and has nothing to say about it."""
    return ""


agent = create_react_agent(
    name="brief",
    tools=[look, sweep, Terminate()],
    system_prompt="You are brief.",
    next_step_prompt="Use one tool, or answer.",
    max_steps=1,
)
