"""Logs in, chunks of the AI SDK out: every kind of event, in an order that the SDK takes."""

from __future__ import annotations

import pytest

from sessions_app.web.chat.run_chunks import RunChunks
from sessions_app.web.chat.ui_messages import UiMessages
from tests.support.run_logs import LOGS, RUN


def told(log):
    run = RunChunks(RUN)
    return [run.begun(), *(chunk for frame in log for chunk in run.take(frame))]


def message_of(log):
    held = UiMessages()
    for frame in log:
        held.take(frame)
    return next(one for one in held.messages if one["role"] == "assistant")


def texts(message):
    return [part["text"] for part in message["parts"] if part["type"] == "text"]


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
def test_the_order_is_one_that_the_sdk_takes(log):
    """What `process-ui-message-stream.ts` of `ai` 7 throws for."""
    opened, calls, approvals, is_in_step = set(), set(), set(), False
    *chunks, last = told(log)
    for chunk in chunks:
        match chunk:
            case {"type": "start-step" | "finish-step" as kind}:
                assert is_in_step == (kind == "finish-step") and not opened
                is_in_step = not is_in_step
            case {"type": "reset-step"}:
                opened.clear()
            case {"type": "text-start" | "reasoning-start", "id": name}:
                assert name not in opened
                opened.add(name)
            case {"type": "text-delta" | "reasoning-delta", "id": name}:
                assert name in opened and chunk["delta"]
            case {"type": "text-end" | "reasoning-end", "id": name}:
                opened.remove(name)
            case {"type": "tool-input-available", "toolCallId": name}:
                assert chunk["dynamic"] and chunk["providerExecuted"], "the client would have to answer it"
                calls.add(name)
            case {"type": "tool-approval-request", "toolCallId": name}:
                assert name in calls
                approvals.add(chunk["approvalId"])
            case {"type": "tool-approval-response", "approvalId": name}:
                assert name in approvals
            case {"type": str(kind), "toolCallId": name} if kind.startswith("tool-output-"):
                assert name in calls
        assert None not in chunk.values() and chunk["type"] not in ("finish", "error")
    assert not opened and not is_in_step and last["type"] in ("finish", "error")


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
def test_the_text_ends_with_the_answer(log):
    end = log[-1]
    if end["event"] == "agent.final_answer" and end["content"]:
        assert "".join(texts(message_of(log))).endswith(end["content"])


def test_void_text_is_gone():
    message = message_of(LOGS["reset"])
    assert [(one["type"], one.get("text")) for one in message["parts"]] == [
        ("step-start", None),
        ("reasoning", "good"),
        ("text", "right"),
    ]
    assert texts(message_of(LOGS["restart in the second step"])) == ["right"]
    assert texts(message_of(LOGS["other than the pieces"])) == ["c"]


def test_questions_end_an_answer_when_no_other_call_is_going():
    log, run = LOGS["questions"], RunChunks(RUN)
    for frame in log[:5]:
        run.take(frame)
    assert run.interrupted() == [], "the second call has neither asked nor a result"
    run.take(log[5])
    assert [chunk["type"] for chunk in run.interrupted()] == ["finish-step", "finish"]
    (heard,) = run.take(log[6])
    assert heard == {"type": "tool-approval-response", "approvalId": "q1", "approved": True}
    assert run.interrupted() == []
    run.take(log[7])
    assert run.interrupted()[-1]["finishReason"] == "tool-calls"
    assert run.take(log[8]) == [{"type": "tool-output-denied", "toolCallId": "k2"}]
    assert run.interrupted() == [], "its time was up"


def test_a_client_is_not_told_the_answers_that_it_brings():
    """It has them, and version 6 of the SDK knows no chunk for them."""
    log, run = LOGS["questions"], RunChunks(RUN, brought={"q1"})
    told = [chunk for frame in log for chunk in run.take(frame)]
    assert not any(chunk["type"] == "tool-approval-response" for chunk in told)
    assert [chunk["toolCallId"] for chunk in told if chunk["type"].startswith("tool-output-")] == ["k1", "k2"]


def test_how_runs_end():
    ends = {name: told(log)[-1] for name, log in LOGS.items()}
    assert ends["text"]["finishReason"] == "stop" and ends["limit"]["finishReason"] == "other"
    assert ends["structured"]["messageMetadata"]["output"] == {"a": 1}
    assert ends["cancelled"]["finishReason"] == "interrupted"
    assert ends["failed"] == {"type": "error", "errorText": "No model."}


def test_messages_of_users_and_their_files():
    held = UiMessages()
    for frame in LOGS["files"]:
        held.take(frame)
    parts = held.messages[0]["parts"]
    assert parts[1] == {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,aGk="}
    named = {"mediaType": "text/plain", "url": "/api/files/f", "filename": "a.txt"}
    assert parts[3] == {"type": "file", **named}
    tool = next(part for part in message_of(LOGS["tools"])["parts"] if part.get("toolCallId") == "k1")
    assert (tool["state"], tool["errorText"]) == ("output-error", "no")
