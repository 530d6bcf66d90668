"""Setting OpenTelemetry up for a server: only when asked for, only once, never holding up the exit."""

from __future__ import annotations

import sys
import threading

import pytest

from agents import telemetry_export as telemetry
from agents.conf import Config
from agents.telemetry_export import start_telemetry, stop_telemetry
from tests.support.services import module

trace = module("opentelemetry.sdk.trace", extra="otel")


@pytest.fixture
def provider(monkeypatch):
    """Holds the global provider of this test alone."""
    from opentelemetry import trace as api

    held = [api.ProxyTracerProvider()]
    monkeypatch.setattr(api, "get_tracer_provider", lambda: held[-1])
    monkeypatch.setattr(api, "set_tracer_provider", held.append)
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    yield held
    for made in held[1:]:
        made.shutdown()


async def test_nothing_is_set_up_unless_asked_for(provider):
    start_telemetry(Config())
    await stop_telemetry(Config())
    assert len(provider) == 1


@pytest.mark.parametrize(("given", "name"), [(None, "myagent"), ("forecast", "forecast")])
async def test_the_service_has_a_name(provider, monkeypatch, given, name):
    if given:
        monkeypatch.setenv("OTEL_SERVICE_NAME", given)
    start_telemetry(Config(telemetry="console"))
    assert provider[-1].resource.attributes["service.name"] == name


async def test_what_somebody_else_set_up_is_left_alone(provider):
    provider.append(trace.TracerProvider())
    start_telemetry(Config(telemetry="otlp"))
    assert len(provider) == 2


@pytest.mark.parametrize(
    ("how", "missing", "cure"),
    [
        ("otlp", "opentelemetry.exporter.otlp.proto.http.trace_exporter", "pip install 'myagent[otel]'\n"),
        ("otlp-grpc", "opentelemetry.exporter.otlp.proto.grpc", "opentelemetry-exporter-otlp-proto-grpc\n"),
    ],
)
async def test_a_missing_package_is_told_with_the_cure(provider, monkeypatch, caplog, how, missing, cure):
    monkeypatch.setitem(sys.modules, missing, None)
    start_telemetry(Config(telemetry=how))
    assert len(provider) == 1
    assert caplog.text.endswith(cure)


@pytest.fixture
def meters(monkeypatch):
    """Holds the global provider of metrics of this test alone."""
    from opentelemetry import metrics

    held = [metrics.NoOpMeterProvider()]
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: held[-1])
    monkeypatch.setattr(metrics, "set_meter_provider", held.append)
    yield held
    for made in held[1:]:
        made.shutdown()


async def test_metrics_are_set_up_by_themselves_and_once(provider, meters, caplog):
    start_telemetry(Config(telemetry_metrics="otlp"))
    start_telemetry(Config(telemetry_metrics="otlp"))
    assert (len(provider), len(meters)) == (1, 2)
    assert meters[-1]._sdk_config.resource.attributes["service.name"] == "myagent"


async def test_a_collector_that_does_not_answer_does_not_hold_up_the_exit(provider, monkeypatch, caplog):
    monkeypatch.setattr(telemetry, "STOP_SECONDS", 0.05)
    stuck = threading.Event()

    class Stuck(trace.TracerProvider):
        def shutdown(self):
            stuck.wait(30)

    provider.append(Stuck(shutdown_on_exit=False))
    await stop_telemetry(Config(telemetry="otlp"))
    assert "could not be sent" in caplog.text
    stuck.set()
