"""`@tool`."""

from __future__ import annotations

import functools
import inspect

import pytest

from myagent import AgentDefinitionError, BaseTool, tool

pytestmark = pytest.mark.usefixtures("in_english")


@tool
async def weather(city: str, days: int = 1) -> str:
    """The weather of a city.

    Args:
        city: Its name.
    """
    return f"{city}: {days}"


def test_a_decorated_function_is_a_tool_and_a_function():
    assert isinstance(weather, BaseTool)
    assert weather.name == weather.__name__ == "weather"
    assert weather.description == "The weather of a city."
    assert weather.__doc__ is not None
    assert weather.__doc__.startswith("The weather")
    assert list(inspect.signature(weather).parameters) == ["city", "days"]


async def test_it_stays_callable():
    assert await weather("Oslo", days=2) == "Oslo: 2"


def test_options():
    @tool(
        name="pay",
        description="Pays.",
        parameters={"type": "object", "properties": {"amount": {"type": "number"}}},
        timeout=5,
        requires_confirmation=True,
        confirm_timeout=30,
        idempotent=True,
        max_observe=100,
    )
    def transfer(amount: float = 0) -> str:
        """Not this."""
        return str(amount)

    function = transfer.schema()["function"]
    assert (function["name"], function["description"]) == ("pay", "Pays.")
    assert function["parameters"]["properties"] == {"amount": {"type": "number"}}
    assert (transfer.timeout, transfer.confirm_timeout, transfer.max_observe) == (5, 30, 100)
    assert transfer.idempotent
    assert transfer.must_confirm({})
    assert transfer(2) == "2"


def test_options_of_one_tool_are_not_anothers():
    @tool(timeout=1)
    def first() -> str:
        return ""

    @tool()
    def second() -> str:
        return ""

    assert (first.timeout, second.timeout) == (1, 60.0)


def test_a_confirmation_rule():
    @tool(requires_confirmation=lambda arguments: arguments["amount"] > 100)
    def pay(amount: int) -> str:
        return ""

    assert [pay.must_confirm({"amount": amount}) for amount in (100, 101)] == [False, True]


def test_a_function_without_a_docstring_has_no_description():
    @tool
    def silent() -> str:
        return ""

    assert silent.schema()["function"]["description"] == ""


def test_methods_of_an_object():
    class Archive:
        def find(self, city: str) -> str:
            """Find a city."""
            return f"found {city}"

    made = tool(Archive().find)
    assert made.schema()["function"]["parameters"]["required"] == ["city"]
    assert made("Oslo") == "found Oslo"


def test_a_partial_function_needs_a_name():
    half = functools.partial(weather.execute, days=3)
    with pytest.raises(AgentDefinitionError, match="has no name"):
        tool(half).schema()
    function = tool(name="forecast")(half).schema()["function"]
    assert function["description"] == "The weather of a city."
    assert function["parameters"]["required"] == ["city"]
    assert function["parameters"]["properties"]["city"]["description"] == "Its name."


def test_unknown_options_are_refused_with_the_known_ones():
    with pytest.raises(AgentDefinitionError, match=r"'retries', 'time_out'.*It knows: name, description, .*timeout"):

        @tool(time_out=5, retries=2)
        def any_tool() -> str:
            return ""


def test_a_lambda_needs_a_name():
    with pytest.raises(AgentDefinitionError, match="<lambda>"):
        tool(lambda city: city).schema()


@pytest.mark.parametrize("thing", [5, "weather", BaseTool, weather])
def test_what_is_no_function_is_refused(thing):
    with pytest.raises(AgentDefinitionError, match="makes a tool of a function"):
        tool(thing)


def test_inside_a_class_it_is_refused():
    with pytest.raises(AgentDefinitionError, match=r"tools=\[thing.find\]"):

        class Archive:
            @tool
            def find(self, city: str) -> str:
                return city
