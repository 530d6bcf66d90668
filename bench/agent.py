"""The agent that is served while measuring: one tool that answers at once."""

from myagent import create_react_agent, tool


@tool
async def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}, 21 degrees."


agent = create_react_agent(name="weather", tools=[get_weather], system_prompt="You are a weather assistant.")
