"""Sends the spans of traced agents where OpenTelemetry's own variables say, as an operator expects of any server."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from agents.conf import Config
from myagent.daemon_threads import run_in_daemon_thread

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

logger = logging.getLogger("myagent.telemetry")

SERVICE_NAME = "myagent"
STOP_SECONDS = 3.0
"""How long the last spans may take on their way; a collector that does not answer must not hold up the exit."""
_MISSING = (
    "OpenTelemetry's variables ask for spans, but %s is not installed: nothing is sent. "
    "Install it with: pip install 'myagent[otel]'%s"
)


def start_telemetry(config: Config) -> None:
    """Set OpenTelemetry up, once, unless the variables do not ask for it or somebody else has set it up already."""
    if config.telemetry == "off":
        return
    try:
        # Imported here because they are an extra.
        from opentelemetry import trace
        from opentelemetry.sdk.resources import SERVICE_NAME as NAME
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = _exporter(config.telemetry)
    except ImportError as error:
        more = " opentelemetry-exporter-otlp-proto-grpc" if config.telemetry == "otlp-grpc" else ""
        logger.warning(_MISSING, error.name, more)
        return
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        logger.info("OpenTelemetry is set up already; its own configuration says where spans are sent.")
        return
    resource = Resource.create()  # by OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
    if str(resource.attributes.get(NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({NAME: SERVICE_NAME}))
    # Not at exit by itself: that would wait for a collector that does not answer.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    logger.info("Spans of traced agents are sent by %s.", type(exporter).__module__)


def _exporter(how: str) -> SpanExporter:
    """Who sends. Raises `ImportError` when its package is not there."""
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


async def stop_telemetry(config: Config) -> None:
    """Send what is left, for a little while."""
    if config.telemetry == "off":
        return
    try:
        from opentelemetry import trace
    except ImportError:
        return
    shutdown = getattr(trace.get_tracer_provider(), "shutdown", None)
    if shutdown is None:
        return
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await run_in_daemon_thread(shutdown)
    except TimeoutError:
        logger.warning("The last spans could not be sent within %g s.", STOP_SECONDS)
