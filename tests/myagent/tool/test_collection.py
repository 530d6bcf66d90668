"""The tools of one agent."""

from __future__ import annotations

import pytest

from myagent import AgentDefinitionError, BaseTool, tool
from myagent.tool.collection import ToolCollection
from myagent.tool.terminate import Terminate

pytestmark = pytest.mark.usefixtures("in_english")


class HelloTool(BaseTool):
    name = "say_hello"

    async def execute(self, name: str) -> str:
        return name


@tool
def second() -> str:
    return ""


def plain_function(city: str) -> str:
    """A plain function."""
    return city


def test_instances_decorated_and_plain_functions():
    hello = HelloTool()
    tools = ToolCollection([hello, second, plain_function])
    assert tools.names == ("say_hello", "second", "plain_function")
    assert len(tools) == 3
    assert list(tools)[:2] == [hello, second]
    assert tools.get("say_hello") is hello
    assert tools.get("nobody") is None
    assert "second" in tools
    assert "nobody" not in tools
    assert [schema["function"]["name"] for schema in tools.schemas()] == list(tools.names)
    assert repr(tools) == "ToolCollection(say_hello, second, plain_function)"


def test_no_tools():
    assert ToolCollection().schemas() == []
    assert not ToolCollection()


def test_a_collection_of_a_collection_has_the_same_tools():
    tools = ToolCollection([HelloTool()])
    assert list(ToolCollection(tools)) == list(tools)


def test_nobody_can_change_it_through_its_schemas():
    tools = ToolCollection([HelloTool()])
    tools.schemas().clear()
    assert len(tools.schemas()) == 1


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        ([HelloTool], r"write HelloTool\(\), not HelloTool"),
        ([dict], "The class dict is not a tool"),
        ([HelloTool(), HelloTool()], "Two tools are called 'say_hello'"),
        (["say_hello"], "'say_hello' is not a tool"),
        ([{"type": "function"}], "is not a tool"),
        ([None], "None is not a tool"),
        (5, "it should be a list"),
        (None, "it should be a list"),
        ([lambda city: city], "<lambda>"),
        ([BaseTool()], "BaseTool has no name"),
    ],
)
def test_what_cannot_be_a_tool_is_refused(tools, words):
    with pytest.raises(AgentDefinitionError, match=words):
        ToolCollection(tools)


def test_one_tool_or_several_are_taken_without_a_list():
    assert ToolCollection(HelloTool()).names == ("say_hello",)
    assert ToolCollection(HelloTool(), Terminate()).names == ("say_hello", "terminate")


def test_a_name_that_changed_after_its_first_use_is_refused():
    hello = HelloTool()
    hello.schema()
    hello.name = "other"
    with pytest.raises(AgentDefinitionError, match="'other'.*changed"):
        ToolCollection([hello])
