"""Arguments: the JSON that models send, schemas from signatures, schemas that authors write."""

from __future__ import annotations

import enum
import json
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from myagent import AgentDefinitionError, RetryTool, RunContext, tool
from myagent.tool.arguments import parse_arguments

pytestmark = pytest.mark.usefixtures("in_english")

if TYPE_CHECKING:
    from decimal import Decimal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=10,
)

# The JSON text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (None, {}),
        (" \n", {}),
        ("null", {}),
        ("{}", {}),
        ('{"city": "北京", "days": 3}', {"city": "北京", "days": 3}),
        (r'{"text": "a\u0000b"}', {"text": "a\ufffdb"}),
        (r'{"text": ["\ud800"]}', {"text": ["\ufffd"]}),
        (r'{"text": "\ud83d\ude00"}', {"text": "😀"}),
        ('{"n": 9223372036854775807}', {"n": 9223372036854775807}),
    ],
)
def test_parse(text, expected):
    assert parse_arguments(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1,}', {"a": 1}),
        ('{"a": [1, 2, ], "b": "x,}",\n}', {"a": [1, 2], "b": "x,}"}),
        ('{"text": "one\ntwo\tthree"}', {"text": "one\ntwo\tthree"}),
        (json.dumps('{"a": "b"}'), {"a": "b"}),
        (json.dumps('{"a": 1,}'), '"{'),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('```\n{"a": 1,}\n```', {"a": 1}),
    ],
)
def test_slips_are_mended_where_it_is_clear_what_is_meant(text, expected):
    if isinstance(expected, str):  # two slips at once are not guessed at
        with pytest.raises(RetryTool, match="a string"):
            parse_arguments(text)
    else:
        assert parse_arguments(text) == expected


@pytest.mark.parametrize("text", ['{"a": 1', '{"a"}', "{'a': 1}", '{"a": 1}{"b": 2}', '{"a": ,}', "[1,]"])
def test_what_could_mean_several_things_is_not_mended(text):
    with pytest.raises(RetryTool):
        parse_arguments(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"city": "Osl', ["not valid JSON", "You sent", "Osl"]),
        ('{"city": "Oslo"}}', ["not valid JSON"]),
        ("[1]", ["must be a JSON object", "an array", "[1]"]),
        ('"Oslo"', ["must be a JSON object", "a string"]),
        ("true", ["must be a JSON object", "a boolean"]),
        ('{"n": NaN}', ["NaN", "null"]),
        ('{"n": -Infinity}', ["-Infinity"]),
        ('{"n": 9223372036854775808}', ["64 bits", "as a string"]),
        ('{"n": 1' + "0" * 5000 + "}", ["64 bits"]),
        ("[" * 100_000, ["nested too deeply"]),
    ],
)
def test_what_cannot_be_parsed_is_told_to_the_model(text, words):
    with pytest.raises(RetryTool) as caught:
        parse_arguments(text)
    for word in words:
        assert word in str(caught.value)
    assert len(str(caught.value)) < 600


@given(JSON)
def test_what_is_parsed_can_be_stored_and_sent(value):
    try:
        parsed = parse_arguments(json.dumps({"value": value}))
    except RetryTool:
        return
    text = orjson.dumps(parsed)
    assert b"\\u0000" not in text
    assert orjson.loads(text) == parsed


# From a signature


class Unit(enum.Enum):
    C = "celsius"
    F = "fahrenheit"


class Place(BaseModel):
    city: str
    zip: str | None = None


@tool
async def forecast(
    city: str,
    day: date | None = None,
    hours: int = 24,
    unit: Unit = Unit.C,
    place: Place | None = None,
    kind: Literal["short", "long"] = "short",
    tags: list[str] = [],  # noqa: B006 - never changed
    share: Annotated[float, Field(ge=0, le=1)] = 1.0,
) -> str:
    """The weather to come.

    Args:
        city: Its name,
            in English.
        hours (int): How far to look.
        nobody: Is not a parameter.
    """
    return ""


