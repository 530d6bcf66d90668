"""An agent whose messages may steer the run that is going, wait behind it, or interrupt it."""

from myagent import RunContext, create_react_agent, tool


@tool
async def wait_for_word(run: RunContext) -> str:
    """Asks a person, which takes until there is an answer."""
    return "yes" if await run.confirm("Go on?") else "no"


agent = create_react_agent(name="steered", tools=[wait_for_word], when_busy=("steer", "queue", "interrupt"))
