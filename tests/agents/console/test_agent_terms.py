"""What `check` says of limits, models, answers and messages of an agent: in words, and for programs."""

from __future__ import annotations

import pytest

from agents.conf import Config
from agents.console.agent_terms import terms, terms_in_words
from myagent import create_react_agent, i18n
from myagent.testing import ScriptedLLM

CONFIG = Config()
OUTPUT = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}


@pytest.fixture
def plain():
    return create_react_agent(name="plain")


@pytest.fixture
def strict():
    agent = create_react_agent(
        name="strict",
        llm=[ScriptedLLM(model=name) for name in ("large", "small", "old")],
        max_steps=4,
        max_tokens=50_000,
        max_tool_calls=2,
        max_seconds=1.5,
        repeat_limit=None,
        max_parallel_tools=3,
        output=OUTPUT,
        when_busy=["steer", "queue", "interrupt"],
    )

    @agent.hook("answer")
    def look(answer):
        return None

    return agent


@pytest.fixture(autouse=True)
def in_english(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")


def test_an_agent_without_options_of_its_own(plain):
    assert list(terms_in_words(plain, CONFIG)) == [
        "a run: at most 20 steps · the same call 3 times in a row",
        "messages during a run: wait",
    ]
    told = terms(plain, CONFIG)
    assert (told["max_steps"], told["max_tokens"], told["repeat_limit"]) == (20, None, 3)
    assert (told["fallback_models"], told["output"], told["when_busy"], told["hooks"]) == ([], None, ["queue"], [])


def test_an_agent_with_all_of_them(strict):
    assert list(terms_in_words(strict, CONFIG)) == [
        "a run: at most 4 steps · 50,000 model tokens · 2 tool calls · 1.5 s · 3 tools at once",
        "where it does not answer: small, old",
        "answers are values with the fields: city, days",
        "messages during a run: are read before its next step, wait, end it",
        "hooks: look (answer)",
        "Nothing of an answer is shown before the hooks on it have passed it.",
    ]
    told = terms(strict, CONFIG)
    assert (told["max_tokens"], told["max_seconds"], told["repeat_limit"]) == (50_000, 1.5, None)
    assert told["fallback_models"] == ["small", "old"] and told["output"] == OUTPUT
    assert told["when_busy"] == ["steer", "queue", "interrupt"] and told["hooks"] == [{"name": "look", "on": "answer"}]


def test_the_demo_model_has_nobody_to_stand_in_for_it(strict):
    assert terms(strict, Config(llm="demo"))["fallback_models"] == []


def test_in_chinese(strict, monkeypatch):
    monkeypatch.setattr(i18n, "_language", "zh-hans")
    lines = list(terms_in_words(strict, CONFIG))
    assert lines[0] == "一次运行：最多 4 步 · 50,000 个模型 token · 2 次工具调用 · 1.5 秒 · 同时 3 个工具"
    assert lines[3] == "运行期间来的消息：在下一步之前读取, 排队, 结束这次运行"
