"""`ask` and the questions that nobody answers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from myagent.client import ServerFrame
from myagent.testing import turn
from myagent.testing.turn import ask


def frame(event, step_id=None, content="", **metadata):
    return ServerFrame(event=event, step_id=step_id, content=content, metadata={"run_id": "r", **metadata})


CALLED = frame("agent.tool_call", "c1")
ANSWER = frame("agent.final_answer", content="done")


def question(seconds=300.0):
    about = {"tool_name": "wipe", "timeout_seconds": seconds, "call_step_id": "c1"}
    return frame("agent.user_confirm", "q1", "Allow it?", **about)


class FakeClient:
    """A client whose server says these frames, the last ones once a question is answered; a number is a pause."""

    def __init__(self, *frames, after=()):
        self.answers = []
        self._frames = list(frames)
        self._after = list(after)
        self._changed = asyncio.Event()

    async def create_session(self):
        return "s"

    async def say(self, session_id, content, **options):
        return SimpleNamespace(run_id="r")

    async def respond(self, session_id, step_id, confirmed):
        self.answers.append((step_id, confirmed))
        self._frames += self._after
        self._changed.set()

    async def wait_for(self, wanted):
        while self._frames and isinstance(self._frames[0], float):
            await asyncio.sleep(self._frames.pop(0))
        while not self._frames:
            self._changed.clear()
            await self._changed.wait()
        return self._frames.pop(0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(turn, "QUESTION_SECONDS", 0.2)


async def test_a_question_that_nobody_answers_is_told_at_once():
    with pytest.raises(AssertionError) as caught:
        await ask(FakeClient(CALLED, question()), "Wipe it")
    words = str(caught.value)
    assert "'wipe' asks and waits" in words and "Allow it?" in words and "confirm=True" in words
    assert words.endswith("Until then came: agent.tool_call, agent.user_confirm.")


async def test_other_events_do_not_hide_the_question():
    other = frame("agent.tool_result", "c2")
    with pytest.raises(AssertionError, match="'wipe' asks"):
        await ask(FakeClient(question(), other), "Wipe it")


async def test_one_that_another_client_answers():
    client = FakeClient(question(), 0.01, CALLED, 0.4, ANSWER)
    assert (await ask(client, "Wipe it")).answer == "done"
    assert client.answers == []


async def test_one_that_ends_by_itself_is_waited_for():
    declined = frame("agent.tool_result", "c1")
    assert (await ask(FakeClient(question(1.0), 0.4, declined, ANSWER), "Wipe it")).answer == "done"


@pytest.mark.parametrize("confirm", [True, False])
async def test_one_that_is_answered(confirm):
    client = FakeClient(question(), after=[ANSWER])
    assert (await ask(client, "Wipe it", confirm=confirm)).answer == "done"
    assert client.answers == [("q1", confirm)]


async def test_a_run_without_an_end():
    with pytest.raises(AssertionError, match=r"did not end within 0\.1 s\. Until then came: agent\.tool_call"):
        await ask(FakeClient(CALLED), "hi", seconds=0.1)
