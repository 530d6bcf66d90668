"""图片中使用的 Agent。"""

import asyncio
from typing import Literal

from myagent import RunContext, create_react_agent, tool

WEATHER = {"北京": "晴，24 °C", "上海": "小雨，19 °C", "成都": "多云，21 °C"}


@tool
async def get_weather(city: Literal["北京", "上海", "成都"]) -> str:
    """查询城市的天气。

    Args:
        city: 城市
    """
    await asyncio.sleep(0.4)
    return f"- {city}：{WEATHER[city]}"


@tool(requires_confirmation=True)
async def book_room(hotel: Literal["海湾酒店", "西湖客栈"], run: RunContext) -> str:
    """预订酒店房间。

    Args:
        hotel: 酒店
    """
    run.progress("正在查询空房", percent=50)
    await asyncio.sleep(0.6)
    run.state["hotel"] = hotel
    return f"已为您预订**{hotel}**，两晚。"


agent = create_react_agent(
    name="旅行助手",
    description="查询天气、预订酒店",
    tools=[get_weather, book_room],
    examples=["北京的天气怎么样？", "请预订海湾酒店的房间"],
    enable_tracing=True,
)
