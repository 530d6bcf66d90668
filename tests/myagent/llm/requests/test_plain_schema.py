from enum import Enum

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from myagent.llm.requests.plain_schema import plain_schema, plain_tools

TAKEN = {
    *("type", "description", "nullable", "enum", "items", "properties", "required", "anyOf", "pattern"),
    *("minItems", "maxItems", "minimum", "maximum", "minLength", "maxLength"),
}


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    name: str = Field(description="its name")
    parts: list["Part"] = []


class Order(BaseModel):
    part: Part
    color: Color = Color.RED
    count: int | None = None
    sizes: dict[str, int] = {}


def check(schema):
    """What a Gemini gateway checks: known keywords only, types that go together."""
    assert isinstance(schema, dict)
    assert schema.keys() <= TAKEN, schema
    assert not isinstance(schema.get("type"), list)
    if "enum" in schema:
        assert schema["type"] == "string" and all(isinstance(value, str) for value in schema["enum"])
    if schema.get("type") == "array":
        assert schema["items"]
    for inner in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
        check(inner)
    if "items" in schema:
        check(schema["items"])
    assert set(schema.get("required", ())) <= schema.get("properties", {}).keys()


def test_references_are_written_out_and_recursion_ends():
    plain = plain_schema(Order.model_json_schema())
    check(plain)
    assert plain["properties"]["color"]["enum"] == ["red", "blue"]
    assert plain["properties"]["part"]["properties"]["name"] == {"type": "string", "description": "its name"}
    assert plain["properties"]["part"]["properties"]["parts"]["items"]["type"] == "object"
    assert plain["properties"]["count"] == {"type": "integer", "nullable": True}
    assert plain["required"] == ["part"]


@pytest.mark.parametrize(
    ("schema", "plain"),
    [
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"const": "x"}, {"type": "string", "enum": ["x"]}),
        ({"type": "integer", "enum": [1, 2], "default": 1}, {"type": "integer", "description": "One of: 1, 2."}),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"type": "array"}, {"type": "array", "items": {"type": "string"}}),
        ({"type": "string", "format": "uri", "title": "X", "examples": ["a"]}, {"type": "string"}),
        ({"$ref": "http://elsewhere/x"}, {"type": "object"}),
        ({"allOf": [{"type": "string", "maxLength": 3}], "description": "d"},
         {"type": "string", "maxLength": 3, "description": "d"}),
    ],
)  # fmt: skip
def test_keywords(schema, plain):
    assert plain_schema(schema) == plain


def test_a_tool_without_parameters_has_no_schema():
    tool = {
        "type": "function",
        "function": {"name": "t", "strict": True, "parameters": {"type": "object", "properties": {}}},
    }
    assert plain_tools([tool]) == [{"type": "function", "function": {"name": "t"}}]
    assert "parameters" in tool["function"]


SCHEMAS = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "integer", "object", "array", ["string", "null"]]),
            "enum": st.lists(st.one_of(st.text(max_size=3), st.integers(), st.none()), max_size=3),
            "default": st.integers(),
            "$ref": st.sampled_from(["#", "#/$defs/a", "#/nowhere", "x"]),
            "additionalProperties": st.booleans(),
            "required": st.lists(st.sampled_from("abc")),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "items": inner,
            "anyOf": st.lists(inner, max_size=3),
            "allOf": st.lists(inner, max_size=2),
            "$defs": st.dictionaries(st.just("a"), inner),
        },
    ),
    max_leaves=8,
)


def test_the_only_choice_adds_its_properties():
    own = {"properties": {"a": {"type": "string"}}, "required": ["a"]}
    choice = {"properties": {"b": {"type": "integer"}}, "required": ["b"]}
    written = plain_schema({"type": "object", **own, "anyOf": [choice]})
    assert (list(written["properties"]), written["required"]) == (["a", "b"], ["a", "b"])


@given(SCHEMAS)
@example({"properties": {"b": {}}, "anyOf": [{"properties": {}, "items": {"required": ["b"], "$ref": "#"}}]})
def test_any_schema_is_written_in_the_subset(schema):
    check(plain_schema(schema))
