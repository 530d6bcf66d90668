"""The contract that programs read: JSON schemas and AsyncAPI, true of what is documented and of what is sent."""

from __future__ import annotations

import json
import subprocess
from io import StringIO

import pytest
from django.core.management import call_command
from jsonschema import Draft202012Validator, ValidationError

from myagent.client.wire import wire
from myagent.protocol.asyncapi import MESSAGES, asyncapi
from myagent.protocol.codec import encode, parse_frame
from myagent.protocol.direct_events import RefusalMetadata, RequestError
from myagent.protocol.frame_schemas import json_schema
from myagent.protocol.message_events import UserMessage
from myagent.protocol.server_events import RunErrorMetadata, RunFailed
from tests.support.markdown import blocks
from tests.support.paths import ROOT
from tests.support.services import lacking, program

SCHEMA = json_schema()
EXAMPLES = {side: blocks("docs/protocol.md", mark=side) for side in ("client", "server")}
PARSER = ROOT / "console/node_modules/@asyncapi/parser"


def validator(name):
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


CLIENT, SERVER = validator("ClientEvent"), validator("ServerEvent")


def at(block):
    return f"{block.heading}, line {block.line}"


def printed(option):
    out = StringIO()
    call_command("protocol", option, stdout=out)
    return json.loads(out.getvalue())


def test_the_schemas_are_schemas():
    Draft202012Validator.check_schema(SCHEMA)
    assert printed("--json-schema") == SCHEMA


@pytest.mark.parametrize("block", EXAMPLES["client"], ids=at)
def test_what_the_documentation_lets_a_client_send_fits(block):
    CLIENT.validate(json.loads(block.text))


@pytest.mark.parametrize("block", EXAMPLES["server"], ids=at)
def test_what_the_documentation_says_of_the_server_fits(block):
    frame = json.loads(block.text)
    SERVER.validate(frame)
    SERVER.validate({**frame, "later": 1, "metadata": {**frame["metadata"], "later": {"key": 1}}})


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"event": "user.unknown"},
        {"event": "user.message", "session_id": "s"},
        {"event": "user.message", "session_id": "s", "content": 7},
        {"event": "user.message", "session_id": "s", "content": {"output_schema": {}}},
        {"event": "user.withdraw", "session_id": "s"},
        {"event": "user.response", "session_id": "s", "step_id": "1", "content": {"confirmed": "yes"}},
        {"event": "user.feedback", "session_id": "s", "content": {"run_id": "r"}},
        {"event": "user.reconnect_with_state", "content": {}},
    ],
    ids=json.dumps,
)
def test_what_the_server_refuses_does_not_fit(frame):
    with pytest.raises(ValidationError):
        CLIENT.validate(frame)


def test_events_of_one_name_are_told_apart_by_their_numbers():
    logged = json.loads(
        encode(RunFailed(content="", metadata=RunErrorMetadata(run_id="r", code="c")), session_id="s", seq=3)
    )
    direct = json.loads(encode(RequestError(content="", metadata=RefusalMetadata(code="bad_json"))))
    assert validator("RunFailed").is_valid(logged) and not validator("RequestError").is_valid(logged)
    assert validator("RequestError").is_valid(direct) and not validator("RunFailed").is_valid(direct)


def test_later_words_fit():
    block = next(block for block in EXAMPLES["server"] if '"finish": "limit"' in block.text)
    SERVER.validate(json.loads(block.text.replace('"finish": "limit"', '"finish": "postponed"')))


def test_what_a_message_asks_for_stands_in_its_content():
    frame = wire(UserMessage(session_id="s", content="hello", output_schema={"type": "object"}))
    CLIENT.validate(frame)
    assert frame["content"] == {"content": "hello", "output_schema": {"type": "object"}}
    assert parse_frame(json.dumps(frame)).output_schema == {"type": "object"}
    assert wire(UserMessage(session_id="s", content="hello"))["content"] == "hello"


def test_each_message_refers_to_a_schema_that_is_there():
    document = printed("--asyncapi")
    assert document == asyncapi()
    schemas = document["components"]["schemas"]
    assert {
        message["payload"]["$ref"].rpartition("/")[2] for message in document["components"]["messages"].values()
    } <= {*schemas}
    assert json.dumps(document).count("#/$defs/") == 0
    Draft202012Validator(
        {"$ref": "#/components/schemas/FinalAnswer", "components": document["components"]}
    ).check_schema(schemas["FinalAnswer"])


@pytest.mark.slow
def test_the_parser_of_asyncapi_finds_nothing_wrong():
    if not PARSER.exists():
        lacking("@asyncapi/parser is not installed: run `make console`")
    document = asyncapi(host="agents.example.com", path="/chat", secure=True)
    found = subprocess.run(
        [program("node"), str(ROOT / "tests/support/asyncapi_parser.mjs")],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    read = json.loads(found.stdout)
    assert read["problems"] == []
    assert set(read["messages"]) == {kind.__name__ for kind in MESSAGES}
