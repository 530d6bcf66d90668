"""The agents in `examples/` do what they say."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from agents.console.check_report import check_sources
from agents.loading.loader import load_agent
from myagent import Agent, RetryTool, RunContext
from myagent.llm.demo import DemoLLM
from myagent.testing import AgentServer, ScriptedLLM, ask, call
from tests.myagent.cli.test_main import environment
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

FOLDERS = ("examples", "examples/two_agents", "examples/tested_agent")
EXAMPLES = sorted(path for path in (ROOT / "examples").rglob("*.py") if "agent = " in path.read_text(encoding="utf-8"))
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
def test_every_example_passes_the_strictest_check(file: Path):
    report = check_sources([str(file)])
    assert report.findings == ()
    (loaded,) = report.agents
    assert isinstance(loaded.agent, Agent)
    assert loaded.agent.description
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))


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
    assert ("24,870,000 inhabitants" if written.isascii() else "人口约 2487 万") in result.output


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


# --- talked to, on one server -----------------------------------------------------------------------------------------

PICTURE = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lGODlhAQABAAAAACw="}},
]
TALKS = {
    "confirmation.py": [
        ("Show report.txt", "Sales rose by 4 %."),
        ("Delete report.txt", "report.txt is gone. Left: cache.tmp, photos.zip."),
        ("Delete cache.tmp", "cache.tmp is gone. Left: photos.zip."),
    ],
    "function_tools.py": [
        ("Roll a d20", "["),
        ("How many pounds are 5 kg?", "5 kg = 11.02 lb"),
        ("What can you tell me about Mars?", '"moons": 2'),
    ],
    "state_and_progress.py": [
        ("Put bread on my list", "On the list: bread."),
        ("And milk", "On the list: bread, milk."),
        ("Now order it", '"ordered": ["bread", "milk"]'),
    ],
    "structured_output.py": [("An invoice for ACME: one chair", "item: chair, count: 1, price: 49.5")],
    "hooks_with_memory.py": [
        ("My favourite drink is tea", "(I know your drink.)"),
        ("My password is tulip", "I keep no secrets."),
        ("Forget my drink", "Your drink is forgotten."),
    ],
    "slow_library.py": [("Make a quick key", "A quick key, stretched 200,000 times")],
    "limits_and_fallback.py": [("Look at Mars, Venus and Saturn", "Venus is bright and hot.")],
    "steering.py": [("Look for a lamp", "There is a green lamp and a red lamp.")],
    "pictures.py": [("What is this?", "Pictures in your message: 1."), ("Save that as a joke", "is saved as joke")],
    "pdf_reader.py": [("What is in report.pdf?", "There is no file 'report.pdf' in this conversation")],
    "two_agents/cook.py": [("How do I make pancakes?", "2 eggs, 250 g flour, 500 ml milk; rest, fry. (the cook)")],
    "two_agents/librarian.py": [("Do you have Moby Dick?", "Moby Dick is on shelf 3. (the librarian)")],
    "tested_agent/tickets.py": [("Two tickets for Friday", "2 seats for Friday are booked.")],
    "ws_weather_agent.py": [("北京今天天气怎么样？", "北京今天（"), ("告诉我上海的基本信息", "上海（Shanghai）")],
}


@pytest.fixture(scope="module")
def served():
    """All examples on one server, with the demo model."""
    with AgentServer(*(ROOT / folder for folder in FOLDERS), llm="demo", language="en") as server:
        yield server


def test_every_example_is_talked_to():
    assert {str(path.relative_to(ROOT / "examples")) for path in EXAMPLES} == set(TALKS)


@pytest.mark.parametrize("name", TALKS)
async def test_talking_to_an_example(served, name):
    """What its docstring proposes to say, one after the other in one conversation."""
    path = ROOT / "examples" / name
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    agent = load_agent(str(path)).name
    session_id = None
    async with served.connect(agent) as client:
        for said, answered in TALKS[name]:
            assert f'"{said}"' in docstring or name == "ws_weather_agent.py"
            turn = await ask(
                client,
                PICTURE if said == PICTURE[0]["text"] else said,
                session_id=session_id,
                confirm=True,
            )
            session_id = turn.session_id
            assert answered in turn.answer
            assert [call.metadata["tool"] for call in turn.all("agent.tool_call")] or said == PICTURE[0]["text"]


async def test_the_dangerous_tool_asks_and_the_harmless_call_does_not(served):
    async with served.connect("careful-files") as client:
        declined = await ask(client, "Delete report.txt", confirm=False)
        assert [frame.metadata["tool_args"] for frame in declined.all("agent.user_confirm")] == [{"name": "report.txt"}]
        assert [frame.metadata["status"] for frame in declined.all("agent.tool_result")] == ["declined"]
        harmless = await ask(client, "Delete cache.tmp", session_id=declined.session_id)
        assert harmless.all("agent.user_confirm") == []
        assert "Left: photos.zip, report.txt." in harmless.answer


async def test_state_is_the_sessions_own_and_progress_is_shown(served):
    async with served.connect("shopper") as client:
        first = await ask(client, "Put bread on my list")
        second = await ask(client, "Put apples on my list")
        assert "On the list: apples." in second.answer
        order = await ask(client, "Order it now", session_id=first.session_id)
        assert [(frame.content, frame.metadata["percent"]) for frame in order.all("agent.tool_progress")] == [
            ("packing bread", 0)
        ]


async def test_a_memory_belongs_to_the_user_and_not_to_the_conversation(served):
    async with served.connect("friend") as client:
        await ask(client, "My favourite city is Oslo")
        other = await ask(client, "Hello!")
        assert other.answer.endswith("(I know your city.)") and not other.all("agent.tool_call")
        await ask(client, "Forget my city")
        assert "I know" not in (await ask(client, "Hello!")).answer


async def test_a_memory_without_a_server():
    friend = replace(load_agent(str(ROOT / "examples" / "hooks_with_memory.py")), llm=DemoLLM())
    memory: dict[str, str] = {}
    assert (await friend.arun("My favourite drink is tea", memory=memory)).endswith("(I know your drink.)")
    assert memory == {"drink": "My favourite drink is tea"}
    assert (await friend.arun("Hello!", memory=memory)).endswith("(I know your drink.)")
    assert "I know" not in await friend.arun("My favourite drink is tea"), "nobody is remembered"


async def test_nobody_waits_for_a_slow_library(served):
    async with served.connect("keymaker") as slow, served.connect("cook") as other:
        session_id = await slow.create_session()
        await slow.say(session_id, "Make a careful key")
        await slow.wait_for("agent.tool_progress")
        assert "the cook" in (await ask(other, "salad")).answer
        await slow.cancel(session_id)
        assert (await slow.wait_for("agent.interrupted")).run_id


async def test_an_answer_at_its_limit_says_so(served):
    async with served.connect("stargazer") as client:
        turn = await ask(client, "Look at Mars, Venus and Saturn")
    end = turn.all("agent.final_answer")[-1]
    assert end.metadata["finish"] == "limit"
    assert end.metadata["limit"] == {"which": "max_tool_calls", "used": 3, "allowed": 2}
    assert "Saturn is ringed." not in turn.answer


async def test_an_agent_at_work_hears_what_is_said(served):
    async with served.connect("warehouse") as client:
        session_id = await client.create_session()
        run = await client.say(session_id, "Look for a lamp")
        await client.wait_for("agent.tool_progress")
        accepted = await client.say(session_id, "In green, please")
        assert (accepted.mode, accepted.run_id) == ("steer", run.run_id)
        logged = await client.wait_for("user.message")
        assert (logged.content, logged.run_id) == ("In green, please", run.run_id)
        assert (await client.wait_for("agent.final_answer")).run_id == run.run_id


def test_the_tests_of_the_tested_agent_pass():
    """As its author runs them: with pytest in its folder, and nothing of this project's settings."""
    folder = ROOT / "examples" / "tested_agent"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:django", "-p", "no:cacheprovider", "-c", os.devnull]
    done = subprocess.run(
        [*command, "--rootdir", "."], cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
