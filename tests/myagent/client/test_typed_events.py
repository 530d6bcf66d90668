"""Frames as classes: every event there is, and those of servers that are newer than this client."""

from __future__ import annotations

import json

import pytest

from myagent.client import ServerFrame, UnknownEvent
from myagent.protocol import direct_events, server_events
from tests.support.markdown import blocks

EXAMPLES = blocks("docs/protocol.md", mark="server")


def frame(event="agent.tool_result", **keys) -> ServerFrame:
    return ServerFrame.parse(json.dumps({"event": event, **keys}))


RESULT = {"run_id": "r", "tool": "add", "status": "success", "duration_ms": 3}


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: f"{block.heading}, line {block.line}")
def test_every_event_of_the_protocol_has_its_class(block):
    example = json.loads(block.text)
    event = ServerFrame.parse(block.text).typed()
    assert not isinstance(event, UnknownEvent)
    module = server_events if "seq" in example else direct_events
    assert type(event).__module__ == module.__name__
    expected = {key: value for key, value in example["metadata"].items() if key != "request_id" or "seq" in example}
    assert event.metadata.model_dump(exclude_none=True) == expected
    assert (event.event, event.step_id, event.content) == (
        example["event"], example.get("step_id"), example["content"],
    )  # fmt: skip


def test_a_class_can_be_matched():
    match frame(seq=1, session_id="s", step_id="x", content="3", metadata=RESULT).typed():
        case server_events.ToolReturned(content=text, metadata=metadata):
            assert (text, metadata.status, metadata.duration_ms) == ("3", "success", 3)
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({"event": "agent.error", "seq": 1, "metadata": {"run_id": "r", "code": "x"}}, server_events.RunFailed),
        ({"event": "agent.error", "metadata": {"code": "x", "request_id": "q"}}, direct_events.RequestError),
        (
            {"event": "agent.interrupted", "seq": 1, "metadata": {"run_id": "r", "reason": "u"}},
            server_events.Interrupted,
        ),
        ({"event": "agent.interrupted", "metadata": {"reason": "idle"}}, direct_events.NothingInterrupted),
    ],
)
def test_the_end_of_a_run_and_a_refusal_are_two_classes(keys, kind):
    assert isinstance(frame(content="", **keys).typed(), kind)


def test_keys_and_words_of_later_versions_are_no_error():
    metadata = RESULT | {"status": "postponed", "cost": {"eur": 1}}
    event = frame(seq=1, step_id="x", content="3", metadata=metadata, new_key=[1]).typed()
    assert isinstance(event, server_events.ToolReturned)
    assert event.metadata.status == "postponed"
    assert not hasattr(event.metadata, "cost")


def test_nested_keys_of_later_versions_are_no_error():
    usage = {"input_tokens": 1, "output_tokens": 2, "llm_calls": 3, "cached_tokens": 4}
    metadata = {"run_id": "r", "steps": 1, "duration_ms": 2, "usage": usage, "finish": "bored"}
    event = frame("agent.final_answer", seq=9, content="x", metadata=metadata).typed()
    assert isinstance(event, server_events.FinalAnswer)
    assert (event.metadata.usage.llm_calls, event.metadata.finish) == (3, "bored")


@pytest.mark.parametrize(
    "keys",
    [
        {"event": "agent.dreaming", "seq": 4, "content": {"a": 1}, "metadata": {"depth": 2}},
        {"event": "agent.tool_result", "seq": 4, "content": "3", "metadata": {"depth": 2}},
        {"event": "agent.tool_result", "content": "3", "metadata": {"depth": 2}},
    ],
    ids=["no such event", "fields are missing", "not logged"],
)
def test_what_is_not_known_can_still_be_used(keys):
    event = frame(**keys).typed()
    assert isinstance(event, UnknownEvent)
    assert (event.event, event.content) == (keys["event"], keys["content"])
    assert event.metadata.depth == 2


@pytest.mark.parametrize("text", ["[]", "1", '"x"', "{}", '{"event": 1}', "no json"])
def test_what_is_no_frame_is_refused(text):
    with pytest.raises(ValueError):
        ServerFrame.parse(text)


def test_the_raw_frame_is_kept():
    text = '{"event": "agent.thinking", "later": 1}'
    assert ServerFrame.parse(text).raw == ServerFrame.parse(text.encode()).raw == text
