import pytest

from myagent.llm.output_tool import OutputTool
from myagent.llm.requests.dialect import Dialect, DialectMemory

TOOL = {
    "type": "function",
    "function": {"name": "t", "parameters": {"type": "object", "properties": {"a": {"$ref": "#/x"}}}},
}


def refused(words, request=None, dialect=None):
    return (dialect or Dialect()).after_refusal(words, request or {})


def test_what_is_asked_without_it_next_time():
    assert refused("extra: stream_options") == Dialect(reports_usage=False)
    assert refused("stream is not supported") == Dialect(streams=False)
    assert refused("use max_completion_tokens", {"max_tokens": 5}) == Dialect(renames_token_limit=True)
    assert refused('unknown name "$ref" at function_declarations[0]', {"tools": [TOOL]}) == Dialect(plain_schemas=True)


def test_what_was_not_asked_for_cannot_be_left_out():
    assert refused("use max_completion_tokens", {"max_completion_tokens": 5}) is None
    assert refused("additionalProperties is unknown") is None
    assert refused("temperature too high", {"max_tokens": 5, "tools": [TOOL]}) is None
    assert refused("stream: no", dialect=Dialect(streams=False)) is None


def test_how_it_is_written():
    request = {"max_tokens": 5, "tools": [TOOL]}
    assert Dialect().write(request) == request | {"stream": True, "stream_options": {"include_usage": True}}
    written = Dialect(streams=False, renames_token_limit=True, plain_schemas=True).write(request)
    assert written["max_completion_tokens"] == 5 and "max_tokens" not in written and "stream" not in written
    assert "$ref" not in str(written["tools"])
    assert request == {"max_tokens": 5, "tools": [TOOL]}


def test_what_a_process_learns_is_known_to_all_its_models_of_that_endpoint():
    memory = DialectMemory()
    memory.keep(("url", "m"), Dialect(streams=False, renames_token_limit=True))
    assert memory.recall(("url", "m"), Dialect()) == Dialect(renames_token_limit=True)
    assert memory.recall(("url", "other"), Dialect()) == Dialect()
    memory.keep(("url", "m"), Dialect(plain_schemas=True))
    assert memory.recall(("url", "m"), Dialect()) == Dialect(renames_token_limit=True, plain_schemas=True)


# --- the format of the answer ---

OUTPUT = OutputTool({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}, may_be_native=True)
WITH_OUTPUT = {"model": "m", "messages": [], "tools": [OUTPUT]}


def test_the_format_takes_the_place_of_the_tool():
    written = Dialect().write(WITH_OUTPUT)
    assert "tools" not in written
    assert written["response_format"]["json_schema"]["strict"] is True
    assert written["response_format"]["json_schema"]["schema"]["additionalProperties"] is False
    declared = OutputTool({"properties": {}}, may_be_native=False)
    assert "response_format" not in Dialect().write({"tools": [declared]})
    assert "response_format" not in Dialect().write({"tools": [dict(OUTPUT)]}), "a tool of the author's own"


def test_a_schema_that_strict_endpoints_refuse_is_not_called_strict():
    for schema in (
        {"type": "object", "properties": {"n": {"type": "integer"}}},
        {"type": "object", "properties": {}, "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {}, "allOf": [{"properties": {"n": {}}}]},
    ):
        written = Dialect().write({"tools": [OutputTool(schema, may_be_native=True)]})
        assert written["response_format"]["json_schema"] == {"name": "final_output", "schema": schema, "strict": False}


@pytest.mark.parametrize(
    "words",
    [
        "invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
        "this response_format type is unavailable now",
        "function calling with a response mime type: 'application/json' is unsupported",
        "bad request",
    ],
)
def test_a_refused_format_is_learnt(words):
    other = Dialect(streams=False).after_refusal(words, WITH_OUTPUT)
    assert other is not None and other.write(WITH_OUTPUT)["tools"] == [OUTPUT]
    assert other.after_refusal(words, WITH_OUTPUT) is None
    memory = DialectMemory()
    memory.keep(("e", "m"), other)
    assert not memory.recall(("e", "m"), Dialect()).takes_response_format


def test_what_is_too_long_says_nothing_of_the_format():
    assert (
        Dialect(streams=False).after_refusal("prompt is too long: 300000 tokens > 200000 maximum", WITH_OUTPUT) is None
    )
