"""What is given as `llm=` and is no model."""

from __future__ import annotations

import sys

import pytest

from myagent import Agent, AgentDefinitionError, DemoLLM, OpenAILLM, create_react_agent, i18n
from myagent.llm.usable import unusable_llm
from myagent.testing import ScriptedLLM


@pytest.fixture(autouse=True)
def english():
    language = i18n._language
    i18n.use_language("en")
    yield
    i18n.use_language(language)


class Model:
    """A model of an author's own, as the protocol wants it."""

    model = "mine"

    async def stream(self, messages, *, tools=()):
        yield ""


class Lazy(Model):
    @property
    def model(self):
        raise AssertionError("asked at definition")


class Named(Model):
    def __init__(self):
        self.model = "named"


class WithMore(Model):
    async def stream(self, messages, tools=(), **more):
        yield ""


class Wrapped(Model):
    def stream(self, *args, **options):
        return Model().stream(*args, **options)


def changed(name, **members):
    return type(name, (Model,), members)()


def generator(self, messages, *, tools=()):
    yield ""


async def coroutine(self, messages, *, tools=()):
    return ""


async def without_tools(self, messages):
    yield ""


@pytest.mark.parametrize("model", [Model, Lazy, Named, WithMore, Wrapped, DemoLLM, OpenAILLM])
def test_what_is_a_model(model):
    assert unusable_llm(model()) is None
    assert unusable_llm(ScriptedLLM([])) is None


@pytest.mark.parametrize("model", [Model, Named, DemoLLM, OpenAILLM, ScriptedLLM])
def test_a_class_is_shown_with_its_parentheses(model):
    assert f"llm={model.__name__}()" in unusable_llm(model)


@pytest.mark.parametrize(
    ("llm", "words"),
    [
        (5, "an object of the class int: it has no text 'model'"),
        ({"model": "gpt-4o", "api_key": "sk-secret"}, "an object of the class dict"),
        (lambda messages: "hi", "a function"),
        (changed("Other", stream=None), "it has no method 'stream'"),
        (changed("Other", model=None), "it has no text 'model'"),
        (changed("Other", stream=generator), "no async generator"),
        (changed("Other", stream=coroutine), "no async generator"),
        (changed("Other", stream=without_tools), "does not take (messages, *, tools=())"),
    ],
)
def test_what_is_none(llm, words):
    problem = unusable_llm(llm)
    assert words in problem and "OpenAILLM" in problem
    assert "secret" not in problem


def test_a_coroutine_that_makes_one():
    async def make(): ...

    assert "an async function" in unusable_llm(make())


@pytest.mark.parametrize(
    ("module", "maker"),
    [("openai", "openai"), ("langchain_openai.chat_models.base", "LangChain"), ("anthropic", "Anthropic")],
)
def test_clients_of_others_are_told_what_takes_their_place(module, maker):
    client = type("Client", (), {"__module__": module})
    for llm in (client, client()):
        problem = unusable_llm(llm)
        assert f"something of {maker}" in problem and "base_url" in problem


def test_a_real_client_and_its_module():
    from openai import AsyncOpenAI

    assert "something of openai" in unusable_llm(AsyncOpenAI(api_key="sk-secret"))
    assert "something of openai" in unusable_llm(sys.modules["openai"])


def test_a_model_by_its_name():
    assert create_react_agent(name="a", llm="gpt-4o").llm.model == "gpt-4o"
    with pytest.raises(AgentDefinitionError, match=r'OpenAILLM\("gpt-4o"\)'):
        Agent(name="a", llm="gpt-4o")
    for make in (create_react_agent, Agent):
        with pytest.raises(AgentDefinitionError, match="names no model"):
            make(name="a", llm=" ")


def test_an_agent_refuses_it():
    with pytest.raises(AgentDefinitionError, match=r"llm=Model\(\)"):
        create_react_agent(name="a", llm=Model)
