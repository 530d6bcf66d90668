"""Errors of a model's endpoint in the shapes in use: the session lives on, and the words reach who can act on them."""

from __future__ import annotations

import json

import pytest

from tests.conftest import connected
from tests.support.backstage import Backstage
from tests.support.conversation import kinds, turn, whole_log
from tests.support.model_replies import Raw, Status, smart, text, tools

JSON = "application/json"
NOW = {"Retry-After": "0"}


@pytest.fixture(autouse=True)
def sound_model(model):
    """Whatever a test does to the model, the next one finds it in order."""
    yield
    model.default = smart


async def answers(client, session_id):
    end = (await turn(client, session_id, "and now?"))[-1]
    # What was not answered before stands in the same message.
    assert end.event == "agent.final_answer" and end.content.endswith("and now?")


def body(value, kind=JSON):
    return Raw(json.dumps(value).encode(), kind)


SAID = {
    "llm_unavailable": [
        (body({"code": 1113, "msg": "the account is in arrears", "success": False}), "in arrears"),
        (body({"base_resp": {"status_code": 1004, "status_msg": "who are you"}, "choices": None}), "who are you"),
        (body({"errors": [{"code": 7003, "message": "no route here"}], "success": False}), "no route here"),
        (Raw(b"error: the worker fell over\n\n"), "fell over"),
        (Raw(b"upstream connect error: no healthy host", "text/plain"), "no healthy host"),
        (Status(429, "the quota is used up; see billing", "insufficient_quota"), "see billing"),
    ],
    "llm_rejected": [
        (body({"code": "InvalidParameter", "message": "no such voice"}), "no such voice"),
        (body({"error_type": "invalid_model", "error_message": "no model of that name"}), "no model of that name"),
        (Raw(b'error: {"code":400,"message":"it has no eyes","type":"invalid_request_error"}\n\n'), "no eyes"),
        (body([{"error": {"code": 400, "message": "not this", "status": "INVALID_ARGUMENT"}}]), "not this"),
        (Status(400, body='[{"error": {"code": 400, "message": "the first part"}}]'), "the first part"),
    ],
    "llm_not_found": [
        (Status(404, body='{"success": false, "errors": [{"code": 1, "message": "gone fishing"}]}'), "fishing"),
    ],
    "context_overflow": [
        (Raw(b'data: {"error": {"message": "the prompt has 9000 tokens, more than the 8192 that fit"}}\n\n'), "9000"),
        (Status(500, "Context size has been exceeded."), "Context size"),
    ],
}


@pytest.mark.parametrize(
    ("behaviour", "code", "words"),
    [(behaviour, code, words) for code, said in SAID.items() for behaviour, words in said],
    ids=[words for said in SAID.values() for _behaviour, words in said],
)
async def test_an_error_is_asked_once_and_quoted_to_the_local_user(server, client, model, behaviour, code, words):
    model.script(behaviour)
    session_id = await client.create_session()
    frames = await turn(client, session_id, "hi")
    assert (frames[-1].event, frames[-1].code) == ("agent.error", code), frames[-1]
    assert words in frames[-1].content
    assert kinds(frames) == ["agent.thinking", "agent.error"]
    assert len(model.requests) == 1
    await answers(client, session_id)
    log = await whole_log(server, session_id)
    assert [frame.content for frame in log if frame.event == "agent.error"] == [frames[-1].content]


async def test_everybody_else_reads_a_sentence_without_the_endpoints_words(server, client, model):
    token = server.manage("createtoken", "ann", "--create-user").strip()
    model.script(Status(401, "key of tenant 4711 at 10.0.0.7 is wrong"))
    async with connected(server, token=token) as ann:
        session_id = await ann.create_session()
        frames = await turn(ann, session_id, "hi")
        assert (frames[-1].event, frames[-1].code) == ("agent.error", "llm_auth")
        assert frames[-1].content == "The model does not let this server in."
    with Backstage(server) as backstage:
        stored = backstage.do(f"result = Run.objects.get(session='{session_id}').error_detail")
        logged = backstage.do(
            f"result = list(Event.objects.filter(session='{session_id}').values_list('frame', flat=True))"
        )
    assert "tenant 4711" in stored and "OPENAI_API_KEY" in stored and model.url in stored
    assert not any("4711" in frame or "OPENAI" in frame or model.url in frame for frame in logged)
    server.wait_log("tenant 4711")


async def test_the_client_is_told_that_the_model_makes_it_wait(server, client, model):
    model.script(Status(429, "slowly", headers={"Retry-After": "1"}), text("here I am"))
    session_id = await client.create_session()
    accepted = await client.say(session_id, "hi")
    notice = await client.wait_for(lambda frame: frame.metadata.get("action") == "waiting_for_model")
    assert notice.event == "system.notice" and notice.session_id == session_id and notice.seq is None
    assert notice.metadata["seconds"] == 1 and notice.metadata["run_id"] == accepted.run_id
    assert (await client.wait_for(lambda frame: frame.ends_run)).content == "here I am"
    assert not any(frame.event == "system.notice" for frame in await whole_log(server, session_id))


async def test_what_is_too_long_is_asked_again_with_less(server, client, model):
    session_id = await client.create_session()
    for number in range(4):
        await turn(client, session_id, f"{number} " + "a long story " * 200)
    refusal = {"code": 20015, "message": "length of prompt_tokens (48000) must be less than max_seq_len (32768)."}

    def strict(body):
        said = sum(len(str(message["content"])) for message in body["messages"])
        return Status(400, body=json.dumps(refusal)) if said > 7_000 else text("in short")

    model.default = strict
    frames = await turn(client, session_id, "and in one sentence?")
    assert frames[-1].content == "in short"
    assert model.requests[-1].messages[-1]["content"] == "and in one sentence?"


async def test_results_of_the_run_itself_are_shortened(server, client, model):
    def strict(body):
        if sum(len(str(message["content"])) for message in body["messages"]) > 6_000:
            return Status(400, "Your request exceeded model token limit: 2048")
        return text("enough")

    model.script(tools(("big", {"size": 4_000})), tools(("big", {"size": 4_100})), strict, strict, strict)
    session_id = await client.create_session()
    frames = await turn(client, session_id, "read both")
    assert frames[-1].content == "enough", frames[-1]
    older, newer = [message["content"] for message in model.requests[-1].messages if message["role"] == "tool"]
    assert older.startswith("xxx") and "shortened" in older and len(older) < 1_000
    assert newer.count("x") > older.count("x")


async def test_a_refusal_of_what_was_not_sent_is_told(server, client, model):
    model.script(Status(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."))
    session_id = await client.create_session()
    frames = await turn(client, session_id, "hi")
    assert frames[-1].code == "llm_rejected" and len(model.requests) == 1
    await answers(client, session_id)
