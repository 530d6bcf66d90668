"""Two models at two endpoints, of which the second stands in for the first; and one with a wide window."""

import os

from myagent import OpenAILLM, create_react_agent, tool


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


agent = create_react_agent(
    "falling_back",
    llm=[
        OpenAILLM("first", context_window=20_000, timeout=float(os.environ.get("FIRST_TIMEOUT", "60"))),
        OpenAILLM("second", base_url=os.environ["SECOND_URL"], context_window=int(os.environ.get("WINDOW", "10000"))),
    ],
    tools=[add],
    enable_tracing=True,
)
