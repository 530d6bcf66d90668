"""What is in a file in place of its agent, and what to write."""

from __future__ import annotations

import pytest

from agents.loading.agent_file_errors import AgentVariableMissing, AgentWrongType
from agents.loading.loader import load_agent

IMPORT = "import asyncio\nfrom myagent import create_react_agent\n"


@pytest.fixture
def cure(write):
    """Load a file with this code, which is refused with `expected`; returns what is to be done."""

    def load(code, expected):
        with pytest.raises(expected) as caught:
            load_agent(write(f"variable_{abs(hash(code))}.py", IMPORT + code))
        return caught.value.cure

    return load


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("my_agent = create_react_agent(name='a')", "agent = my_agent"),
        ("Agent = create_react_agent(name='a')", "agent = Agent"),
        ("one = create_react_agent(name='a')\ntwo = create_react_agent(name='b')", "one, two"),
        ("if __name__ == '__main__':\n    agent = create_react_agent(name='a')", "__main__"),
        ("def main():\n    agent = create_react_agent(name='a')", "agent = main()"),
        ("async def main():\n    agent = create_react_agent(name='a')", "agent = asyncio.run(main())"),
        ("x = 1", "agent = create_react_agent(...)"),
    ],
)
def test_no_agent_of_that_name(cure, code, words):
    assert words in cure(code, AgentVariableMissing)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("agent = [create_react_agent(name='a'), create_react_agent(name='b')]", "file of its own"),
        ("agent = {'a': create_react_agent(name='a')}", "file of its own"),
        ("async def agent(): ...", "asyncio.run"),
        ("async def make(): ...\nagent = make()", "asyncio.run"),
        ("def agent():\n    async def make(): ...\n    return make()", "asyncio.run"),
        ("class Weather: ...\nagent = Weather", "agent = Weather(...)"),
        ("agent = []", "what create_react_agent(...) returns"),
        ("def agent():\n    create_react_agent(name='a')", "what create_react_agent(...) returns"),
    ],
)
def test_something_else(cure, code, words):
    assert words in cure(code, AgentWrongType)


def test_the_module_in_place_of_its_agent(write):
    write("bot_inside.py", IMPORT + "agent = create_react_agent(name='a')")
    with pytest.raises(AgentWrongType) as caught:
        load_agent(write("bot_outside.py", "import bot_inside as agent"))
    assert caught.value.cure == "Import the agent in it: from bot_inside import agent"
