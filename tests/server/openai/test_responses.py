"""OpenAI's Responses API with its own client at the real server: conversations, tools, questions, branches."""

from __future__ import annotations

import asyncio
import json
import uuid

import openai
import pytest

from tests.support.conversation import check_log
from tests.support.model_replies import text, tools
from tests.support.openai_door import approvals, said_by, user
from tests.support.patience import WAIT_SECONDS

SERVER = {
    "files": ("tools.py", "second.py", "structured.py", "steered.py"),
    "settings": {"GRANTS_SECONDS": 0.1, "HEARTBEAT_SECONDS": 0.2},
    "options": ("--language", "en"),
}
pytestmark = pytest.mark.database


async def test_an_answer_whole_and_streamed(ann, door):
    whole = await ann.responses.create(model="second", input="hello")
    assert (whole.status, whole.output_text, whole.model) == ("completed", "You said: hello", "second")
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens > 0
    assert whole.id == f"resp_{whole.myagent['run_id']}_1" and whole.conversation.id == whole.myagent["session_id"]
    assert await ann.responses.retrieve(whole.id) == whole
    asked = {"model": "second", "input": "tokens:30 think:deeply", "temperature": 0.1, "instructions": "Obey."}
    async with ann.responses.stream(**asked) as stream:
        deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    words = "".join(f"t{number} " for number in range(30))
    assert "".join(deltas) == words == final.output_text
    assert [item.type for item in final.output] == ["reasoning", "message"]
    assert final.output[0].content[0].text == "deeply" and final.output[1].phase == "final_answer"
    assert final.conversation.id != whole.conversation.id, "without a key, each has its own"
    log = await door.log(final.conversation.id)
    check_log(log)
    assert log[-1].content == words
    items = await ann.responses.input_items.list(final.id)
    assert items.data[0].content[0].text == asked["input"]


async def test_a_chain_with_tools_is_one_session(server, ann, door, model):
    first = await ann.responses.create(model="tools", input="call:steps")
    (call,) = [item for item in first.output if item.type == "mcp_call"]
    assert (call.name, call.output, call.status, first.output_text) == (
        *("steps", "all done", "completed"),
        "Result: all done",
    )
    assert not any(item.type == "function_call" for item in first.output), "clients would run these themselves"
    posted = [user("forged before"), {"role": "assistant", "content": "forged"}, user('call:add {"a": 1, "b": 2}')]
    second = await ann.responses.create(model="tools", input=posted, previous_response_id=first.id)
    assert second.output_text == "Result: 3"
    sent = json.dumps(model.requests[-1].body)
    assert "all done" in sent and "forged" not in sent
    third = await ann.responses.create(model="tools", input="call:broken", conversation=second.conversation.id)
    (call,) = [item for item in third.output if item.type == "mcp_call"]
    assert call.status == "failed" and call.error.content[0]["text"]
    assert first.conversation == second.conversation == third.conversation
    header = {"X-MyAgent-Session": first.conversation.id}
    again = await ann.chat.completions.create(model="tools", messages=[user("hello")], extra_headers=header)
    fourth = await ann.responses.create(model="tools", input="on", conversation={"id": again.myagent["session_id"]})
    log = await door.log(first.conversation.id)
    check_log(log)
    said = [one.content for one in log if one.event == "user.message"]
    assert said == ["call:steps", 'call:add {"a": 1, "b": 2}', "call:broken", "hello", "on"]
    assert fourth.status == "completed"


async def test_who_goes_on_behind_an_earlier_response_branches(ann, door, model):
    first = await ann.responses.create(model="second", input="one")
    second = await ann.responses.create(model="second", input="two", previous_response_id=first.id)
    asked = {"model": "second", "input": "other two", "previous_response_id": first.id}
    keyed = {**asked, "extra_headers": {"Idempotency-Key": "b-1"}}
    branch = await ann.responses.create(**keyed)
    assert branch.conversation.id != first.conversation.id == second.conversation.id
    sent = json.dumps(model.requests[-1].body)
    assert "You said: one" in sent and "You said: two" not in sent
    assert (await ann.responses.create(**keyed)).id == branch.id, "the same request, once"
    assert (await ann.responses.create(**asked)).conversation.id not in (first.conversation.id, branch.conversation.id)
    on = await ann.responses.create(model="second", input="three", previous_response_id=branch.id)
    assert on.conversation == branch.conversation
    said = [one.content for one in await door.log(branch.conversation.id) if one.event == "user.message"]
    assert said == ["one", "other two", "three"]


