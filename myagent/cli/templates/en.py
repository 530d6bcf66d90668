"""An agent for the counter of a small shop: it looks things up, and leaves messages for the staff.

    myagent-ws check my_agent.py                # what is in here, and what looks wrong
    myagent-ws server my_agent.py --llm demo    # serve it at http://localhost:8080/; the demo model needs no key
    myagent-ws chat                             # talk to it in another terminal, or on that page

Say "What are your opening hours?" or "This is urgent: please call me back". The demo model does not think, it calls a
tool when a message holds one of the values that the tool's parameters know (here: opening hours, urgent, …). For real
answers set OPENAI_API_KEY, in the environment or in a file .env, and leave --llm demo out.
"""

from typing import Literal

from myagent import RunContext, create_react_agent, tool

FACTS = {
    "opening hours": "Monday to Friday 9 to 18, Saturday 10 to 14.",
    "address": "12 Harbour Street, on the ground floor.",
    "returns": "Within 30 days, with the receipt.",
}


# A typed function with a docstring is a tool: the model reads its name, this text and its parameters, and decides by
# them when to call it. A Literal tells the model which values there are; wrong ones never reach the function.
@tool
async def look_up(topic: Literal["opening hours", "address", "returns"]) -> str:
    """Looks up a fact about the shop.

    Args:
        topic: what the customer asks about
    """
    return FACTS[topic]


# A tool that does something can ask first: the user sees the arguments and says yes or no. `run` is filled in by the
# server and not shown to the model; run.state is kept with the conversation, also when the server is restarted.
@tool(requires_confirmation=True)
async def leave_message(text: str, priority: Literal["urgent", "normal"], run: RunContext) -> str:
    """Leaves a message for the staff.

    Args:
        text: what the customer wants, in their own words
        priority: how soon it has to be read
    """
    messages = run.state.setdefault("messages", [])
    messages.append({"text": text, "priority": priority})
    return f"Message {len(messages)} is left for the staff ({priority})."


# Code that waits (time.sleep, requests, most databases) belongs into a plain `def`, which runs in a thread of its own:
#
#     @tool(timeout=20)
#     def order_status(number: int) -> dict:
#         """Asks the shop system about an order."""
#         return requests.get(f"https://shop.example/orders/{number}").json()

# It must be called 'agent'.
agent = create_react_agent(
    name="my-agent",
    description="Answers at the counter of a small shop",
    tools=[look_up, leave_message],
    system_prompt="You answer at the counter of a small shop: briefly, and only what your tools tell you.",
    max_steps=5,  # how often it may use tools for one message
    # llm="qwen-plus",        # another model than LLM_MODEL says
    # when_busy="interrupt",  # what a message does during an answer: "queue", "reject" or "interrupt"
)
