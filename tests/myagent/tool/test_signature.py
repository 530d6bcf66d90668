"""What signatures say beyond names: pydantic's words, what functools.partial binds, and methods without `self`."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import functools
import inspect
from typing import Annotated, Any, Literal, Optional, Union

import pytest
from pydantic import AfterValidator, AliasChoices, BaseModel, Field
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from myagent import AgentDefinitionError, BaseTool, RetryTool, RunContext, tool
from myagent.tool.collection import ToolCollection

pytestmark = pytest.mark.usefixtures("in_english")

CONTEXT = RunContext(session_id="s1", run_id="r1", agent="desk")


class Doc:
    """As `typing_extensions.Doc` (PEP 727)."""

    def __init__(self, documentation: str) -> None:
        self.documentation = documentation


class Unit(enum.Enum):
    C = "celsius"


class Place(BaseModel):
    city: str = Field(description="the city")


class Query(FieldInfo):
    """As web frameworks derive theirs."""

    def __init__(self, default: Any = ..., **words: Any) -> None:
        super().__init__(default=default, **words)


class V1:
    """What `pydantic.v1.Field()` makes."""

    FieldInfo = type("FieldInfo", (), {"__module__": "pydantic.v1.fields"})


def make(**parameters: tuple[Any, Any]) -> BaseTool:
    """A tool that returns its arguments; each parameter has an annotation and a default, `...` is none."""

    def echo(**arguments: Any) -> str:
        return repr(arguments)

    def kept(**arguments: Any) -> str:
        signature = inspect.signature(kept)
        return echo(**{name: item.default for name, item in signature.parameters.items()} | arguments)

    empty = inspect.Parameter.empty
    declared = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=empty if value is ... else value
        )
        for name, (kind, value) in parameters.items()
    ]
    kept.__signature__ = inspect.Signature(declared)  # type: ignore[attr-defined]
    return tool(name="echo")(kept)


def properties(made: BaseTool) -> dict[str, Any]:
    found: dict[str, Any] = made.schema()["function"]["parameters"]["properties"]
    return found


def required(made: BaseTool) -> list[str]:
    found: list[str] = made.schema()["function"]["parameters"].get("required", [])
    return found


def call(made: BaseTool, **arguments: Any) -> str:
    value = made.bind(made.check(arguments), CONTEXT)()
    result = asyncio.run(value) if inspect.isawaitable(value) else value
    assert result.error is None
    return str(result.output)


# Field


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (str, Field(..., description="the city")),
        (str, Field(description="the city")),
        (Annotated[str, Field(description="the city")], ...),
        (Annotated[str, Field(..., description="the city")], ...),
        (Annotated[str, Field(description="not this")], Field(description="the city")),
        (Annotated[str, "the city"], ...),
        (Annotated[str, "the city", object()], ...),
        (Annotated[str, Doc("the city")], ...),
        (str, Query(description="the city")),
        (Annotated[str, Query(description="the city")], ...),
        (Annotated[str, "the city"], PydanticUndefined),
    ],
)
def test_a_required_parameter_is_described(annotation, default):
    made = make(city=(annotation, default))
    assert properties(made) == {"city": {"type": "string", "description": "the city"}}
    assert required(made) == ["city"]
    with pytest.raises(RetryTool, match="missing: 'city'"):
        made.check({})
    assert call(made, city="Oslo") == "{'city': 'Oslo'}"


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (int, Field(3, ge=1, description="how many")),
        (int, Field(default=3, ge=1, description="how many")),
        (Annotated[int, Field(ge=1, description="how many")], 3),
        (Annotated[int, Field(default=3, ge=1, description="how many")], ...),
        (Annotated[int, Field(ge=1), "how many"], Field(3)),
        (int, Query(3, ge=1, description="how many")),
    ],
)
def test_a_default_a_description_and_a_limit(annotation, default):
    made = make(days=(annotation, default))
    assert properties(made) == {"days": {"type": "integer", "description": "how many", "default": 3, "minimum": 1}}
    assert required(made) == []
    assert call(made) == "{'days': 3}"
    assert call(made, days=2) == "{'days': 2}"
    with pytest.raises(RetryTool, match="greater than or equal to 1"):
        made.check({"days": 0})


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (list[str], Field(default_factory=list)),
        (Annotated[list[str], Field(default_factory=list)], ...),
        (list[str], Field(default=[])),
        (list[str], dataclasses.field(default_factory=list)),
    ],
)
def test_each_call_gets_a_value_of_its_own(annotation, default):
    @tool
    def tag(words=default) -> list[str]:
        words.append("new")
        return words

    tag.execute.__annotations__["words"] = annotation
    assert required(tag) == []
    for _again in range(2):
        assert call(tag) == '["new"]'
        assert tag() == ["new"]
    assert call(tag, words=["old"]) == '["old", "new"]'


def test_a_factory_may_look_at_the_other_arguments():
    @tool
    def book(day: str, until: str = Field(default_factory=lambda known: known["day"])) -> str:
        return f"{day} to {until}"

    assert call(book, day="Monday") == "Monday to Monday"


def test_a_factory_runs_where_the_tool_does():
    calls: list[str] = []

    @tool
    def book(day: str = Field(default_factory=lambda: calls.append("made") or "Monday")) -> str:  # type: ignore[func-returns-value]
        return day

    checked = book.check({})
    assert (checked, calls) == ({}, [])
    assert book.bind(checked, CONTEXT)().output == "Monday"
    assert calls == ["made"]


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (list[str], None),
        (list[str], Field(None)),
        (list[str], Field(default=None, min_length=1)),
        (Annotated[list[str], Field(min_length=1)], None),
        (Annotated[list[str], AfterValidator(sorted)], None),
        (Optional[list[str]], None),  # noqa: UP045 - authors write it
        (Union[list[str], str], None),  # noqa: UP007 - authors write it
        (int, None),
        (Unit, None),
        (Place, Field(None, description="where")),
        (Literal["a", "b"], None),
        (dict[str, int], Field(default=None)),
    ],
)
def test_null_is_taken_where_it_is_the_default(annotation, default):
    made = make(value=(annotation, default))
    about = properties(made)["value"]
    assert about["default"] is None
    assert {"type": "null"} in about["anyOf"]
    assert call(made, value=None) == call(made) == "{'value': None}"


def test_null_is_not_taken_elsewhere():
    with pytest.raises(RetryTool, match="null"):
        make(value=(list[str], Field(...))).check({"value": None})
    assert call(make(value=(int, Field(3))), value=None) == "{'value': 3}"


@pytest.mark.parametrize(
    ("annotation", "inner"),
    [
        (list[Annotated[str, "a word"]], lambda about: about["items"]),
        (dict[str, Annotated[int, Doc("a word")]], lambda about: about["additionalProperties"]),
        (Annotated[str, "a word"] | None, lambda about: about),
        (Annotated[str, Field(description="a word")] | None, lambda about: about),
        (Annotated[str, "a word"] | int, lambda about: about["anyOf"][0]),
        (tuple[Annotated[str, "a word"], ...], lambda about: about["items"]),
    ],
)
def test_descriptions_inside_of_types(annotation, inner):
    assert inner(properties(make(value=(annotation, ...)))["value"])["description"] == "a word"


@pytest.mark.parametrize(
    ("annotation", "word", "value"),
    [
        (Annotated[str, Field(pattern="^[A-Z]")], "pattern", "oslo"),
        (Annotated[list[int], Field(max_length=1)], "maxItems", [1, 2]),
        (list[Annotated[int, Field(le=5)]], "items", [6]),
        (Annotated[int, Field(multiple_of=5)], "multipleOf", 3),
        (Annotated[str, Field(examples=["Oslo"], max_length=4)], "examples", "Stavanger"),
    ],
)
def test_constraints_are_shown_and_kept(annotation, word, value):
    made = make(value=(annotation, ...))
    assert word in properties(made)["value"]
    with pytest.raises(RetryTool, match="'value"):
        made.check({"value": value})


def test_the_model_may_be_shown_another_name():
    @tool
    def travel(from_: str = Field(alias="from"), to: str = Field(validation_alias=AliasChoices("to", "goal"))) -> str:
        return f"{from_} to {to}"

    assert list(properties(travel)) == required(travel) == ["from", "to"]
    assert call(travel, **{"from": "Oslo", "goal": "Rome"}) == "Oslo to Rome"
    with pytest.raises(RetryTool, match="it takes 'from', 'to'"):
        travel.check({"from_": "Oslo", "to": "Rome"})
    with pytest.raises(AgentDefinitionError, match="one alias"):
        make(a=(str, Field(alias="x")), b=(str, Field(alias="x"))).schema()


def test_fields_beside_an_own_schema_and_the_run():
    class Search(BaseTool):
        name = "search"
        parameters = {"properties": {"words": {"type": "array"}, "limit": {"type": "integer"}}}

        async def execute(
            self,
            words: list[str] = Field(...),  # noqa: B008
            limit: int = Field(5),
            *,
            run: RunContext = Field(None),  # noqa: B008
        ) -> str:
            return f"{words} {limit} {run.run_id}"

    assert call(Search(), words=["a"]) == "['a'] 5 r1"
    with pytest.raises(RetryTool, match="missing: 'words'"):
        Search().check({})


def test_the_defaults_of_an_own_schema():
    schema = {
        "properties": {
            "words": {"type": "array", "default": None},
            "limit": {"type": "integer", "default": 5},
            "kind": {"enum": ["a", "b"], "default": None},
        },
        "required": ["kind"],
    }

    @tool(parameters=schema)
    def search(words, limit, kind):
        return repr((words, limit, kind))

    assert call(search, kind="a") == call(search, words=None, kind="a") == "(None, 5, 'a')"
    assert call(search, kind=None) == "(None, 5, None)"
    with pytest.raises(RetryTool, match="missing: 'kind'"):
        search.check({})


def test_a_decorated_function_that_is_called_directly():
    @tool
    def forecast(city: str = Field(...), days: int = Field(2)) -> str:
        return f"{city} {days}"

    assert forecast("Oslo") == forecast(city="Oslo") == "Oslo 2"
    assert forecast("Oslo", 3) == "Oslo 3"
    with pytest.raises(TypeError, match="city"):
        forecast()


def test_a_validator_of_the_authors_that_breaks_ends_the_call_alone(caplog):
    def broken(value: str) -> str:
        raise KeyError("secret")

    made = make(city=(Annotated[str, AfterValidator(broken)], ...))
    with pytest.raises(RetryTool) as caught:
        made.check({"city": "Oslo"})
    assert "KeyError" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "secret" in caplog.text


def test_the_field_of_something_else_is_refused():
    with pytest.raises(AgentDefinitionError, match=r"'city' is a Field of pydantic\.v1\.fields"):
        make(city=(str, V1.FieldInfo())).schema()


# functools.partial


async def fetch(path: str, headers: dict[str, str] | None = None, **more: Any) -> str:
    return f"{path} {headers} {more}"


@functools.wraps(fetch)
def logged(*args: Any, **kwargs: Any) -> Any:
    return fetch(*args, **kwargs)


SECRET = {"Authorization": "Bearer token"}


class Fetch(BaseTool):
    name = "fetch"

    async def get(self, path: str, headers: dict[str, str] | None = None, **more: Any) -> str:
        return f"{path} {headers} {more}"

    execute = functools.partialmethod(get, headers=SECRET)


@pytest.mark.parametrize(
    "function",
    [
        functools.partial(fetch, headers=SECRET),
        functools.partial(functools.partial(fetch, token="t"), headers=SECRET),
        functools.partial(logged, headers=SECRET),
        functools.update_wrapper(functools.partial(fetch, headers=SECRET), fetch),
        functools.wraps(functools.partial(fetch, headers=SECRET))(lambda **given: fetch(headers=SECRET, **given)),
        Fetch().execute,
    ],
)
def test_what_partial_binds_by_keyword_is_hidden_and_kept(function):
    made = tool(name="fetch")(function)
    assert list(properties(made)) == ["path"]
    assert "Bearer" not in repr(made.schema())
    for name in ("headers", *(["token"] if "'token'" in repr(function) else [])):
        with pytest.raises(RetryTool, match=f"no argument '{name}'; it takes 'path'"):
            made.check({"path": "/", name: {}})
    assert call(made, path="/").startswith(f"/ {SECRET}")


def test_what_partial_binds_by_position_cannot_be_given_again():
    made = tool(name="fetch")(functools.partial(fetch, "/home"))
    assert list(properties(made)) == ["headers"]
    with pytest.raises(RetryTool, match="no argument 'path'"):
        made.check({"path": "/etc"})
    assert call(made, page=2) == "/home None {'page': 2}"


def test_a_partial_method_and_an_own_schema():
    assert list(properties(Fetch())) == ["path"]

    class Own(Fetch):
        parameters = {"properties": {"path": {"type": "string"}}, "additionalProperties": True}

    assert Own().check({"path": "/", "headers": {}}) == {"path": "/"}


# self


def without_self(city: str) -> str:
    return city


class Town:
    def find(city: str) -> str:
        return str(city)

    def nothing() -> str:  # type: ignore[misc]
        return ""

    @functools.cache  # noqa: B019
    def other(self, city: str) -> str:
        return city


@pytest.mark.parametrize(
    "execute",
    [
        without_self,
        lambda city: city,
        lambda: "",
        lambda *, city: city,
        functools.wraps(without_self)(lambda *args, **kwargs: without_self(*args, **kwargs)),
        functools.partialmethod(without_self),
        classmethod(without_self),
    ],
)
def test_execute_without_self_is_refused(execute):
    made = type("Twin", (BaseTool,), {"name": "twin_town", "execute": execute})()
    with pytest.raises(AgentDefinitionError, match=r"'twin_town': Twin\.\S+ has no `self`"):
        ToolCollection([made])


@pytest.mark.parametrize("function", [Town().find, Town().nothing])
def test_methods_of_others_without_self_are_refused(function):
    with pytest.raises(AgentDefinitionError, match=r"Town\.\w+\(\) has no `self`"):
        ToolCollection([function])


@pytest.mark.parametrize(
    "execute",
    [
        staticmethod(without_self),
        classmethod(lambda cls, city: city),
        classmethod(lambda anything, city: city),
        lambda this, city: city,
        lambda _, city: city,
        lambda *args, city: city,
    ],
)
def test_other_ways_to_write_execute(execute):
    made = type("Twin", (BaseTool,), {"name": "twin_town", "execute": execute})()
    assert call(made, city="Oslo") == "Oslo"
