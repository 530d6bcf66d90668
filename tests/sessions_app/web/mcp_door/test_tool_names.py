"""The names of tools: valid for every client, and each of one agent."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent import create_react_agent
from sessions_app.web.mcp_door.tool_names import WAIT, ask_tool, tool_name

AGENT_NAMES = st.from_regex(r"[^\W_][\w.-]{0,63}", fullmatch=True)


@given(AGENT_NAMES)
def test_names_fit_what_tools_may_be_called(name):
    tool = tool_name(name)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", tool) and tool != WAIT
    assert tool == tool_name(name)


@given(st.lists(AGENT_NAMES, unique=True, min_size=2, max_size=20))
def test_no_two_agents_have_the_same(names):
    assert len({tool_name(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("agent", "tool"),
    [
        ("weather-assistant", "ask_weather-assistant"),
        ("a.b_c", "ask_a.b_c"),
        ("天气", "ask_-4d947325473f5b57635bad71"),
        ("billing助手", "ask_-billing-"),
    ],
)
def test_a_name_stays_what_it_was(agent, tool):
    assert tool_name(agent).startswith(tool)


def test_an_agent_that_can_act_says_so():
    def delete() -> str:
        """Deletes."""
        return ""

    talks, acts = create_react_agent(name="talks"), create_react_agent(name="acts", tools=[delete])
    assert not ask_tool("talks", talks)["annotations"]["destructiveHint"]
    assert ask_tool("acts", acts)["annotations"]["destructiveHint"]
    assert "talks" in ask_tool("talks", talks)["description"]