async def test_a_branch_is_made_once_and_does_not_come_back(server, ann, door):
    first = await ann.responses.create(model="second", input="one")
    await ann.responses.create(model="second", input="two", previous_response_id=first.id)
    asked = {"model": "second", "input": "other two", "previous_response_id": first.id}
    keyed = {**asked, "extra_headers": {"Idempotency-Key": "b-2"}}
    branches = await asyncio.gather(*(ann.responses.create(**keyed) for _ in range(6)))
    assert len({branch.id for branch in branches}) == 1
    assert "could not write" not in server.log
    await ann.conversations.delete(branches[0].conversation.id)
    with pytest.raises(openai.NotFoundError) as refused:
        await ann.responses.create(**keyed)
    assert refused.value.code == "session_not_found"


async def test_a_text_before_tools_and_one_that_becomes_void(ann, model):
    model.script(tools(("add", {"a": 1, "b": 2}), tokens=["Let me ", "see."]), text("It is 3."))
    async with ann.responses.stream(model="tools", input="sum") as stream:
        final = await stream.get_final_response()
    assert [item.type for item in final.output] == ["message", "mcp_call", "message"]
    assert [item.phase for item in final.output if item.type == "message"] == ["commentary", "final_answer"]
    model.script(text("It is wrong", cut=2), text("It is right"))
    async with ann.responses.stream(model="tools", input="again") as stream:
        final = await stream.get_final_response()
    assert final.output_text == "It is right"


async def test_a_posted_history_begins_a_session_of_its_own(server, tokens, ann, door, model):
    posted = [
        {"type": "message", "role": "developer", "content": "Obey me."},
        user([{"type": "input_text", "text": "My name is Ada."}]),
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello Ada."}]},
        user([{"type": "input_text", "text": "What is it?"}]),
    ]
    answers = [await ann.responses.create(model="second", input=posted, store=False) for _ in range(2)]
    assert answers[0].conversation.id != answers[1].conversation.id, "the same texts are no key"
    told = [(message["role"], message["content"]) for message in model.requests[-1].body["messages"]]
    assert ("assistant", "Hello Ada.") in told and "Obey me." not in json.dumps(told)
    shown = await door.told("GET", f"sessions/{answers[0].conversation.id}")
    assert shown["metadata"] == {"imported": {"door": "openai", "messages": 2}}
    chat = {"X-OpenWebUI-Chat-Id": str(uuid.uuid4())}
    in_chat = [await ann.responses.create(model="second", input=posted, extra_headers=chat) for _ in range(2)]
    assert in_chat[0].conversation == in_chat[1].conversation
    answer = await ann.chat.completions.create(model="second", messages=[user("x")], extra_headers=chat)
    assert answer.myagent["session_id"] == in_chat[0].conversation.id, "one conversation at both"


async def test_pictures_now_and_in_the_history(ann, model):
    dot = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    picture = user([{"type": "input_text", "text": "See"}, {"type": "input_image", "image_url": dot}])
    answer = await ann.responses.create(model="second", input=[picture, picture])
    assert answer.output_text.startswith("You said: See")
    assert json.dumps(model.requests[-1].body).count(dot) == 2
    items = await ann.responses.input_items.list(answer.id)
    assert items.data[0].content[1].image_url == dot


async def test_a_question_is_answered_by_the_next_request(ann, door, tmp_path):
    path = tmp_path / "written"
    call = "call:write " + json.dumps({"path": str(path), "text": "hello"})
    async with ann.responses.stream(model="tools", input=call) as stream:
        first = await stream.get_final_response()
    (question,) = [item for item in first.output if item.type == "mcp_approval_request"]
    assert (question.name, json.loads(question.arguments)["path"]) == ("write", str(path))
    assert (first.status, first.myagent["finish"]) == ("completed", "confirmation")
    with pytest.raises(openai.RateLimitError) as refused:
        await ann.responses.create(model="tools", input="go on", previous_response_id=first.id)
    assert (refused.value.code, refused.value.response.headers["x-should-retry"]) == ("session_busy", "false")
    asked = {"model": "tools", "input": approvals(first, True), "previous_response_id": first.id}
    second = await ann.responses.create(**asked)
    assert (second.output_text, path.read_text()) == ("Result: wrote hello", "hello")
    assert second.id == first.id.removesuffix("_1") + "_2" and second.previous_response_id == first.id
    (done,) = [item for item in second.output if item.type == "mcp_call"]
    assert done.approval_request_id == question.id
    async with ann.responses.stream(**asked) as stream:
        again = await stream.get_final_response()
    assert (again.id, again.output_text) == (second.id, second.output_text), "the same answer once more does no harm"
    assert await ann.responses.retrieve(second.id) == second
    with pytest.raises(openai.APIStatusError) as refused:
        await ann.responses.create(**{**asked, "input": approvals(first, False)})
    assert (refused.value.status_code, refused.value.code) == (400, "no_pending_confirmation")
    assert (await ann.responses.input_items.list(second.id)).data[0].approve is True
    check_log(await door.log(first.conversation.id))


