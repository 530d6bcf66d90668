"""The agent of the pictures."""

import asyncio
from typing import Literal

from myagent import RunContext, create_react_agent, tool

WEATHER = {"Lisbon": "sunny, 24 °C", "Oslo": "light snow, −3 °C", "Kyoto": "cloudy, 15 °C"}


@tool
async def get_weather(city: Literal["Lisbon", "Oslo", "Kyoto"]) -> str:
    """Looks up the weather in a city.

    Args:
        city: the city
    """
    await asyncio.sleep(0.4)
    return f"- {city}: {WEATHER[city]}"


@tool(requires_confirmation=True)
async def book_room(hotel: Literal["Harbour House", "Hotel Aurora"], run: RunContext) -> str:
    """Books a room in a hotel.

    Args:
        hotel: the hotel
    """
    run.progress("asking for a room", percent=50)
    await asyncio.sleep(0.6)
    run.state["hotel"] = hotel
    return f"A room at **{hotel}** is yours for two nights."


agent = create_react_agent(
    name="travel-desk",
    description="Weather and rooms for travellers",
    tools=[get_weather, book_room],
    examples=["What is the weather like in Lisbon?", "Please book a room at Harbour House"],
    enable_tracing=True,
)
