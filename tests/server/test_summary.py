"""An agent that summarises what does not fit, on a real server, also after a restart."""

from __future__ import annotations

import asyncio

import pytest

from myagent.loop.summary import PROMPT
from tests.conftest import connected
from tests.support.conversation import ended, happens, only, turn, whole_log
from tests.support.model_replies import smart, text

SERVER = {"files": ("summarizing.py",)}
LENGTH = 300


def asks_for_summary(body):
    return body["messages"][0]["content"] == PROMPT


@pytest.fixture
def summaries(model):
    """The requests for summaries so far; the model answers them with their number."""
    asked = []

    def answer(body):
        if not asks_for_summary(body):
            return smart(body)
        asked.append(body)
        return text(f"minutes {len(asked)}")

    before, model.default = model.default, answer
    yield asked
    model.default = before


def long_message(number):
    return f"number {number} " + "x" * LENGTH


async def talk(client, session_id, turns, begin=0):
    """So many long messages; returns the final answers."""
    return [(await turn(client, session_id, long_message(begin + number)))[-1] for number in range(turns)]


def contents(request):
    return [message["content"] for message in request.messages]


async def test_old_messages_are_summarised_and_stay_stored(server, client, model, summaries):
    session_id = await client.create_session()
    finals = await talk(client, session_id, 8)
    assert 1 <= len(summaries) < 4, "not with every message"
    assert not any("tools" in body for body in summaries)
    costs = [final.metadata["usage"]["llm_calls"] for final in finals]
    assert sum(costs) == 8 + len(summaries) and set(costs) == {1, 2}
    # The model is sent the newest summary in place of the first messages.
    sent = contents(model.requests[-1])
    assert sent[0] == "Be kind." and f"minutes {len(summaries)}" in sent
    assert not any(content.startswith("number 0 ") for content in sent)
    assert sent[-1] == long_message(7)
    # Clients notice nothing of it, and everything is there.
    log = await whole_log(server, session_id)
    assert not any("minutes" in str(frame.content) for frame in log)
    assert [frame.content for frame in log if frame.event == "user.message"] == list(map(long_message, range(8)))
    exported = await client.request({"event": "user.request_state", "session_id": session_id})
    assert exported.metadata["message_count"] == 16


async def test_the_summary_survives_a_restart_and_is_renewed_from_itself(server, model, summaries):
    async with connected(server) as client:
        session_id = await client.create_session()
        while not summaries:
            await talk(client, session_id, 1)
    for stop in (server.kill, server.terminate):
        await asyncio.to_thread(stop)
        if stop == server.terminate:
            await asyncio.to_thread(server.wait_exit)
        await asyncio.to_thread(server.start)
        before = len(summaries)
        async with connected(server) as client:
            await talk(client, session_id, 1)
            assert len(summaries) == before, "the stored one is used"
            assert f"minutes {before}" in contents(model.requests[-1])
            while len(summaries) == before:
                await talk(client, session_id, 1)
            told = summaries[-1]["messages"][1]["content"]
            assert told.startswith(f"Summary of what came before:\nminutes {before}\n\n")


async def test_a_cancel_while_the_summary_is_written(server, client, model, summaries):
    turns = 0
    other_id = await client.create_session()
    while not summaries:
        await talk(client, other_id, 1, begin=turns)
        turns += 1
    session_id = await client.create_session()
    await talk(client, session_id, turns - 1)
    stuck = text("never said", hang=1)
    model.script(stuck)
    run = await client.say(session_id, long_message(turns - 1))
    await happens(stuck.gate.entered)
    assert asks_for_summary(model.requests[-1].body)
    await client.cancel(session_id)
    assert (await client.wait_for(ended(run.run_id))).event == "agent.interrupted"
    await happens(model.requests[-1].disconnected)
    # Nothing of it was kept: the next message asks for a summary again.
    final = (await turn(client, session_id, "hi"))[-1]
    assert final.event == "agent.final_answer" and len(summaries) == 2
    log = await whole_log(server, session_id)
    assert only(log, "agent.interrupted").run_id == run.run_id
