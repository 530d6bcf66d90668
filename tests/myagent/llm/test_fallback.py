"""A list of models at real endpoints: when the next one is asked, and how often a dead one is."""

from __future__ import annotations

import asyncio

import pytest

from myagent import OpenAILLM
from myagent.exceptions import LLMAuthError, LLMUnavailable, StreamCut
from myagent.llm import TextChunk
from myagent.llm.fallback import FallbackLLM
from myagent.messages import Message
from tests.support.conversation import happens
from tests.support.held_port import held_port
from tests.support.model_replies import Silence, Status, smart, text
from tests.support.model_server import ModelServer

pytestmark = pytest.mark.usefixtures("in_english")

NOW = {"Retry-After": "0"}
HI = [Message.user("hi")]


@pytest.fixture(scope="module")
def second():
    with ModelServer() as server:
        yield server


@pytest.fixture
async def llm(model, second):
    """Two models; the breaker of each dies with them."""
    model.reset()
    second.reset()
    model.default = smart
    models = FallbackLLM([reached(model, "first"), reached(second, "second")])
    yield models
    await models.aclose()
    model.default = smart


def reached(server, name, **options):
    return OpenAILLM(name, api_key="sk-test", base_url=server.url, **options)


async def answer(llm):
    return "".join([chunk.text async for chunk in llm.stream(HI) if isinstance(chunk, TextChunk)])


@pytest.mark.parametrize(
    ("status", "asked"),
    [(Status(500, headers=NOW), 3), (Status(429, headers=NOW), 3), (Status(503, "Loading model", headers=NOW), 3)],
)
async def test_what_passes_by_itself(llm, model, second, status, asked):
    model.default = lambda body: status
    assert await answer(llm) == await answer(llm) == "You said: hi"
    assert (len(model.requests), len(second.requests)) == (asked, 2)
    assert [breaker.is_open for breaker in llm.breakers] == [True, False]


async def test_an_endpoint_that_is_not_there(second):
    with held_port() as port:
        llm = FallbackLLM(
            [OpenAILLM("x", api_key="k", base_url=f"http://127.0.0.1:{port}/v1"), reached(second, "second")]
        )
        assert await answer(llm) == "You said: hi"
        await llm.aclose()


async def test_a_silence_is_waited_for_once(model, second, llm):
    model.script(silent := Silence())
    quick = FallbackLLM([reached(model, "silent", timeout=0.3), reached(second, "second")])
    assert await answer(quick) == "You said: hi" and len(model.requests) == 1
    silent.gate.open()
    await quick.aclose()


async def test_a_bad_key(llm, model, second):
    model.default = lambda body: Status(401, "bad key")
    for _time in range(2):
        with pytest.raises(LLMAuthError):
            await answer(llm)
    assert len(model.requests) == 2 and not second.requests


async def test_a_probe_is_one_request(llm, model, second, monkeypatch):
    model.default = lambda body: Status(500, headers=NOW)
    await answer(llm)
    monkeypatch.setattr(llm.breakers[0], "_next_probe", 0.0)
    assert await answer(llm) == "You said: hi"
    assert len(model.requests) == 4, "three of the first time, and a probe that is not repeated"
    monkeypatch.setattr(llm.breakers[0], "_next_probe", 0.0)
    model.default = smart
    await answer(llm)
    assert len(model.requests) == 5 and not llm.breakers[0].is_open


async def test_a_silent_probe_holds_nobody_up_for_long(llm, model, second, monkeypatch):
    llm.breakers[0].failed()
    monkeypatch.setattr(llm.breakers[0], "_next_probe", 0.0)
    monkeypatch.setattr("myagent.llm.breaker._LEAST_PATIENCE", 0.3)
    model.script(silent := Silence())
    assert await answer(llm) == "You said: hi"  # the first one's own patience is five minutes
    silent.gate.open()


async def test_who_waits_to_ask_again_gives_up_with_the_others(llm, model, second):
    """It was refused before the model was found dead, and its wait ends after that."""
    model.script(Status(500, headers={"Retry-After": "2"}))
    waits = asyncio.create_task(answer(llm))
    request = await asyncio.to_thread(model.request)
    await happens(request.finished)
    llm.breakers[0].failed()
    assert await waits == "You said: hi"
    assert len(model.requests) == 1


async def test_all_are_dead(llm, model, second):
    model.default = second.default = lambda body: Status(500, headers=NOW)
    with pytest.raises(LLMUnavailable):
        await answer(llm)
    with pytest.raises(LLMUnavailable, match="None of the models first, second answers"):
        await answer(llm)
    assert (len(model.requests), len(second.requests)) == (3, 3)
    second.default = smart


async def test_nothing_is_mixed(llm, model, second):
    model.script(text("one two three", cut=2))
    with pytest.raises(StreamCut):
        await answer(llm)
    assert not second.requests, "what was given out cannot be taken back here"
