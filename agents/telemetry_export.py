"""Sends the spans of traced agents, and the metrics of all, where OpenTelemetry's own variables say, as an operator
expects of any server.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from agents.conf import Config
from myagent.daemon_threads import run_in_daemon_thread

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import SpanExporter

logger = logging.getLogger("myagent.telemetry")

SERVICE_NAME = "myagent"
STOP_SECONDS = 3.0
"""How long what is left may take on its way; a collector that does not answer must not hold up the exit."""
_MISSING = (
    "OpenTelemetry's variables ask for %s, but %s is not installed: nothing is sent. "
    "Install it with: pip install 'myagent[otel]'%s"
)


def start_telemetry(config: Config) -> None:
    """Set OpenTelemetry up, once, as far as the variables ask for it and nobody else has set it up already."""
    for what, how, set_up in (
        ("spans", config.telemetry, _send_spans),
        ("metrics", config.telemetry_metrics, _send_metrics),
    ):
        if how == "off":
            continue
        try:
            set_up(how)
        except ImportError as error:
            more = " opentelemetry-exporter-otlp-proto-grpc" if how == "otlp-grpc" else ""
            logger.warning(_MISSING, what, error.name, more)


# What follows imports late because all of it is an extra. Raises `ImportError` where a package is not there.


def _send_spans(how: str) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = _span_exporter(how)
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        logger.info("OpenTelemetry is set up already; its own configuration says where spans are sent.")
        return
    # Not at exit by itself: that would wait for a collector that does not answer.
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    logger.info("Spans of traced agents are sent by %s.", type(exporter).__module__)


def _send_metrics(how: str) -> None:
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    from myagent.tracing.otel_metrics import is_set_up

    exporter = _metric_exporter(how)
    if is_set_up(metrics.get_meter_provider()):
        logger.info("OpenTelemetry is set up already; its own configuration says where metrics are sent.")
        return
    reader = PeriodicExportingMetricReader(exporter)
    metrics.set_meter_provider(MeterProvider([reader], resource=_resource(), shutdown_on_exit=False))
    logger.info("Metrics of agents are sent by %s.", type(exporter).__module__)


def _resource() -> Resource:
    from opentelemetry.sdk.resources import SERVICE_NAME as NAME
    from opentelemetry.sdk.resources import Resource

    resource = Resource.create()  # by OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
    if str(resource.attributes.get(NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({NAME: SERVICE_NAME}))
    return resource


def _span_exporter(how: str) -> SpanExporter:
    match how:
        case "console":
            from opentelemetry.sdk.trace.export import ConsoleSpanExporter

            return ConsoleSpanExporter()
        case "otlp-grpc":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter

            grpc: SpanExporter = GrpcExporter()
            return grpc
        case _:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            return OTLPSpanExporter()


def _metric_exporter(how: str) -> MetricExporter:
    match how:
        case "console":
            from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

            return ConsoleMetricExporter()
        case "otlp-grpc":
            from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter

            grpc: MetricExporter = GrpcExporter()
            return grpc
        case _:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

            return OTLPMetricExporter()


async def stop_telemetry(config: Config) -> None:
    """Send what is left, for a little while."""
    if config.telemetry == config.telemetry_metrics == "off":
        return
    try:
        from opentelemetry import metrics, trace
    except ImportError:
        return
    providers = (trace.get_tracer_provider(), metrics.get_meter_provider())
    ends = [end for provider in providers if (end := getattr(provider, "shutdown", None)) is not None]
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await asyncio.gather(*(run_in_daemon_thread(end) for end in ends))
    except TimeoutError:
        logger.warning("The last spans and metrics could not be sent within %g s.", STOP_SECONDS)
