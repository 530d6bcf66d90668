"""`check --ask` shows what is odd about a model's reply."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from agents.console.trial_question import TrialQuestion
from myagent import create_react_agent, tool
from myagent.exceptions import LLMUnavailable
from myagent.testing import Say, ScriptedLLM

pytestmark = pytest.mark.usefixtures("in_english")


@tool
def weather(city: str) -> str:
    """Tells the weather."""
    return "sunny"


async def shown(*script) -> tuple[str, dict]:
    out = io.StringIO()
    llm = ScriptedLLM(script)
    agent = create_react_agent(name="a", tools=[weather], llm=llm)
    asked = await TrialQuestion(agent, llm, Console(file=out, width=400), can_ask=False).ask("hi")
    return out.getvalue(), asked


async def test_an_answer_that_was_cut_off():
    words, asked = await shown(Say(text="It is", finish="length"))
    assert "cut off at the model's length limit" in words and asked["finish"] == "length"


async def test_an_empty_reply():
    words, asked = await shown(Say(reasoning="hm"), "Sunny.")
    assert "was empty and is requested once more" in words and asked["answer"] == "Sunny."


async def test_another_model_that_answers():
    out = io.StringIO()
    models = [ScriptedLLM([LLMUnavailable("500")], model="first"), ScriptedLLM(["Sunny."], model="second")]
    agent = create_react_agent(name="a", llm=models)
    asked = await TrialQuestion(agent, agent.llm, Console(file=out, width=400), can_ask=False).ask("hi")
    assert "second answers from here on." in out.getvalue() and asked["answer"] == "Sunny."


async def test_a_call_in_the_text():
    words, asked = await shown('<tool_call>\n{"name": "weather", "arguments": {}}\n</tool_call>')
    assert words.count("text_tool_calls=True") == 1 and asked["calls"] == []
    words, _asked = await shown("Write <tool_call> before it.")
    assert "text_tool_calls" not in words
