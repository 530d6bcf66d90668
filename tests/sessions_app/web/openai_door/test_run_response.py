"""Logs in, events of OpenAI's Responses API out: each at every reading the same, wherever a client resumes."""

from __future__ import annotations

import random
import uuid
from copy import deepcopy

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myagent.protocol.error_codes import ProtocolError
from sessions_app.web.openai_door.responses.response_ids import EVENTS_OF_ONE, ResponseId
from sessions_app.web.openai_door.responses.response_object import ResponseHead
from sessions_app.web.openai_door.responses.run_response import RunResponse
from tests.support.response_reducer import ENDS, ResponseReducer
from tests.support.run_logs import LOGS, RUN, answer, call, final, frame, pieces, question, result, said, step, thought


def numbered(log):
    """The log as it is stored: each event has a number; there are gaps, where other events are."""
    return [{**one, "seq": 3 + 2 * place} for place, one in enumerate(deepcopy(log))]


def response_of(part=1, known=-1, schema=None):
    head = ResponseHead(id=ResponseId(uuid.UUID(RUN), part), session_id="s-1", model="m", schema=schema)
    return RunResponse(head, known=known)


def events_of(log, part=1, **options):
    response = response_of(part, **options)
    # As they are at that moment, whatever becomes of the items that they tell of.
    return [orjson.loads(orjson.dumps(event)) for one in log for event in response.take(one)], response


def parts_of(log):
    """The events of each part of a run."""
    parts = []
    while (told := events_of(log, len(parts) + 1))[1].exists:
        parts.append(told[0])
    return parts


def kinds(events):
    return [event["type"].removeprefix("response.") for event in events]


def pieces_of_answer(log):
    """The places of what is deleted when an answer is compacted, the newest first, as they are deleted."""
    if log[-1]["event"] != "agent.final_answer":
        return []
    at, found = len(log) - 2, []
    while log[at]["event"] != "agent.step_reset" and log[at]["metadata"].get("index") is not None:
        if log[at]["event"] == "agent.partial_answer":
            found.append(at)
        at -= 1
    return found


