from myagent.llm.dialect import Dialect, DialectMemory

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
