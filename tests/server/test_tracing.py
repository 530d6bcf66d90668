"""A traced agent on a real server: its spans are stored and survive a kill, and a collector gets them."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import asynccontextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from myagent.client import Client
from myagent.client.connection import SingleConnection
from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.conversation import PARTIAL, ended, turn
from tests.support.model_replies import Status, text, tools
from tests.support.services import module

messages = module("opentelemetry.proto.collector.trace.v1.trace_service_pb2", extra="otel")
metric_messages = module("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2", extra="otel")
TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

DUMP = """
import json
from sessions_app.models import Span
names = "run kind name step attempt epoch outcome finish error duration_ms first_token_ms input_tokens retries".split()
print(json.dumps([dict(zip(names, map(str, row))) for row in Span.objects.order_by("started_at").values_list(*names)]))
"""


class Collector(ThreadingHTTPServer):
    """What an operator lets spans be sent to."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans = []
        self.services = set()
        self.metrics = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def take(self, body):
        for resource in messages.ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services.add(
                {item.key: item.value.string_value for item in resource.resource.attributes}["service.name"]
            )
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def take_metrics(self, body):
        for resource in metric_messages.ExportMetricsServiceRequest.FromString(body).resource_metrics:
            self.metrics |= {metric.name for scope in resource.scope_metrics for metric in scope.metrics}


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces":
            self.server.take(body)
        else:
            assert self.path == "/v1/metrics"
            self.server.take_metrics(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def collector():
    with Collector() as collector:
        yield collector
        collector.shutdown()


@pytest.fixture
def server(tmp_path, model, collector):
    model.reset()
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        # Requests of the exporter must not wait for each other's proxies.
        "NO_PROXY": "*",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
    }
    with AgentServer(tmp_path, "traced.py", "second.py", model=model, environment=environment) as server:
        yield server


@asynccontextmanager
async def connected_within(server, traceparent):
    """A connection whose handshake says which trace it is part of."""
    async with connect(server.url, additional_headers={"traceparent": traceparent}) as socket:
        client = Client(SingleConnection(socket, None))
        await client.wait_for("system.connected")
        yield client
        with suppress(ConnectionClosed):
            await client.close()


def stored(server):
    """The spans in the database, by run, in order."""
    spans = {}
    for span in json.loads(server.manage("shell", "-c", DUMP).splitlines()[-1]):
        spans.setdefault(span.pop("run"), []).append(span)
    return spans


def facts(spans, *names):
    return [tuple(span[name] for name in names) for span in spans]


async def test_what_is_traced_of_a_conversation(server, model, collector, tmp_path):
    path = str(tmp_path / "acted")
    model.script(
        text("half of it", cut=2),
        Status(500, headers={"retry-after-ms": "1"}),
        tools(("again", {"path": path})),
        tools(("again", {"path": path}), ("note", {"word": "a"})),
        text("one two three", hang=2),
    )
    async with connected_within(server, f"00-{TRACE_ID}-{PARENT_ID}-01") as client:
        session_id = await client.create_session()
        killed = (await client.say(session_id, "go")).run_id
        await client.wait_for("agent.tool_progress")
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
    async with connected(server, cursors=dict(client.cursors)) as client:
        await client.reconnect(session_id)
        await client.wait_for(lambda frame: frame.event == PARTIAL and frame.metadata["step"] == 3)
        await client.send({"event": "user.cancel", "session_id": session_id})
        await client.wait_for(ended(killed))
        other = await client.create_session("second")
        await turn(client, other, "not traced")
        gone = await client.create_session()
        await turn(client, gone, "traced")
        await client.send({"event": "user.delete_session", "session_id": gone})
        await client.wait_for("agent.session_deleted")
    spans = stored(server)
    assert set(spans) == {killed}
    first, second = sorted({span["epoch"] for span in spans[killed]})
    assert facts(spans[killed], "kind", "step", "attempt", "epoch", "outcome", "finish") == [
        ("reply", "1", "1", first, "failed", "stream_cut"),
        ("reply", "1", "2", first, "ok", "tool_calls"),
        ("tool", "1", "1", first, "interrupted", ""),
        ("tool", "1", "1", second, "ok", ""),
        ("reply", "2", "1", second, "ok", "tool_calls"),
        ("tool", "2", "1", second, "ok", ""),
        ("tool", "2", "1", second, "ok", ""),
        ("reply", "3", "1", second, "interrupted", ""),
    ]
    assert spans[killed][1]["retries"] == "1"
    assert spans[killed][2]["duration_ms"] == "None", "nobody knows when the process died"
    assert spans[killed][-1]["duration_ms"].isdigit() and spans[killed][0]["first_token_ms"].isdigit()
    assert "Traceback" not in server.log

    await asyncio.to_thread(server.terminate)
    assert await asyncio.to_thread(server.wait_exit) == 0
    assert collector.services == {"myagent"}
    # What the killed process had not sent is lost; what the other one had open was sent when it stopped.
    names = [span.name for span in collector.spans]
    assert names.count("invoke_agent traced") == 2 and "invoke_agent second" not in names
    assert {"execute_tool again", "execute_tool note", "chat gpt-4o-mini"} < set(names)
    # The trace of the client is that of its run in the process that took it over.
    (resumed,) = [span for span in collector.spans if span.parent_span_id.hex() == PARENT_ID]
    assert (resumed.name, resumed.trace_id.hex()) == ("invoke_agent traced", TRACE_ID)
    assert {"gen_ai.client.inference.duration", "gen_ai.invoke_agent.duration"} <= collector.metrics
    told = [{item.key: item.value.string_value for item in span.attributes} for span in collector.spans]
    asked, whole = [span for span in told if span.get("error.type") == "interrupted"]
    assert whole["gen_ai.operation.name"] == "invoke_agent"
    assert whole["gen_ai.conversation.id"] == session_id
    assert (asked["gen_ai.provider.name"], asked["server.address"]) == ("openai", "127.0.0.1")
