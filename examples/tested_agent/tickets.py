"""An agent with tests, in test_tickets.py beside it. 带测试的 Agent，测试见旁边的 test_tickets.py。

    myagent-ws server examples/tested_agent/tickets.py --llm demo
    cd examples/tested_agent && pytest

Say "Two tickets for Friday" and answer the question. 试着说 “Two tickets for Friday”。
"""

from typing import Literal

from myagent import RunContext, ToolFailed, create_react_agent, tool

SEATS = {"Friday": 2, "Saturday": 40}


@tool(requires_confirmation=True)
async def book(day: Literal["Friday", "Saturday"], seats: int = 2, *, run: RunContext) -> str:
    """Books seats for the show.

    Args:
        day: of the show
        seats: how many
    """
    booked = run.state.setdefault("booked", {})
    if booked.get(day, 0) + seats > SEATS[day]:
        raise ToolFailed(f"{day} has {SEATS[day] - booked.get(day, 0)} seats left.")
    booked[day] = booked.get(day, 0) + seats
    return f"{seats} seats for {day} are booked."


agent = create_react_agent(
    name="tickets",
    description="Sells tickets for a show",
    tools=[book],
    system_prompt="You sell tickets. Ask for the day when it is not said.",
)
