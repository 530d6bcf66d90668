"""What tools return, however odd: something useful, or a failure that names the place."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import datetime
import enum
import inspect
import io
import itertools
import logging
import pathlib
import threading
import types
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from typing import Any

import orjson
import pytest
from pydantic import BaseModel, field_serializer

from myagent import BaseTool, RetryTool, RunContext, ToolResult, tool
from myagent.tool.foreign_values import MOST_ROWS
from myagent.tool.plain_value import MOST_ITEMS
from myagent.tool.result import to_result

pytestmark = pytest.mark.usefixtures("in_english")

CONTEXT = RunContext(session_id="s1", run_id="r1", agent="desk")
Point = collections.namedtuple("Point", "x y")


class Color(enum.IntEnum):
    RED = 1


class Model(BaseModel):
    value: Any = None
    at: datetime.date | None = None

    @field_serializer("at")
    def written(self, at: datetime.date | None) -> str | None:
        return None if at is None else f"on {at}"


@dataclasses.dataclass
class Row:
    value: Any


class Raw:
    """Says nothing of itself."""


class NoText:
    def __str__(self) -> str:
        raise ValueError("secret")


class NoDate(datetime.datetime):
    """As the empty date of data frames: its parts are no numbers."""

    year = month = day = float("nan")  # type: ignore[assignment]


class NaTType(datetime.datetime):
    def isoformat(self, *_: Any, **__: Any) -> str:
        raise ValueError("no date")


class Number:
    """As numpy's numbers."""

    shape = ()
    dtype = types.SimpleNamespace(kind="i")

    def __init__(self, value: Any) -> None:
        self.value = value

    def item(self) -> Any:
        return self.value


class Time(Number):
    dtype = types.SimpleNamespace(kind="M")

    def __str__(self) -> str:
        return str(self.value)


class Array:
    """As numpy's arrays and torch's tensors."""

    dtype = types.SimpleNamespace(kind="f")

    def __init__(self, values: list[Any]) -> None:
        self.values = values
        self.shape = (len(values),)

    def __getitem__(self, part: slice) -> Array:
        return Array(self.values[part])

    def __len__(self) -> int:
        return len(self.values)

    def item(self) -> Any:
        raise ValueError("more than one")

    def tolist(self) -> list[Any]:
        return self.values


class Table:
    """As the frames of pandas."""

    def __init__(self, rows: list[dict[str, Any]], index: Any = None) -> None:
        self.rows = rows
        self.index = index if index is not None else type("RangeIndex", (), {})()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice) -> Table:
        return Table(self.rows[part])

    def reset_index(self) -> Table:
        return Table([{"index": name, **row} for name, row in zip(self.index, self.rows, strict=True)])

    @property
    def columns(self) -> list[str]:
        return list(self.rows[0])

    def to_dict(self, orient: str) -> list[dict[str, Any]]:
        assert orient == "records"
        return self.rows


