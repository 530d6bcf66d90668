"""OpenTelemetry's metrics of a run, by its conventions, of agents that are not traced, too."""

from __future__ import annotations

import sys

import pytest

from myagent import create_react_agent
from myagent.exceptions import LLMAuthError
from myagent.llm import Usage
from myagent.testing import Say, ScriptedLLM, call, cut
from myagent.tracing import otel_metrics
from tests.myagent.tracing.test_opentelemetry import Clock, weather
from tests.support.services import module

sdk = module("opentelemetry.sdk.metrics", extra="otel")


@pytest.fixture
def measured(monkeypatch):
    """What a provider that is there for one test has counted: its points, by name."""
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = sdk.MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: provider)

    def points():
        (resource,) = reader.get_metrics_data().resource_metrics
        (scope,) = resource.scope_metrics
        return {metric.name.removeprefix("gen_ai."): (metric.unit, metric.data.data_points) for metric in scope.metrics}

    return points


async def test_what_a_run_leaves(measured):
    script = [
        cut("half"),
        Say(calls=[call("weather", city="Paris"), call("nonsense")], usage=Usage(10, 5, 1, reasoning_tokens=3)),
        Say(text="Sunny.", usage=Usage(7, 2, 1, cached_input_tokens=4)),
    ]
    llm = Clock(script)
    assert await create_react_agent(name="forecast", tools=[weather], llm=llm).arun("Weather?") == "Sunny."
    points = measured()
    chat = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "scripted",
        "server.address": "models.example",
        "server.port": 443,
    }
    unit, seconds = points["client.inference.duration"]
    assert unit == "s" and tuple(seconds[0].explicit_bounds) == otel_metrics.SECONDS
    counts = {point.attributes.get("error.type"): point.count for point in seconds}
    assert counts == {None: 2, "stream_cut": 1} and chat.items() <= dict(seconds[0].attributes).items()
    tokens = {
        name.removeprefix("client.inference.usage."): [point.value for point in found]
        for name, (_, found) in points.items()
        if ".usage." in name
    }
    assert tokens == {
        "input_tokens": [17],
        "output_tokens": [7],
        "cache_read.input_tokens": [4],
        "cache_write.input_tokens": [0],
        "reasoning.output_tokens": [3],
    }
    ((_, (size,)), (_, (calls,)), (_, (requests,)), (_, (whole,))) = (
        points[name]
        for name in (
            "client.inference.operation.input_tokens",
            "invoke_agent.tool_calls",
            "invoke_agent.inference_calls",
            "invoke_agent.duration",
        )
    )
    assert (size.count, size.sum, calls.sum, requests.sum, whole.count) == (2, 17, 2, 3, 1)
    assert whole.attributes["gen_ai.agent.name"] == "forecast" and "error.type" not in whole.attributes
    ran = [dict(point.attributes) for point in points["execute_tool.duration"][1]]
    tools = {about["gen_ai.tool.name"]: about for about in ran}
    assert tools.keys() == {"weather", "unknown"} and tools["unknown"]["error.type"] == "failed"
    assert points["client.inference.time_to_first_chunk"][1][0].count >= 1


async def test_failures_have_their_code(measured):
    with pytest.raises(LLMAuthError):
        await create_react_agent(llm=ScriptedLLM([LLMAuthError("The key is wrong.")])).arun("hi")
    points = measured()
    for name in ("client.inference.duration", "invoke_agent.duration"):
        assert [point.attributes["error.type"] for point in points[name][1]] == ["llm_auth"]


async def test_without_a_provider_nothing_is_counted(monkeypatch):
    agent, llm = create_react_agent(), ScriptedLLM()
    assert otel_metrics.genai_metrics(agent, llm, lambda request: None) is None
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    assert otel_metrics.genai_metrics(agent, llm, lambda request: None) is None