def test_schema_of_a_signature():
    function = forecast.schema()["function"]
    assert function["description"] == "The weather to come.\n\nArgs:\n    nobody: Is not a parameter."
    parameters = function["parameters"]
    assert parameters["type"] == "object"
    assert parameters["required"] == ["city"]
    assert parameters["additionalProperties"] is False
    properties = parameters["properties"]
    assert list(properties) == ["city", "day", "hours", "unit", "place", "kind", "tags", "share"]
    assert properties["city"] == {"type": "string", "description": "Its name, in English."}
    assert properties["hours"] == {"type": "integer", "default": 24, "description": "How far to look."}
    assert properties["kind"]["enum"] == ["short", "long"]
    assert properties["share"]["maximum"] == 1
    assert '"title": "City"' not in json.dumps(parameters)


def test_values_become_what_the_annotations_say():
    checked = forecast.check(
        {"city": 7, "day": "2025-01-31", "hours": "3", "unit": "fahrenheit", "place": {"city": "Oslo"}, "tags": ["a"]}
    )
    assert checked == {
        "city": "7",
        "day": date(2025, 1, 31),
        "hours": 3,
        "unit": Unit.F,
        "place": Place(city="Oslo"),
        "tags": ["a"],
    }


def test_defaults_are_left_to_the_function():
    assert forecast.check({"city": "Oslo"}) == {"city": "Oslo"}


@pytest.mark.parametrize(
    ("given", "meant"),
    [({"hours": None}, {}), ({"kind": None, "share": None}, {}), ({"place": None}, {"place": None})],
)
def test_a_null_in_place_of_a_default_is_the_default(given, meant):
    assert forecast.check({"city": "Oslo"} | given) == {"city": "Oslo"} | meant


def test_lists_and_objects_may_come_as_their_json_text():
    checked = forecast.check({"city": "Oslo", "place": '{"city": "Oslo"}'})
    assert checked["place"].city == "Oslo"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, ["forecast", "missing: 'city'"]),
        ({"city": None}, ["'city' is null", "valid string"]),
        ({"city": "Oslo", "hours": "many"}, ["'hours' is \"many\"", "valid integer"]),
        ({"city": "Oslo", "hours": 1.5}, ["'hours' is 1.5", "integer"]),
        ({"city": "Oslo", "kind": "odd"}, ["'kind'", "'short' or 'long'"]),
        ({"city": "Oslo", "place": {"zip": "1"}}, ["missing: 'place.city'"]),
        ({"city": "Oslo", "share": 2}, ["'share' is 2", "less than or equal to 1"]),
        ({"town": "Oslo"}, ["missing: 'city'", "no argument 'town'", "it takes 'city', 'day'"]),
        ({"city": ["x" * 10_000]}, ["'city'", "…"]),
    ],
)
def test_wrong_arguments_are_told_to_the_model(arguments, words):
    with pytest.raises(RetryTool) as caught:
        forecast.check(arguments)
    for word in words:
        assert word in str(caught.value)
    assert len(str(caught.value)) < 1_000


@tool
def odd_names(copy: str, schema: int, model_config: bool, _under: str = "", json: Any = None) -> str:
    return ""


def test_parameters_may_have_any_name():
    arguments = {"copy": "a", "schema": 1, "model_config": True, "_under": "b", "json": {"c": 1}}
    assert odd_names.check(arguments) == arguments
    assert list(odd_names.schema()["function"]["parameters"]["properties"]) == list(arguments)


def test_any_name_more_with_keywords_of_any_name():
    @tool
    def anything(first: int, context: RunContext, **others: Any) -> str:
        return ""

    assert anything.check({"first": "1", "second": [2]}) == {"first": 1, "second": [2]}
    assert anything.schema()["function"]["parameters"]["additionalProperties"] is True
    with pytest.raises(RetryTool, match="'context'"):
        anything.check({"first": 1, "context": {}})


def test_no_parameters():
    @tool
    def nothing() -> str:
        return ""

    assert nothing.schema()["function"]["parameters"] == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
    }
    with pytest.raises(RetryTool, match="takes none"):
        nothing.check({"a": 1})