class Frame:
    """As the frames of polars."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def to_dicts(self) -> list[Any]:
        return self.rows


MAY = datetime.date(2025, 5, 1)


async def load(part: str = "x") -> str:
    return part


async def numbers() -> AsyncIterator[int]:
    for number in itertools.count():
        yield number


def letters() -> Iterator[str]:
    yield from "ab"


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (map(str, [1, 2]), ["1", "2"]),
        (filter(None, [0, 1]), [1]),
        (zip([1], ["a"], strict=True), [[1, "a"]]),
        (iter([1, 2]), [1, 2]),
        ({"rows": map(str, [1]), "pairs": (pair for pair in [(1, 2)])}, {"rows": ["1"], "pairs": [[1, 2]]}),
        (range(3), [0, 1, 2]),
        (collections.deque([1]), [1]),
        ({"a": 1}.values(), [1]),
        ({"seen": {3}, "kept": frozenset({4})}, {"seen": [3], "kept": [4]}),
        (Point(1, [2]), {"x": 1, "y": [2]}),
        ([Point(1, 2)], [{"x": 1, "y": 2}]),
        (types.SimpleNamespace(a=1), {"a": 1}),
        (Row(Point(1, 2)), {"value": {"x": 1, "y": 2}}),
        (Model(value=Number(5), at=datetime.date(2025, 1, 31)), {"value": 5, "at": "on 2025-01-31"}),
        ([pathlib.Path("/srv/x"), uuid.UUID(int=1)], ["/srv/x", "00000000-0000-0000-0000-000000000001"]),
        ([datetime.timedelta(days=1), datetime.time(12)], ["P1D", "12:00:00"]),
        ([Decimal("1.10"), Decimal("5"), Decimal("0.12345678901234567890")], [1.1, 5, "0.12345678901234567890"]),
        ([Decimal("NaN"), Decimal("1e500")], ["NaN", "1E+500"]),
        ([2**70, float("inf"), float("nan")], [str(2**70), "inf", "nan"]),
        ([10**5000], [hex(10**5000)]),
        (["a\ud800"], ["a\ufffd"]),
        ([b"\xff", bytearray(b"ab"), memoryview(b"ab")], ["_w==", "YWI=", "YWI="]),
        ([Color.RED, 1 + 2j], [1, "1+2j"]),
        ({1: "a", "1": "b", None: "d", (1, "x"): "e"}, {"1": "a", "1 (2)": "b", "None": "d", "1, x": "e"}),
        ({Color.RED: 1, b"k": 2, Number(7): 3, MAY: 4}, {"1": 1, "k": 2, "7": 3, "2025-05-01": 4}),
        ({"n": Number(5), "f": Number(0.5), "b": Number(True)}, {"n": 5, "f": 0.5, "b": True}),
        ([Time("2025-01-31T12:00:00"), Time("NaT")], ["2025-01-31T12:00:00", None]),
        (Array([1.0, 2.0]), [1.0, 2.0]),
        ({"rows": Table([{"a": 1, "b": float("nan")}])}, {"rows": [{"a": 1, "b": None}]}),
        (Table([{"a": 1}], index=["x"]), [{"index": "x", "a": 1}]),
        (Frame([{"a": NaTType(2025, 1, 1)}]), [{"a": None}]),
        ([{"when": NoDate(2025, 1, 1)}, {"when": datetime.date(2025, 1, 2)}], None),
    ],
)  # fmt: skip
def test_each_becomes_something_useful(value, data):
    result = to_result(value)
    assert result.error is None
    assert isinstance(result.output, str)
    assert orjson.loads(orjson.dumps(result.data)) == result.data
    if data is not None:
        assert result.data == data
    assert to_result(result) == result


def test_one_odd_date_leaves_the_rest():
    rows = [{"when": datetime.date(2025, 1, 1)}, {"when": NoDate(2025, 1, 1)}, {"when": NaTType(2025, 1, 1)}]
    data = to_result(rows).data
    assert (data[0], data[2]) == ({"when": "2025-01-01"}, {"when": None})
    assert isinstance(data[1]["when"], str)


@pytest.mark.parametrize(
    ("value", "output"),
    [
        (letters(), "ab"),
        ((word for word in ("one ", "two")), "one two"),
        (io.StringIO("a\nb\n"), "a\nb\n"),
        (Number(5), "5"),
        (Number(True), "true"),
        (Decimal("1.10"), "1.10"),
        (datetime.timedelta(days=1), "1 day, 0:00:00"),
        (pathlib.Path("/srv/x"), "/srv/x"),
        (iter(()), "[]"),
    ],
)
def test_the_text_of_single_values(value, output):
    assert to_result(value).output == output


CYCLE: dict[str, Any] = {"rows": [{}]}
CYCLE["rows"][0]["all"] = CYCLE


@pytest.mark.parametrize(
    ("make", "place", "words"),
    [
        (lambda: {"part": "x", "text": load()}, "text", "coroutine (load)"),
        (lambda: {"rows": [{"date": 1}, {"date": load()}]}, "rows[1].date", "an `await` is missing"),
        (lambda: [load(), load()], "[0]", "await"),
        (lambda: (load() for _ in range(2)), "[0]", "await"),
        (lambda: Row(load()), "value", "await"),
        (lambda: Model(value=[load()]), "value[0]", "await"),
        (lambda: ToolResult({"a b": load()}), "['a b']", "await"),
        (lambda: ToolResult("x", data={"a": load()}), "a is", "await"),
        (lambda: {"rows": numbers()}, "rows", "async for"),
        (lambda: {"client": Raw()}, "client", "a Raw, which says nothing as text"),
        (lambda: Raw(), "it is a Raw", "return text"),
        (lambda: [threading.Lock()], "[0]", "says nothing"),
        (lambda: {"text": load}, "text", "function (load)"),
        (lambda: {"text": "x".upper}, "text", "says nothing"),
        (lambda: {"rows": [NoText()]}, "rows[0]", "could not be turned into text"),
        (lambda: CYCLE, "rows[0].all", "contains itself"),
    ],
)
def test_what_says_nothing_is_a_failure_that_names_the_place(make: Callable[[], Any], place, words, recwarn, caplog):
    with caplog.at_level(logging.CRITICAL):
        result = to_result(make())
    assert result.error is not None
    assert place in result.error
    assert words in result.error
    assert "0x" not in result.error
    assert "secret" not in result.error
    assert not recwarn.list  # coroutines that were never awaited are closed


def test_a_task_is_named():
    async def main() -> ToolResult:
        task = asyncio.ensure_future(load())
        result = to_result({"rows": [task]})
        await task
        return result

    assert "rows[0] is a Task" in str(asyncio.run(main()).error)


def test_what_is_nested_deeply_is_cut():
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep, 1]
    result = to_result({"deep": deep, "rest": 1})
    assert result.error is None
    assert result.data["rest"] == 1
    assert "nested too deeply" in result.output


@pytest.mark.parametrize("make", [lambda: itertools.count(), lambda: {"a": itertools.repeat("x")}, lambda: numbers()])
def test_iterators_without_an_end_are_bounded(make):
    @tool
    def count() -> Any:
        return make()

    value = count.bind({}, CONTEXT)()
    result = asyncio.run(value) if inspect.isawaitable(value) else value
    taken = result.data["a"] if isinstance(result.data, dict) else result.data
    assert len(taken) == MOST_ITEMS + 1
    assert taken[-1] == "[… there were more]"


def test_endless_text_is_bounded():
    assert len(str(to_result(itertools.repeat("x" * 100_000)).output)) < 5_000_000


def test_tables_and_arrays_are_bounded():
    for value in (Array([0] * (MOST_ROWS + 5)), Table([{"a": 1}] * (MOST_ROWS + 5))):
        data = to_result(value).data
        assert len(data) == MOST_ROWS + 1
        assert data[-1] == "[… 5 more]"


@pytest.mark.parametrize("nested", [False, True])
def test_an_iterator_that_raises_fails_like_the_tool(nested):
    def rows() -> Iterator[int]:
        yield 1
        raise RetryTool("the second row is missing")

    class Rows(BaseTool):
        name = "rows"

        def execute(self) -> Any:
            return {"rows": rows()} if nested else rows()

    with pytest.raises(RetryTool, match="second row"):
        Rows().bind({}, CONTEXT)()


async def test_iterators_run_where_the_tool_does():
    threads: list[int] = []

    def rows() -> Iterator[int]:
        threads.append(threading.get_ident())
        yield 1

    @tool
    async def lazy() -> Any:
        return {"rows": rows()}

    call = lazy.bind({}, CONTEXT)
    result = await asyncio.to_thread(lambda: asyncio.run(call()))
    assert result.data == {"rows": [1]}
    assert threads != [threading.get_ident()]