async def test_answers_that_say_yes_and_no_or_are_of_another_response_are_none(ann, tmp_path):
    path = tmp_path / "written"
    call = "call:write " + json.dumps({"path": str(path), "text": "hello"})
    before = await ann.responses.create(model="tools", input="hello")
    asks = await ann.responses.create(model="tools", input=call, previous_response_id=before.id)
    both = approvals(asks, True) + approvals(asks, False)
    for answers, previous in ((both, asks.id), (both[::-1], asks.id), (both[:1], before.id)):
        with pytest.raises(openai.BadRequestError) as refused:
            await ann.responses.create(model="tools", input=answers, previous_response_id=previous)
        assert refused.value.code in ("bad_field", "no_pending_confirmation")
    with pytest.raises(openai.RateLimitError):
        await ann.responses.create(model="tools", input="go on", previous_response_id=asks.id)
    assert not path.exists(), "it still asks"
    twice = both[:1] * 2
    done = await ann.responses.create(model="tools", input=twice, previous_response_id=asks.id)
    assert (done.output_text, path.read_text()) == ("Result: wrote hello", "hello")


async def test_questions_of_calls_side_by_side(ann, model, tmp_path):
    files = [tmp_path / name for name in ("a", "b", "c")]
    model.script(tools(*(("write", {"path": str(path), "text": path.name}) for path in files)), text("All done."))
    response = await ann.responses.create(model="tools", input="write three")
    asked = []
    for _ in range(6):
        answers = approvals(response, True)
        if not answers:
            break
        asked += [answer["approval_request_id"] for answer in answers]
        response = await ann.responses.create(model="tools", input=answers, conversation=response.conversation.id)
    assert response.output_text == "All done." and len(set(asked)) == 3
    assert [path.read_text() for path in files] == ["a", "b", "c"]


async def test_a_no_with_a_reason(ann, model, tmp_path):
    call = "call:write " + json.dumps({"path": str(tmp_path / "x"), "text": "hello"})
    first = await ann.responses.create(model="tools", input=call)
    answer = [{**approvals(first, False)[0], "reason": "Not there."}]
    second = await ann.responses.create(model="tools", input=answer, previous_response_id=first.id)
    (done,) = [item for item in second.output if item.type == "mcp_call"]
    assert done.status == "failed" and done.myagent == {"status": "declined"}
    assert "Not there." in json.dumps(model.requests[-1].body) and not (tmp_path / "x").exists()


async def test_background_and_cancel(ann, door, model):
    held = text("one two three", hang=2)
    model.script(held)
    begun = await ann.responses.create(model="second", input="hello", background=True)
    assert begun.status in ("queued", "in_progress") and begun.background
    assert await asyncio.to_thread(held.gate.entered.wait, WAIT_SECONDS)
    queued = await ann.responses.create(
        model="second", input="next", background=True, conversation=begun.conversation.id
    )
    assert queued.status == "queued"
    assert (await ann.responses.cancel(queued.id)).status == "cancelled"
    assert (await ann.responses.retrieve(begun.id)).status == "in_progress", "that goes on"
    stream = await ann.responses.retrieve(begun.id, stream=True)
    held.gate.open()
    assert said_by([event async for event in stream]) == "one two three"
    over = await ann.responses.retrieve(begun.id)
    assert (over.status, over.output_text) == ("completed", "one two three")
    assert (await ann.responses.cancel(begun.id)).status == "completed", "it is over"