def test_a_default_that_is_not_json_is_not_shown():
    sentinel = object()

    @tool
    def keep(value: Any = sentinel) -> str:
        return ""

    assert keep.schema()["function"]["parameters"]["properties"] == {"value": {}}
    assert keep.check({}) == {}


def test_the_context_is_never_an_argument():
    def plain(city: str, run: RunContext) -> str:
        return ""

    def optional(city: str, run: Optional[RunContext] = None) -> str:  # noqa: UP045 - authors write it
        return ""

    def union(city: str, run: RunContext | None = None) -> str:
        return ""

    def annotated(city: str, run: Annotated[RunContext, "mine"]) -> str:
        return ""

    for function in (plain, optional, union, annotated):
        made = tool(function)
        assert list(made.schema()["function"]["parameters"]["properties"]) == ["city"]
        with pytest.raises(RetryTool, match="'run'"):
            made.check({"city": "Oslo", "run": {}})


class Unknowable:
    pass


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("Decimal", ["'amount'", "Decimal", "Import it"]),
        ("Unknowable", ["Unknowable", "set `parameters`"]),
        ("list[", ["'amount'", "list["]),
    ],
)
def test_annotations_without_a_schema_are_refused(annotation, words):
    def pay(amount) -> str:
        return ""

    pay.__annotations__["amount"] = annotation
    with pytest.raises(AgentDefinitionError) as caught:
        tool(pay).schema()
    for word in ["'pay'", *words]:
        assert word in str(caught.value)


def test_parameters_by_position_only_are_refused():
    def pay(amount: int, /) -> str:
        return ""

    with pytest.raises(AgentDefinitionError, match="'amount' can only be given by position"):
        tool(pay).schema()


# From the author's own schema

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "用户名称"},
        "days": {"type": "integer", "minimum": 1},
        "unit": {"enum": ["C", "F"]},
        "place": {"type": "object", "properties": {"zip": {"type": "string"}}, "required": ["zip"]},
    },
    "required": ["name"],
}


def written(parameters: Any = SCHEMA, execute: Any = None) -> Any:
    def hello(name, days=1, unit="C", place=None) -> str:
        return ""

    return tool(name="hello", parameters=parameters)(execute or hello)


def test_the_authors_schema_is_shown_as_it_is():
    assert written().schema()["function"]["parameters"] == SCHEMA


@pytest.mark.parametrize("arguments", [{"name": "Ann"}, {"name": "Ann", "days": 2, "unit": "F", "place": {"zip": "1"}}])
def test_right_arguments_stay_as_they_are(arguments):
    assert written().check(arguments) == arguments


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, ["hello", "missing: 'name'"]),
        ({"name": 7}, ["'name' is a number, 7", "must be string"]),
        ({"name": "Ann", "days": "three"}, ["'days' is a string, \"three\"", "must be integer"]),
        ({"name": "Ann", "days": "3.5"}, ["must be integer"]),
        ({"name": "Ann", "days": "0"}, ["'days' is 0", "minimum: 1"]),
        ({"name": None}, ["'name' is null", "must be string"]),
        ({"name": "Ann", "days": 0}, ["'days' is 0", "minimum: 1"]),
        ({"name": "Ann", "unit": "K"}, ["'unit' is \"K\"", 'one of "C", "F"']),
        ({"name": "Ann", "place": {}}, ["missing in 'place': 'zip'"]),
        ({"name": "Ann", "town": "Oslo"}, ["no argument 'town'", "it takes 'days', 'name', 'place', 'unit'"]),
        ({"name": {"a": "x" * 10_000}}, ["'name' is an object", "…"]),
    ],
)
def test_arguments_that_break_the_authors_schema(arguments, words):
    with pytest.raises(RetryTool) as caught:
        written().check(arguments)
    for word in words:
        assert word in str(caught.value)
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"days": "3"}, {"days": 3}),
        ({"days": " 3.0 "}, {"days": 3}),
        ({"days": None, "unit": None}, {}),
        ({"place": None}, {}),
        ({"place": '{"zip": "1"}'}, {"place": {"zip": "1"}}),
    ],
)
def test_what_is_clear_is_mended_for_the_authors_schema(given, meant):
    assert written().check({"name": "Ann"} | given) == {"name": "Ann"} | meant


