"""`myagent-ws check --model`: a handful of questions to the endpoint that is configured."""

from __future__ import annotations

import json

import pytest

from tests.myagent.cli.test_main import COMMAND, run
from tests.support.model_server import ModelServer, NoStreaming, NoStreamOptions, Status, text, tools


@pytest.fixture(scope="module")
def endpoint():
    with ModelServer() as server:
        yield server


def check(endpoint, folder, *options, **environment):
    known = {"OPENAI_API_KEY": "sk-test-key", "OPENAI_BASE_URL": endpoint.url, "LLM_MODEL": "m-1"} | environment
    return run([*COMMAND, "check", "--model", *options], folder, **known)


def sound(body):
    """What a model says that can do everything."""
    asked = next(message["content"] for message in reversed(body["messages"]) if message["role"] == "user")
    results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    if body["messages"][-1]["role"] == "tool":
        return text(results[-1])
    if "Rome" in asked:
        return tools(("city_code", {"city": "Oslo"}), ("city_code", {"city": "Rome"}))
    if "Oslo" in asked:
        return tools(("city_code", {"city": "Oslo"}))
    return text("ready")


def outcomes(checked):
    (model,) = json.loads(checked.stdout)["models"]
    return {finding["name"]: finding["outcome"] for finding in model["findings"]}


def test_everything_works(endpoint, tmp_path):
    endpoint.reset()
    endpoint.default = sound
    checked = check(endpoint, tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count("✅") == 6 and "❌" not in checked.stdout
    assert f"m-1  {endpoint.url}" in checked.stdout
    assert [bool(request.body.get("stream")) for request in endpoint.requests] == [False, *[True] * 5]
    assert "sk-test-key" not in checked.stdout


def test_what_is_got_around(endpoint, tmp_path):
    endpoint.reset()
    endpoint.default = lambda body: NoStreaming(reply) if (reply := sound(body)).tokens else reply
    checked = check(endpoint, tmp_path, "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert outcomes(checked)["streamed"] == "around"
    assert "no stream" in checked.stdout


def test_no_usage_is_told(endpoint, tmp_path):
    endpoint.reset()
    endpoint.default = lambda body: NoStreamOptions(sound(body))
    checked = check(endpoint, tmp_path)
    assert checked.returncode == 0
    assert "it takes no stream_options" in checked.stdout and "budgets count estimates" in checked.stdout


def test_a_model_that_calls_no_tools(endpoint, tmp_path):
    endpoint.reset()
    endpoint.default = lambda body: text("I would call city_code")
    checked = check(endpoint, tmp_path, "--json")
    assert checked.returncode == 1
    assert outcomes(checked) == {
        "plain": "works",
        "streamed": "works",
        "tool": "fails",
        "result": "skipped",
        "tools": "fails",
        "second": "works",
    }


def test_an_endpoint_that_refuses(endpoint, tmp_path):
    endpoint.reset()
    endpoint.default = lambda body: Status(401, "this key opens nothing")
    checked = check(endpoint, tmp_path)
    assert checked.returncode == 1
    assert "this key opens nothing" in checked.stdout and "OPENAI_API_KEY" in checked.stdout


def test_each_model_of_a_list(endpoint, tmp_path):
    endpoint.reset()
    endpoint.default = lambda body: Status(401, "no key") if body["model"] == "second" else sound(body)
    lines = ["from myagent import create_react_agent", 'agent = create_react_agent("both", llm=["first", "second"])']
    (tmp_path / "both.py").write_text("\n".join(lines))
    checked = check(endpoint, tmp_path, "--json", "both.py")
    assert checked.returncode == 1, checked.stdout + checked.stderr
    report = json.loads(checked.stdout)
    assert [model["model"] for model in report["models"]] == ["first", "second"]
    assert [{finding["outcome"] for finding in model["findings"]} for model in report["models"]][0] == {"works"}
    assert report["agents"][0]["model"] == "first → second"


def test_without_a_key(endpoint, tmp_path):
    checked = check(endpoint, tmp_path, OPENAI_API_KEY="")
    assert checked.returncode == 1
    assert "OPENAI_API_KEY" in checked.stdout and "Traceback" not in checked.stderr


def test_neither_a_file_nor_the_model(tmp_path):
    checked = run([*COMMAND, "check"], tmp_path)
    assert checked.returncode == 1 and "--model" in checked.stderr
