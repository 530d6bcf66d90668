"""What is read when Prometheus asks, also while the database is away."""

from __future__ import annotations

import threading
import uuid
from types import SimpleNamespace

import pytest
from django.db import OperationalError

from agents.database.threads import stop_threads
from agents.loading.registry import Registry, set_registry
from agents.metrics import measures
from myagent.protocol.codec import encode
from sessions_app import queries
from sessions_app.journal.log import Growth, Logged
from sessions_app.upkeep import gauges
from sessions_app.upkeep.gauges import EngineGauges, count_events


@pytest.fixture(autouse=True)
def registry():
    before = set_registry(Registry([]))
    yield
    set_registry(before)
    stop_threads()


def engine_gauges(*, healthy: bool = True, working=()) -> EngineGauges:
    return EngineGauges(
        runner=SimpleNamespace(working=[SimpleNamespace(agent=name) for name in working]),
        journal=SimpleNamespace(is_healthy=healthy, age=1.5),
        tool_runner=SimpleNamespace(blocking_tools=lambda name: {"slow": "a.py:1"}),
        connections=[SimpleNamespace(door=door) for door in ("websocket", "sse", "websocket")],
    )


def test_of_the_process():
    readings = engine_gauges(working=["a", "a", "b"]).of_process()
    open_now = {("websocket",): 2, ("sse",): 1, ("agui",): 0, ("chat",): 0, ("openai",): 0, ("mcp",): 0}
    assert readings[measures.CONNECTIONS] == open_now
    assert readings[measures.RUNS_RUNNING] == {("a",): 2, ("b",): 1}
    assert (readings[measures.DATABASE_HEALTHY][()], readings[measures.OLDEST_COMMIT][()]) == (True, 1.5)


async def test_of_a_database_that_is_away_nothing_is_said(monkeypatch):
    assert await engine_gauges(healthy=False).of_database() == {}

    def away():
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(queries, "waiting_by_agent", away)
    assert await engine_gauges().of_database() == {}
    go_on = threading.Event()
    monkeypatch.setattr(gauges, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(queries, "waiting_by_agent", lambda: go_on.wait(30))
    assert await engine_gauges().of_database() == {}, "one that hangs holds up no answer"
    go_on.set()


@pytest.mark.parametrize("name", ["agent.final_answer", "user.message"])
def test_events_are_counted_by_the_name_that_their_frames_begin_with(name):
    metadata = SimpleNamespace(model_dump=lambda **options: {"event": "another"})
    frame = encode(SimpleNamespace(event=name, step_id="s", content="", metadata=metadata), session_id="x", seq=1)
    before = measures.EVENTS_LOGGED.values.get((name,), 0)
    count_events([Growth(uuid.uuid4(), 0, [Logged(1, frame, None)])])
    assert measures.EVENTS_LOGGED.values[name,] == before + 1