def test_a_null_that_the_authors_schema_allows_or_needs_stays():
    def hello(name, days) -> str:
        return ""

    schema = {"type": "object", "properties": {"name": {"type": ["string", "null"]}, "days": {"type": "integer"}}}
    assert written(schema, hello).check({"name": None, "days": 1}) == {"name": None, "days": 1}
    with pytest.raises(RetryTool, match="'days' is null"):
        written(schema, hello).check({"name": "Ann", "days": None})


def test_every_missing_argument_is_named_once():
    two = {"type": "object", "properties": {"name": {}, "days": {}}, "required": ["name", "days"]}
    with pytest.raises(RetryTool) as caught:
        written(two).check({})
    assert str(caught.value).count("'name'") == 1
    assert str(caught.value).count("'days'") == 1


def test_additional_properties_false_is_told_once():
    with pytest.raises(RetryTool) as caught:
        written({**SCHEMA, "additionalProperties": False}).check({"name": "Ann", "town": "Oslo"})
    assert str(caught.value).count("'town'") == 1


def test_additional_properties_true_drops_what_the_code_cannot_take():
    lenient = written({**SCHEMA, "additionalProperties": True})
    assert lenient.check({"name": "Ann", "town": "Oslo"}) == {"name": "Ann"}


def test_keywords_of_any_name_take_what_the_schema_does_not_know():
    def hello(**others: Any) -> str:
        return ""

    assert written(SCHEMA, hello).check({"name": "Ann", "town": "Oslo"}) == {"name": "Ann", "town": "Oslo"}


def test_what_the_code_needs_is_missed_even_if_the_schema_does_not_ask_for_it():
    def hello(name, days, unit="C", place=None) -> str:
        return ""

    with pytest.raises(RetryTool, match="missing: 'days'"):
        written(SCHEMA, hello).check({"name": "Ann"})


def test_a_schema_without_a_type_is_an_objects():
    assert written({}, lambda: "").schema()["function"]["parameters"] == {"type": "object", "properties": {}}


def test_references_inside_the_schema_work():
    schema = {"properties": {"name": {"$ref": "#/$defs/name"}}, "$defs": {"name": {"type": "string"}}}
    assert written(schema).check({"name": "Ann"}) == {"name": "Ann"}
    with pytest.raises(RetryTool, match="'name' is a number"):
        written(schema).check({"name": 1})


def test_annotations_do_not_matter_beside_a_schema():
    def hello(name: Decimal, run: RunContext, days: Unknowable | None = None, unit: str = "", place: Any = None) -> str:
        return ""

    assert written(SCHEMA, hello).check({"name": "Ann"}) == {"name": "Ann"}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"type": "array"}, ["schema of an object"]),
        (["name"], ["schema of an object", '["name"]']),
        (Place, ["schema of an object"]),
        ({"properties": ["name"]}, ["`properties` should be a dict"]),
        ({"properties": {"name": {"type": "text"}}}, ["not a valid JSON schema", "properties.name", "'text'"]),
        ({"properties": {"name": {"type": "string", "required": True}}}, ["not a valid JSON schema"]),
        ({"properties": {"name": {"pattern": "("}}}, ["not a valid JSON schema", "properties.name.pattern"]),
        ({"properties": {"name": {"$ref": "#/$defs/name"}}}, ["'#/$defs/name'", "not in it"]),
        ({"properties": {"name": {"$ref": "https://example.org/x"}}}, ["example.org", "not fetched"]),
        ({"properties": {"town": {}, "name": {}}}, ["declares 'town'", "does not take"]),
        ({"properties": {"days": {}}}, ["needs 'name'", "does not declare"]),
    ],
)
def test_schemas_that_cannot_work_are_refused(parameters, words):
    with pytest.raises(AgentDefinitionError) as caught:
        written(parameters).schema()
    for word in ["'hello'", *words]:
        assert word in str(caught.value)
