"""Tools that are written as pydantic models: `Field`, `PrivateAttr`, keywords of the base class."""

from __future__ import annotations

import warnings
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from myagent import AgentDefinitionError, BaseTool, ToolResult
from myagent.tool.base_tool import asks
from myagent.tool.collection import ToolCollection

pytestmark = pytest.mark.usefixtures("in_english")


class Ticket(BaseTool):
    name: str = Field(default="ticket", description="its name")
    description: str = Field("Draws a ticket")
    parameters: dict[str, Any] = Field(default={"type": "object", "properties": {}})
    timeout: Annotated[float, Field(default=5.0, gt=0)]
    model_config = ConfigDict(arbitrary_types_allowed=True)
    drawn: list[int] = Field(default_factory=list, exclude=True)
    limit: int = Field(default=3, exclude=True)
    prices: dict[str, int] = Field(default={"child": 1})
    _next: int = PrivateAttr(default=1)
    _seen: set[int] = PrivateAttr(default_factory=set)

    class Config:
        arbitrary_types_allowed = True

    async def execute(self) -> ToolResult:
        self.drawn.append(self._next)
        self._next += 1
        return ToolResult(output=f"{self.drawn} of {self.limit}")


def test_fields_are_their_values_and_each_tool_has_its_own():
    one, other = Ticket(), Ticket()
    assert ToolCollection([one]).names == ("ticket",)
    assert (one.description, one.timeout, one.limit, one._next, one._seen) == ("Draws a ticket", 5.0, 3, 1, set())
    one.drawn.append(7)
    one.prices["adult"] = 2
    one._next += 1
    assert (one.drawn, one.drawn is one.drawn, other.drawn) == ([7], True, [])
    assert (other.prices, one._next, other._next) == ({"child": 1}, 2, 1)


class Ping(BaseTool):
    name: str = "ping"
    description: str = "Pings a host"
    count: int = 1
    hosts: list[str] = Field(...)

    def __init__(self, **keywords: Any) -> None:
        super().__init__(count=3, **keywords)

    async def execute(self, host: str) -> str:
        return f"{host} {self.count}"


def test_keywords_set_what_the_class_declares():
    ping = Ping(user_confirm=True, timeout=2, hosts=["a"], name="other")
    assert (ping.count, ping.timeout, ping.hosts, ping.name) == (3, 2, ["a"], "other")
    assert asks(ping) is True
    assert ToolCollection([ping]).names == ("other",)


def test_a_field_without_a_value_is_refused():
    with pytest.raises(AgentDefinitionError, match="the field hosts has no value") as caught:
        ToolCollection([Ping()])
    assert caught.value.line
    with pytest.raises(AttributeError, match="Ping.hosts has no value"):
        _ = Ping().hosts


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"colour": "red"}, "Ping has no field colour. Declare it"),
        ({"coutn": 3}, "Did you mean count?"),
        ({"needs_approval": True}, "Write requires_confirmation"),
        ({"execute": print}, "Ping has no field execute"),
    ],
)
def test_other_keywords_are_refused_with_what_to_do(keywords, words):
    with pytest.raises(AgentDefinitionError, match=words):
        Ping(**keywords)


def test_a_position_is_refused():
    with pytest.raises(AgentDefinitionError, match=r"Ticket\(5\): a tool takes keywords only"):
        Ticket(5)


def test_what_comes_after_the_constructor():
    class Counting(BaseTool):
        name: str = "counting"
        start: int = 1

        def model_post_init(self, context: Any) -> None:
            self.now = self.start + 1

        def execute(self) -> int:
            return self.now

    assert Counting(start=4).execute() == 5


def test_a_class_beside_the_tool_gets_what_is_its_own():
    class Connection:
        def __init__(self, url: str, **more: Any) -> None:
            self.url = url

    class Fetch(BaseTool, Connection):
        name = "fetch"

        def __init__(self) -> None:
            super().__init__("http://localhost", timeout=3)

        def execute(self) -> str:
            return self.url

    fetch = Fetch()
    assert (fetch.url, fetch.timeout) == ("http://localhost", 3)


def test_a_tool_that_is_a_pydantic_model():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pydantic: a field shadows an attribute of the base class

        class Model(BaseTool, BaseModel):
            name: str = "model"
            count: int = Field(default=3)
            user_confirm: bool = Field(default=True)

            def execute(self) -> int:
                return self.count

    model = Model(count="4")
    assert ToolCollection([model]).names == ("model",)
    assert (model.execute(), asks(model)) == (4, True)


def test_a_validator_would_never_run():
    class Checked(BaseTool):
        name: str = "checked"
        count: int = 3

        @field_validator("count")
        @classmethod
        def _positive(cls, value: int) -> int:
            return value

        def execute(self) -> int:
            return self.count

    with pytest.raises(AgentDefinitionError, match="_positive is a validator of pydantic"):
        ToolCollection([Checked()])


def test_other_ways_to_give_no_field():
    class Constants(BaseTool):
        name: ClassVar[str] = "constants"
        limits: ClassVar[dict[str, int]] = {"a": 1}
        note: Annotated[str, "only words"] = "hi"
        rest: Annotated[str, Field(description="no default")] = "there"

        def execute(self) -> str:
            return self.note + self.rest

    assert Constants().execute() == "hithere"


class Table(ToolResult):
    data: Any | None = None
    rows: list[int] = Field(default_factory=list)
    note: str = ""


def test_a_result_with_fields_of_the_authors_own():
    result = Table(output="3 rows", data={"a": 1}, rows=[1, 2, 3], note="old")
    assert (result.output, result.data, result.rows, result.note) == ("3 rows", {"a": 1}, [1, 2, 3], "old")
    assert Table().rows == [] and Table().rows is not Table().rows