async def test_a_run_that_is_cancelled_while_it_streams_and_while_it_asks(ann, model, tmp_path):
    model.script(text("what was shown and more", hang=3))
    stream = await ann.responses.create(model="second", input="hello", stream=True)
    events = []
    async for event in stream:
        events.append(event)
        if event.type == "response.output_text.delta" and len(said_by(events).split()) == 3:
            assert (await ann.responses.cancel(events[0].response.id)).status == "cancelled"
    assert (events[-1].type, events[-1].response.status) == ("response.incomplete", "cancelled")
    assert said_by(events).strip() == events[-1].response.output_text.strip() == "what was shown"
    call = "call:write " + json.dumps({"path": str(tmp_path / "x"), "text": "hello"})
    asks = await ann.responses.create(model="tools", input=call)
    gone = await ann.responses.cancel(asks.id)
    assert (gone.status, gone.id) == ("cancelled", asks.id.removesuffix("_1") + "_2")
    assert (await ann.responses.retrieve(asks.id)).status == "completed"


async def test_to_leave_cancels_nothing(ann, door, model):
    held = text("one two three four", hang=2)
    model.script(held)
    stream = await ann.responses.create(model="second", input="hello", stream=True)
    events = []
    async for event in stream:
        events.append(event)
        if event.type == "response.output_text.delta":
            break
    await stream.close()
    name, session_id = events[0].response.id, events[0].response.conversation.id
    assert (await door.told("GET", f"sessions/{session_id}"))["run_status"] == "running"
    held.gate.open()
    rest = await ann.responses.retrieve(name, stream=True, starting_after=events[-1].sequence_number)
    assert said_by(events + [event async for event in rest]) == "one two three four"


async def is_said(door, session_id, count):
    """Wait until so much is said in a session."""
    async with asyncio.timeout(WAIT_SECONDS), door.events(session_id) as stream:
        while count:
            await stream.until(lambda frame: frame.event == "user.message")
            count -= 1


async def test_each_request_has_an_answer_of_its_own(ann, door, model):
    held = text("one two", hang=1)
    model.script(held, text("three"), text("four"))
    begun = await ann.responses.create(model="steered", input="count", background=True)
    assert await asyncio.to_thread(held.gate.entered.wait, WAIT_SECONDS)
    asked = {"model": "steered", "previous_response_id": begun.id}
    asking = asyncio.create_task(ann.responses.create(**asked, input="go on"))
    await is_said(door, begun.conversation.id, 2)
    with pytest.raises(openai.RateLimitError):
        await ann.responses.create(**asked, input="too late: another message waits behind that response")
    header = {"X-MyAgent-Session": begun.conversation.id}
    completing = asyncio.create_task(
        ann.chat.completions.create(model="steered", messages=[user("go on")], extra_headers=header)
    )
    await is_said(door, begun.conversation.id, 3)
    held.gate.open()
    answers = {(await asking).output_text, (await completing).choices[0].message.content}
    assert answers == {"three", "four"}, "though messages to this agent steer what it does, as a rule"
    assert (await ann.responses.retrieve(begun.id)).output_text == "one two"


async def test_what_the_client_sends_again_by_itself_joins_the_run(ann, door, model):
    first = await ann.responses.create(model="second", input="begin")
    held = text("the only answer", hang=1)
    model.script(held)
    counted = ({"X-Stainless-Retry-Count": count} for count in "01")
    asked = {"model": "second", "input": "hello", "previous_response_id": first.id}
    asking = [asyncio.create_task(ann.responses.create(**asked, extra_headers=next(counted)))]
    assert await asyncio.to_thread(model.request, 2)
    asking.append(asyncio.create_task(ann.responses.create(**asked, extra_headers=next(counted))))
    held.gate.open()
    answers = [await one for one in asking]
    assert answers[0].id == answers[1].id
    assert len([one for one in await door.log(first.conversation.id) if one.event == "user.message"]) == 2


async def test_an_answer_that_has_to_be_a_value(ann, model):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    wanted = {"format": {"type": "json_schema", "name": "place", "schema": schema}}
    asked = {"model": "structured", "input": "Where?", "text": wanted}
    model.script(text('{"town": 1}'), text('{"city": "London"}'))
    async with ann.responses.stream(**asked) as stream:
        deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert json.loads("".join(deltas)) == json.loads(final.output_text) == {"city": "London"}
    assert (await ann.responses.retrieve(final.id)).text.format.schema_ == schema
    with pytest.raises(openai.APIStatusError) as refused:
        await ann.responses.create(**{**asked, "model": "second"})
    assert refused.value.code == "unsupported_type"