def cuts_of(events):
    """Where a client is cut off: everywhere, but in long ones rather in the end."""
    return [*range(1, len(events), 1 + len(events) // 60), *range(max(1, len(events) - 20), len(events) + 1)]


def check(log):
    """What has to be true of every log."""
    log = numbered(log)
    for part, events in enumerate(parts_of(log), start=1):
        client = ResponseReducer()
        client.take(events)
        assert kinds(events)[0] == "created" and client.is_over, "it has an end"
        again, response = events_of(log, part)
        assert again == events and response.told() == client.settled
        for cut in cuts_of(events):
            rest, _ = events_of(log, part, known=events[cut - 1]["sequence_number"])
            assert rest == events[cut:], "live and replayed are the same"
        check_compacted(log, part, events, client)


def check_compacted(log, part, events, whole):
    """Whoever has read up to anywhere, and resumes when some or all pieces are deleted, ends with the same."""
    doomed = pieces_of_answer(log)
    for count in {1, len(doomed) // 2, len(doomed)} if doomed else ():
        left = [one for at, one in enumerate(log) if at not in doomed[:count]]
        fresh, response = events_of(left, part)
        assert response.told()["output"] == whole.settled["output"]
        assert fresh[-1] == events[-1], "its number, too"
        for cut in cuts_of(events):
            client = ResponseReducer()
            client.take(events[:cut])
            rest, _ = events_of(left, part, known=events[cut - 1]["sequence_number"])
            client.take(rest)
            assert client.is_over and client.response == whole.response
            for index, joined in client.deltas.items():
                words = client.items[index]["content"][0]["text"]
                assert whole.deltas[index].startswith(joined) or joined == words, "nothing twice"


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
def test_every_kind_of_run(log):
    check(log)


def random_log(chance: random.Random):
    """A run with everything, as the server would log it."""
    log, number = [said()], 0
    for number in range(1, chance.randint(1, 3)):
        log += _spoken(chance, number)
        names = [f"k{number}-{at}" for at in range(chance.choice((1, 1, 2, 3, 9)))]
        log += [call(number, name, a=name) for name in names]
        log += _done(chance, names)
    log += _spoken(chance, number + 1)
    ends = [
        final("".join(one["content"] for one in log if one.get("step_id") == f"t{number + 1}")),
        final("other words"),
        final("cut", finish="length"),
        frame("agent.interrupted", "Cancelled.", reason="user"),
        frame("agent.error", "No.", code="internal_error"),
    ]
    return [*log, chance.choice(ends)]


def _spoken(chance, number):
    log = [step(number)]
    for is_last in (False,) * chance.randint(0, 2) + (True,):
        log += thought(number, *"xy"[: chance.randint(0, 2)])
        texts = [chance.choice(("a ", "", "b")) for _ in range(chance.randint(0, 4))]
        spoken = pieces(number, *texts, is_whole=is_last)
        log += [{**one, "step_id": f"t{number}"} if is_last else {**one, "step_id": "void"} for one in spoken]
        if not is_last:
            log.append(frame("agent.step_reset", step=number, reason="stream_cut"))
    return log


def _done(chance, names):
    """The calls side by side: some ask, and are answered or not; all have results."""
    lanes = []
    for name in names:
        asks = chance.randint(0, 2)
        lane = [
            one
            for at in range(asks)
            for one in (question(f"q{name}-{at}", name), *([answer(f"q{name}-{at}")] if chance.random() < 0.7 else []))
        ]
        lanes.append([*lane, result(name, status=chance.choice(("success", "failed", "declined")))])
    if chance.random() < 0.3:  # a hook asks, about no call
        lanes.append([question(f"q{names[0]}-h", "")] + [answer(f"q{names[0]}-h")] * chance.randint(0, 1))
    log = []
    while lanes:
        lane = chance.choice(lanes)
        log.append(lane.pop(0))
        lanes = [one for one in lanes if one]
    return log


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_run(chance):
    check(random_log(chance))


@given(st.randoms(use_true_random=False))
def test_nothing_is_lost_between_the_parts(chance):
    log = numbered(random_log(chance))
    told = [event for events in parts_of(log) for event in events]
    numbers = [event["sequence_number"] for event in told]
    assert numbers == sorted(set(numbers))
    done = {event["item"]["id"] for event in told if event["type"] == "response.output_item.done"}
    assert {f"mcp_{one['step_id']}" for one in log if one["event"] == "agent.tool_result"} <= done
    assert {f"mcpr_{one['step_id']}" for one in log if one["event"] == "agent.user_confirm"} <= done
    assert told[-1]["type"] in ENDS and not any("function_call" in event["type"] for event in told)


def test_an_answer_with_reasoning():
    events, response = events_of(numbered(LOGS["reasoning"]))
    assert kinds(events) == [
        *("created", "queued", "in_progress"),
        *("output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.delta"),
        *("reasoning_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done", "completed"),
    ]
    told = response.told()
    assert (told["status"], told["output"][1]["phase"], told["output"][1]["content"][0]["text"]) == (
        *("completed", "final_answer", "a"),
    )
    assert told["usage"] == {
        "input_tokens": 4,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 6,
    }
    assert [event["sequence_number"] // EVENTS_OF_ONE for event in events[:4]] == [3, 3, 5, 7]


def test_void_text_is_left_out_of_the_whole():
    events, response = events_of(numbered(LOGS["reset"]))
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [item["status"] for item in done] == ["completed", "incomplete", "completed", "completed"]
    assert [part["text"] for item in response.told()["output"] for part in item["content"]] == ["good", "right"]


def test_a_question_ends_one_response_and_its_answer_begins_the_next():
    log = numbered(LOGS["questions"])
    first, second, third = (told for told in parts_of(log))
    assert kinds(first)[-3:] == ["output_item.added", "output_item.done", "completed"]
    asked = first[-1]["response"]["output"][-1]
    assert (asked["id"], asked["name"], asked["arguments"]) == ("mcpr_q1", "add", '{"a":1}')
    assert second[-1]["response"]["output"][0]["id"] == "mcpr_q2", "the other one, which is still open"
    assert second[-1]["response"]["previous_response_id"] == f"resp_{RUN}_1"
    calls = {item["id"]: item for item in third[-1]["response"]["output"] if item["type"] == "mcp_call"}
    assert (calls["mcp_k1"]["approval_request_id"], calls["mcp_k1"]["output"]) == ("mcpr_q1", "3")
    assert (calls["mcp_k2"]["status"], calls["mcp_k2"]["error"]["content"][0]["text"]) == (
        "failed",
        "no answer in time",
    )
    assert not events_of(log, 4)[1].exists


def test_a_call_that_waits_is_in_the_response_that_has_its_result():
    """Clients take a call in a response that is over for one that was run."""
    log = [said(), step(1), call(1, "k1"), call(1, "k2"), question("q1", "k1"), answer("q1"), result("k1")]
    events, first = events_of(numbered(log))
    assert [item["id"] for item in first.told()["output"]] == ["mcpr_q1"]
    shown = [(item["id"], item.get("status")) for item in events[-1]["response"]["output"]]
    assert shown == [("mcp_k1", "in_progress"), ("mcp_k2", "in_progress"), ("mcpr_q1", None)], "they had begun"
    told = events_of(numbered([*log, result("k2")]), 2)[1].told()
    assert [item["id"] for item in told["output"]] == ["mcp_k1", "mcp_k2"]


def test_what_is_open_is_asked_again_when_another_question_is_answered():
    log = [said(), step(1), call(1, "k1"), call(1, "k2"), question("q1", "k1"), question("q2", "k2"), answer("q2")]
    events, response = events_of(numbered(log), 2)
    assert [item["id"] for item in response.told()["output"]] == ["mcpr_q2"]
    log += [answer("q1"), result("k2")]
    assert kinds(events_of(numbered(log), 3)[0])[-1] == "output_item.done"
    log = [*log[:4], question("q1", "k1"), question("q2", "k2"), answer("q1"), result("k1"), answer("q1")]
    again = events_of(numbered(log), 3)[1].told()["output"]
    assert [item["id"] for item in again] == ["mcp_k1", "mcpr_q2"]


def test_a_part_does_not_exist_before_its_question_is_answered():
    log = numbered([said(), step(1), call(1, "k1"), call(1, "k2"), question("q1", "k1"), result("k2"), answer("q1")])
    assert events_of(log[:5])[1].is_over
    assert not events_of(log[:6], 2)[1].exists
    response = events_of(log, 2)[1]
    assert response.exists and response.told()["status"] == "in_progress"


def test_a_hook_asks_about_an_answer_that_was_shown():
    """Both responses have the answer: the one that asks about it, and the one that gives it."""
    shown = [said(), step(1), *pieces(1, "a ", "b", is_whole=False)]
    log = numbered([*shown, question("q1", ""), answer("q1"), *pieces(1, ""), final("a b")])
    first, second = parts_of(log)
    texts = [
        [item["content"][0]["text"] for item in told[-1]["response"]["output"] if "content" in item]
        for told in (first, second)
    ]
    assert texts == [["a b"], ["a b"]]
    # Nobody has answered in time, which no event says: the run goes on.
    lapsed = parts_of(numbered([*shown, question("q1", ""), step(2), *pieces(2, "ok"), final("ok")]))
    assert [kinds(told)[-1] for told in lapsed] == ["completed", "completed"]


def test_an_answer_that_has_to_be_a_value():
    log = numbered([said(), step(1), *pieces(1, '{"a"'), final("- a: 1", output={"a": 1})])
    events, response = events_of(log, schema={"type": "object"})
    assert response.told()["output"][0]["content"][0]["text"] == '{"a":1}'
    assert "".join(event.get("delta", "") for event in events) == '{"a":1}'
    told = events_of([*log[:-1], {**log[-1], **final("I may not.", finish="refused")}], schema={})[1].told()
    assert told["output"][0]["content"] == [{"type": "refusal", "refusal": "I may not."}]


@pytest.mark.parametrize(
    ("name", "event", "status"),
    [("cancelled", "incomplete", "cancelled"), ("failed", "failed", "failed"), ("limit", "completed", "completed")],
)
def test_how_runs_end(name, event, status):
    events, response = events_of(numbered(LOGS[name]))
    assert (kinds(events)[-1], response.told()["status"]) == (event, status)
    if status == "failed":
        assert response.told()["error"] == {"code": "llm_not_configured", "message": "No model."}


def test_an_answer_that_was_cut_off_and_a_session_that_is_deleted():
    log = numbered([said(), step(1), *pieces(1, "a"), final("a", finish="length")])
    told = events_of(log)[1].told()
    assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    events, response = events_of(log[:-1])
    (gone,) = response.gone("It was deleted.", "session_not_found")
    assert gone["sequence_number"] > events[-1]["sequence_number"] and response.is_over
    assert (gone["type"], gone["response"]["error"]["code"]) == ("response.failed", "session_not_found")


def test_names_of_responses():
    name = f"resp_{RUN}_12"
    assert str(ResponseId.parse(name)) == name
    for wrong in ("", "resp_", f"resp_{RUN}", f"resp_{RUN}_0", f"resp_{RUN}_01", f"x_{RUN}_1", f"resp_{RUN.upper()}_1"):
        with pytest.raises(ProtocolError):
            ResponseId.parse(wrong)
