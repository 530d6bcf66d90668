"""`LLM(…)`, as files write it that were made for sections of a configuration."""

from types import SimpleNamespace

import pytest

from myagent import LLM, AgentDefinitionError, OpenAILLM

pytestmark = pytest.mark.usefixtures("in_english")
SECTION = {"model": "m", "api_key": "k", "base_url": "http://localhost:1/v1", "temperature": 0.1, "max_tokens": 5}


@pytest.mark.parametrize(
    ("given", "options", "model"),
    [
        ((), {}, "from-the-environment"),
        (("default",), {}, "from-the-environment"),
        ((), {"config_name": "weather"}, "from-the-environment"),
        (("m",), {}, "m"),
        ((), {"model": "m", "api_key": "k"}, "m"),
        ((), {"llm_config": SECTION}, "m"),
        ((), {"config_name": "x", "llm_config": SimpleNamespace(**SECTION, api_type="openai")}, "m"),
        ((), {"model": None}, "from-the-environment"),
    ],
)
def test_it_is_a_model(monkeypatch, given, options, model):
    monkeypatch.setenv("LLM_MODEL", "from-the-environment")
    made = LLM(*given, **options)
    assert isinstance(made, OpenAILLM)
    assert made.model == model


def test_unknown_options_are_refused():
    with pytest.raises(AgentDefinitionError, match=r"LLM\(\) has no option 'colour'. It knows: model, api_key"):
        LLM(colour="red")


def test_a_class_that_names_it_as_its_base_is_itself():
    class Own(LLM):
        model = "own"

        def __init__(self, word="x"):
            self.word = word

    assert type(Own(word="y")) is Own
    assert Own("z").word == "z"
