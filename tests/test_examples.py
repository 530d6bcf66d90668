"""The agents in `examples/` do what they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from agents.loading import load_agent
from myagent import Agent, RetryTool, RunContext
from myagent.demo_llm import DemoLLM
from myagent.testing import ScriptedLLM, call
from tests.markdown import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
CONTEXT = RunContext(session_id="s", run_id="r", agent="weather-assistant")


@pytest.fixture(scope="module")
def weather():
    """The module of the weather assistant."""
    load_agent(str(ROOT / "examples" / "ws_weather_agent.py"))
    import ws_weather_agent

    return ws_weather_agent


async def use(tool, **arguments):
    return await tool.bind(tool.check(arguments), CONTEXT)()


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_every_example_can_be_served(file: Path):
    agent = load_agent(str(file))
    assert isinstance(agent, Agent)
    assert agent.description
    assert all(tool.description for tool in agent.tools)


async def test_weather_of_a_day(weather):
    result = await use(weather.WeatherTool(), city="北京", day="明天")
    assert result.output.startswith("北京明天（")
    assert result.data["city"] == "北京"
    assert result.data["low"] < result.data["high"]
    assert f"{result.data['low']}～{result.data['high']} ℃" in result.output


async def test_weather_is_todays_when_nothing_is_said(weather):
    assert (await use(weather.WeatherTool(), city="广州")).output.startswith("广州今天（")


async def test_the_days_follow_each_other(weather):
    days = [(await use(weather.WeatherTool(), city="北京", day=day)).data["date"] for day in weather.DAYS]
    numbers = [date.fromisoformat(day).toordinal() for day in days]
    assert [number - numbers[0] for number in numbers] == [0, 1, 2]


@pytest.mark.parametrize(
    ("month", "season"),
    [(1, "冬季"), (2, "冬季"), (3, "春季"), (5, "春季"), (6, "夏季"), (8, "夏季"), (9, "秋季"), (11, "秋季")],
)
def test_season(weather, month, season):
    assert weather.SEASONS[weather.season_of(date(2026, month, 15))] == season


@pytest.mark.parametrize("written", ["上海", "上海市", " 上海 ", "Shanghai", "SHANGHAI"])
async def test_city_by_any_of_its_names(weather, written):
    result = await use(weather.CityInfoTool(), city=written)
    assert result.data["city"] == "上海"
    assert "人口约 2487 万" in result.output


@pytest.mark.parametrize("tool", ["WeatherTool", "CityInfoTool"])
async def test_unknown_city_tells_which_are_known(weather, tool):
    with pytest.raises(RetryTool, match="没有城市 '巴黎' 的数据") as error:
        await use(getattr(weather, tool)(), city="巴黎")
    assert all(city in str(error.value) for city in weather.CITIES)


def test_a_day_beyond_is_refused_before_the_tool_runs(weather):
    with pytest.raises(RetryTool, match="后天"):
        weather.WeatherTool().check({"city": "北京", "day": "下周"})


def test_every_city_has_plausible_data(weather):
    assert len(weather.CITIES) >= 10
    for city in weather.CITIES.values():
        assert len(city.seasons) == 4
        assert all(season.low < season.high for season in city.seasons)
        # Summer is the warmest season and winter the coldest, in all of them.
        assert city.seasons[1].high == max(season.high for season in city.seasons)
        assert city.seasons[3].low == min(season.low for season in city.seasons)


async def test_the_model_gets_over_an_unknown_city(weather):
    llm = ScriptedLLM([call("get_weather", city="巴黎"), "抱歉，没有巴黎的数据。"])
    assert await replace(weather.agent, llm=llm).arun("巴黎天气") == "抱歉，没有巴黎的数据。"
    assert "可以查询的城市：北京" in llm.requests[1].messages[-1].text


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ("北京今天天气怎么样？", ["北京今天（", "不是实时预报"]),
        ("告诉我上海的基本信息", ["上海（Shanghai）", "电话区号 021"]),
        ("明天北京和上海的天气", ["北京明天（", "上海"]),
    ],
)
async def test_the_demo_model_answers(weather, said, answered):
    text = await replace(weather.agent, llm=DemoLLM(delay=0)).arun(said)
    assert all(words in text for words in answered)
