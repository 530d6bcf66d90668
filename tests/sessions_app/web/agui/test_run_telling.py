"""Logs in, events of AG-UI out: every kind of event, and a client that is cut off and joins again anywhere."""

from __future__ import annotations

from copy import deepcopy

import pytest

from sessions_app.web.agui.run_telling import RunTelling, started
from sessions_app.web.agui.thread_messages import ThreadMessages
from sessions_app.web.newest_runs import MAX_SNAPSHOT_BYTES
from tests.support.agui_reducer import Reducer
from tests.support.run_logs import LOGS, RUN, final, said


def told(log):
    """The events of a whole run, its client's messages, and the telling."""
    run, client = RunTelling(RUN), Reducer([user_of(log)])
    events = [started()]
    for one in log:
        events += run.take(one)
    client.take(events)
    return events, client, run


def user_of(log):
    run = RunTelling(RUN)
    run.take(log[0])
    return deepcopy(run.messages[0])


def kinds(events):
    return [event["type"] for event in events]


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
def test_a_client_holds_what_the_server_would_tell_one_that_comes_later(log):
    events, client, run = told(log)
    assert client.messages == run.messages
    assert events[-1].items() >= run.end.items() and not client.is_running
    assert all(isinstance(event["timestamp"], int) for event in events[1:])


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
def test_whoever_is_cut_off_anywhere_and_joins_again_has_the_same(log):
    whole = told(log)[1].messages
    for cut in range(1, len(log)):
        run, client = RunTelling(RUN), Reducer([user_of(log)])
        client.take([started()])
        for one in log[: cut // 2]:
            client.take(run.take(one))
        client.lose_connection()
        again = RunTelling(RUN)
        for one in log[:cut]:
            again.take(one)
        if again.questions or again.end is not None:
            continue  # there the answer ends, and is looked at below
        client.take(again.joined())
        for one in log[cut:]:
            client.take(again.take(one))
        assert client.messages == whole, f"cut before {log[cut]}"


def test_questions_end_the_answer_together_and_are_told_again():
    log, run = LOGS["questions"], RunTelling(RUN)
    for one in log[:6]:
        run.take(one)
    joined = run.joined()
    Reducer().take(joined)
    assert kinds(joined)[:2] == ["RUN_STARTED", "MESSAGES_SNAPSHOT"]
    first, second = joined[-1]["outcome"]["interrupts"]
    assert (first["id"], first["toolCallId"], second["id"]) == ("q1", "k1", "q2")
    assert first["reason"] == "tool_call" and first["expiresAt"] == "2026-01-31T12:05:05.000Z"
    run.take(log[6])
    assert [one["id"] for one in run.questions.values()] == ["q2"]
    run.take(log[7])
    run.take(log[8])  # its time was up
    assert not run.questions and run.interrupted() == []


def test_how_runs_end():
    ends = {name: told(log)[0][-1] for name, log in LOGS.items()}
    usage = {"inputTokens": 4, "outputTokens": 2, "cachedInputTokens": 1, "model": "m", "totalTokens": 6}
    assert ends["text"]["usage"] == [usage] and ends["text"]["outcome"] == {"type": "success"}
    assert ends["structured"]["result"] == {"a": 1} and "result" not in ends["text"]
    assert ends["limit"]["metadata"]["limit"]["which"] == "max_steps"
    assert ends["refused"]["metadata"]["finish"] == "refused"
    assert ends["cancelled"]["outcome"] == {"type": "cancelled"}
    assert (ends["failed"]["type"], ends["failed"]["code"]) == ("RUN_ERROR", "llm_not_configured")


def test_what_is_said_as_messages():
    parts = told(LOGS["files"])[1].messages[0]["content"]
    assert parts[1]["source"] == {"type": "data", "value": "aGk=", "mimeType": "image/png"}
    assert parts[2]["source"] == {"type": "url", "value": "/api/files/1"}
    assert parts[3]["source"] == {"type": "file", "value": "f", "provider": "myagent", "mimeType": "text/plain"}
    held = told(LOGS["tools"])[1].messages
    assert [one["role"] for one in held] == ["user", "assistant", "tool", "tool", "assistant"]
    assert held[1]["toolCalls"][1]["function"] == {"name": "add", "arguments": '{"a":"ö"}'}
    assert (held[3]["content"], held[3]["metadata"]["status"]) == ("no", "failed")
    assert told(LOGS["terminate"])[1].messages[-1] == {"id": f"{RUN}:answer", "role": "assistant", "content": "bye"}


def test_progress_is_an_activity_that_is_replaced_in_place():
    events = told(LOGS["tools"])[0]
    (shown,) = [event for event in events if event["type"] == "ACTIVITY_SNAPSHOT"]
    assert shown["content"] == {"text": "half", "toolCallId": "k2", "percent": 50}
    run = RunTelling(RUN)
    for one in LOGS["tools"][:6]:
        run.take(one)
    assert "ACTIVITY_SNAPSHOT" in kinds(run.joined())
    run.take(LOGS["tools"][6])
    assert "ACTIVITY_SNAPSHOT" not in kinds(run.joined())


def test_a_conversation_is_all_runs_in_their_order_as_far_as_it_fits():
    transcript = ThreadMessages()
    assert transcript.current is None
    for number in range(3):
        transcript.take(said(f"number {number}", f"m-{number}", f"run-{number}"))
    transcript.take({**final("done"), "metadata": {**final("done")["metadata"], "run_id": "run-0"}})
    assert transcript.current.run_id == "run-1"
    changed = [{"id": "m-1", "role": "user", "content": "changed"}]
    held = transcript.around("run-1", changed)
    assert [one["content"] for one in held] == ["number 0", "done", "changed", "number 2"]
    assert transcript.around("another", changed)[-1] == changed[0]
    transcript.take(said("x" * MAX_SNAPSHOT_BYTES, "m-3", "run-3"))
    transcript.take(said("newest", "m-4", "run-4"))
    assert [one["content"] for one in transcript.around("run-4", changed)] == ["changed"]
