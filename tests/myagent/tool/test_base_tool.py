"""What authors write as tools, and what the loop gets from them."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import functools
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

import orjson
import pytest
from pydantic import BaseModel

from myagent import AgentDefinitionError, BaseTool, RetryTool, RunContext, ToolResult, current_run, tool
from myagent.i18n import DEFAULT_LANGUAGE, use_language
from myagent.tool.base_tool import to_result
from myagent.tool.collection import ToolCollection
from myagent.tool.terminate import Terminate

pytestmark = pytest.mark.usefixtures("in_english")


@pytest.fixture
def context() -> RunContext:
    return RunContext(session_id="s1", run_id="r1", agent="weather")


class HelloTool(BaseTool):
    name = "say_hello"
    description = "向用户打招呼"
    parameters = {
        "type": "object",
        "properties": {"name": {"type": "string", "description": "用户名称"}},
        "required": ["name"],
    }

    async def execute(self, name: str) -> ToolResult:
        return ToolResult(output=f"你好, {name}! 很高兴认识你！")


class AnnotatedTool(BaseTool):
    name: str = "annotated"
    description: str = "Annotated attributes."
    parameters: dict[str, Any] | None = {"type": "object", "properties": {"name": {"type": "string"}}}
    timeout: ClassVar[float] = 5.0

    def execute(self, name: str = "") -> str:
        return name


class OwnInit(BaseTool):
    """Greets in a language of its own."""

    def __init__(self, greeting: str) -> None:
        self.name = "own_init"
        self.greeting = greeting

    def execute(self, name: str) -> str:
        return f"{self.greeting}, {name}"


@dataclasses.dataclass(frozen=True)
class FrozenTool(BaseTool):
    greeting: str = "Ahoy"
    name: str = "frozen"

    def execute(self, name: str) -> str:
        return f"{self.greeting}, {name}"


async def outcome(tool: BaseTool, context: RunContext, **arguments: Any) -> Any:
    value = tool.bind(tool.check(arguments), context)()
    return await value if inspect.isawaitable(value) else value


# Definition


@pytest.mark.parametrize(
    ("made", "output"),
    [
        (HelloTool(), "你好, Ann! 很高兴认识你！"),
        (AnnotatedTool(), "Ann"),
        (OwnInit("Hi"), "Hi, Ann"),
        (FrozenTool(), "Ahoy, Ann"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_every_way_to_write_a_tool(made, output, context):
    result = await outcome(made, context, name="Ann")
    assert (result.output, result.failed) == (output, False)


def test_schema_of_the_seeds_tool():
    assert HelloTool().schema() == {
        "type": "function",
        "function": {"name": "say_hello", "description": "向用户打招呼", "parameters": HelloTool.parameters},
    }


def test_schema_is_made_once():
    made = HelloTool()
    assert made.schema() is made.schema()


def test_defaults():
    made = HelloTool()
    assert (made.timeout, made.confirm_timeout, made.idempotent, made.max_observe) == (60.0, 300.0, False, None)
    assert made.needs_confirmation({}) is False


@pytest.mark.parametrize(
    ("made", "description"),
    [(OwnInit("Hi"), "Greets in a language of its own."), (HelloTool(), "向用户打招呼")],
)
def test_description(made, description):
    assert made.schema()["function"]["description"] == description


def define(**attributes: Any) -> BaseTool:
    def execute(self: Any) -> str:
        return ""

    return type("MyTool", (BaseTool,), {"name": "mine", "execute": execute, **attributes})()  # type: ignore[no-any-return]


async def asks(arguments: dict[str, Any]) -> bool:
    return True


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"name": ""}, ["MyTool has no name", 'name = "say_hello"']),
        ({"name": "打招呼"}, ["MyTool", "'打招呼'", "a-z"]),
        ({"name": "say hello"}, ["'say hello'"]),
        ({"name": "say_hello\n"}, ["a-z"]),
        ({"name": "x" * 65}, ["1 to 64"]),
        ({"name": 5}, ["5"]),
        ({"execute": None}, ["'mine' has no execute()"]),
        ({"description": None}, ["description=None", "text"]),
        ({"timeout": 0}, ["timeout=0", "seconds"]),
        ({"timeout": "60"}, ["timeout='60'"]),
        ({"timeout": True}, ["timeout=True"]),
        ({"confirm_timeout": None}, ["confirm_timeout=None"]),
        ({"idempotent": "yes"}, ["idempotent='yes'"]),
        ({"max_observe": 0}, ["max_observe=0"]),
        ({"requires_confirmation": "yes"}, ["requires_confirmation='yes'"]),
        ({"requires_confirmation": staticmethod(asks)}, ["plain `def`"]),
        ({"schema": {"table": "cities"}}, ["'schema'", "Rename"]),
        ({"parameters": {"type": "string"}}, ["`parameters`"]),
    ],
)
def test_what_cannot_be_is_refused_with_a_cure(attributes, words):
    with pytest.raises(AgentDefinitionError) as caught:
        ToolCollection([define(**attributes)])
    for word in words:
        assert word in str(caught.value)


def test_a_tool_without_code_is_refused():
    class Empty(BaseTool):
        name = "empty"

    with pytest.raises(AgentDefinitionError, match="'empty' has no execute"):
        Empty().schema()


def test_no_time_limit():
    assert define(timeout=None).schema()


# Confirmation


@pytest.mark.parametrize(
    "rule",
    [
        lambda arguments: arguments["amount"] > 100,
        lambda self, arguments: self.name == "mine" and arguments["amount"] > 100,
        staticmethod(lambda arguments: arguments["amount"] > 100),
    ],
    ids=["lambda", "method", "static"],
)
def test_confirmation_may_depend_on_the_arguments(rule):
    made = define(requires_confirmation=rule)
    assert made.schema()
    assert [made.must_confirm({"amount": amount}) for amount in (100, 101)] == [False, True]


def test_needs_confirmation_may_be_overridden():
    made = define(needs_confirmation=lambda self, arguments: arguments.get("force"))
    assert [made.must_confirm({"force": force}) for force in (False, True)] == [False, True]


def test_a_rule_that_fails_asks_a_person(caplog):
    made = define(requires_confirmation=lambda arguments: arguments["missing"])
    assert made.must_confirm({}) is True
    assert "KeyError" in caplog.text


# The call


class ContextTools:
    """The ways in which a tool may ask for its run."""

    @staticmethod
    def plain(run: RunContext) -> str:
        return run.run_id

    @staticmethod
    async def waiting(city: str = "", *, here: RunContext | None = None) -> str:
        await asyncio.sleep(0)
        return here.run_id if here else "none"

    @staticmethod
    def by_variable() -> str:
        return current_run().run_id

    @staticmethod
    async def by_variable_waiting() -> str:
        await asyncio.sleep(0)
        return current_run().run_id

    @staticmethod
    def generator() -> Iterator[str]:
        yield current_run().run_id

    @staticmethod
    async def async_generator() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        yield current_run().run_id

    @staticmethod
    def returns_awaitable() -> Any:
        return ContextTools.by_variable_waiting()


@pytest.mark.parametrize("function", [value for key, value in vars(ContextTools).items() if not key.startswith("__")])
async def test_code_finds_its_run(function: Any, context: RunContext):
    assert (await outcome(tool(function.__func__), context)).output == "r1"
    with pytest.raises(LookupError):
        current_run()


def test_two_calls_have_a_run_each(context):
    other = dataclasses.replace(context, run_id="r2")
    made = tool(ContextTools.plain)
    calls = [made.bind({}, each) for each in (context, other)]
    assert [call().output for call in calls] == ["r1", "r2"]


def test_current_run_is_reset_when_the_code_fails(context):
    @tool
    def fail() -> None:
        raise RetryTool("again")

    with pytest.raises(RetryTool):
        fail.bind({}, context)()
    with pytest.raises(LookupError):
        current_run()


def test_a_call_that_is_thrown_away_is_closed_without_a_word(context, recwarn):
    @tool
    async def wait() -> None:
        await asyncio.sleep(0)

    call = wait.bind({}, context)()
    contextvars.copy_context().run(call.send, None)
    call.close()
    assert not recwarn.list


@pytest.mark.parametrize(
    ("execute", "expected"),
    [
        (ContextTools.waiting, True),
        (ContextTools.async_generator, True),
        (functools.partial(ContextTools.waiting, city="Oslo"), True),
        (ContextTools.plain, False),
        (ContextTools.generator, False),
        (functools.partial(ContextTools.plain), False),
    ],
)
def test_is_async(execute: Callable[..., Any], expected: bool):
    assert tool(name="it")(execute).is_async is expected


def test_is_async_of_an_object_that_is_called():
    class Caller:
        async def __call__(self, city: str) -> str:
            return city

    made = tool(name="it")(Caller())
    assert made.is_async
    assert made.schema()["function"]["parameters"]["required"] == ["city"]


# Results


class Point(BaseModel):
    x: int
    at: datetime | None = None


@dataclasses.dataclass
class Size:
    width: int


class Color(Enum):
    RED = "red"


class Odd:
    def __str__(self) -> str:
        raise ValueError("no words")


MOMENT = datetime(2025, 1, 31, 12, tzinfo=UTC)
LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "output", "data"),
    [
        (None, "", None),
        ("text", "text", None),
        ("a\0b\ud800", "a\ufffdb\ufffd", None),
        (5, "5", None),
        (1.5, "1.5", None),
        (True, "true", None),
        (Decimal("1.10"), "1.10", None),
        (date(2025, 1, 31), "2025-01-31", None),
        (MOMENT, "2025-01-31T12:00:00+00:00", None),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001", None),
        (Color.RED, "red", None),
        ({"城市": "北京"}, '{"城市": "北京"}', {"城市": "北京"}),
        ([1, "a"], '[1, "a"]', [1, "a"]),
        ((1, 2), "[1, 2]", [1, 2]),
        ({1}, "[1]", [1]),
        ({"at": MOMENT, 5: Size(1)}, None, {"at": "2025-01-31T12:00:00Z", "5": {"width": 1}}),
        (Point(x=1), '{"x": 1, "at": null}', {"x": 1, "at": None}),
        (Size(2), '{"width": 2}', {"width": 2}),
        ({"n": float("nan"), "i": 2**70, "t": "a\0"}, None, {"n": "nan", "i": str(2**70), "t": "a\ufffd"}),
        ({"raw": b"\xff"}, None, {"raw": "_w=="}),
        (ToolResult("text"), "text", None),
        (ToolResult(output={"a": 1}), '{"a": 1}', {"a": 1}),
        (ToolResult("text", data=Point(x=1)), "text", {"x": 1, "at": None}),
        (ToolResult(5), "5", None),
        (ToolResult("text", error=""), "text", None),
    ],
)
def test_results(value, output, data):
    result = to_result(value)
    assert result.error is None
    assert not result.failed
    if output is not None:
        assert result.output == output
    assert result.data == data
    assert result.text == result.output
    assert orjson.loads(orjson.dumps(result.data)) == result.data
    assert to_result(result) == result


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (ToolResult(error="The city is closed."), "The city is closed."),
        (ToolResult("half", error="a\0b"), "a\ufffdb"),
        (ToolResult(error=""), "did not say why"),
        (ToolResult(error=ValueError("closed")), "closed"),  # type: ignore[arg-type]
        (Odd(), "a Odd, which could not be turned into text"),
        ([Odd()], "could not be turned into text"),
        (ToolResult(Odd()), "could not be turned into text"),
        (LOOP, "could not be turned into text"),
    ],
)
def test_failed_results(value, words, caplog):
    with caplog.at_level(logging.CRITICAL):
        result = to_result(value)
    assert result.failed
    assert result.error is not None
    assert words in result.error
    assert to_result(result) == result


@pytest.mark.parametrize("value", [b"\x00\x01", bytearray(2), memoryview(b"ab")])
def test_bytes_become_a_sentence(value):
    assert to_result(value).output == "The tool returned 2 bytes of binary data, which cannot be shown as text."


def test_text_of_a_result_as_it_was_written():
    assert ToolResult({"a": 1}).text == '{"a": 1}'
    assert ToolResult(error="closed").text == ""


# Terminate


@pytest.fixture
def english() -> Iterator[None]:
    use_language("en")
    yield
    use_language(DEFAULT_LANGUAGE)


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ({"status": "success"}, "The work is done."),
        ({"status": "failure"}, "The work could not be done."),
        ({"status": "success", "answer": "42"}, "42"),
    ],
)
@pytest.mark.usefixtures("english")
async def test_terminate(arguments, output, context):
    made = Terminate()
    assert made.idempotent
    assert made.schema()["function"]["name"] == "terminate"
    assert (await outcome(made, context, **arguments)).output == output


def test_terminate_knows_two_ends():
    with pytest.raises(RetryTool, match='one of "success", "failure"'):
        Terminate().check({"status": "maybe"})
