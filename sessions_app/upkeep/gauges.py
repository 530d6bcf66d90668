"""What Prometheus is told of the state of a process and of its database, read when it asks."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Protocol

from django.db import Error

from agents.database.threads import in_thread
from agents.loading.registry import get_registry
from agents.metrics import measures
from agents.metrics.instruments import Labels
from agents.metrics.snapshot import Readings
from agents.tool_runner.tool_runner import ToolRunner
from myagent.llm.breaker import all_breakers
from myagent.protocol.codec import name_of
from sessions_app import queries
from sessions_app.journal.log import Growth
from sessions_app.journal.writer import Journal
from sessions_app.runs.runner import Runner

logger = logging.getLogger("myagent.server")

PATIENCE_SECONDS = 2.0
"""How long an answer waits for the database; then it says nothing of what is in there."""
WEBSOCKET, SSE, AGUI, CHAT, OPENAI, MCP = "websocket", "sse", "agui", "chat", "openai", "mcp"
"""The doors by which connections come."""


def count_events(growths: Iterable[Growth]) -> None:
    """Count what was stored, by their names."""
    for growth in growths:
        for logged in growth.events:
            measures.EVENTS_LOGGED.add(name_of(logged.frame))


class HasDoor(Protocol):
    """What is counted of a connection."""

    door: str


class EngineGauges:
    """Lives on the event loop."""

    def __init__(
        self, *, runner: Runner, journal: Journal, tool_runner: ToolRunner, connections: Collection[HasDoor]
    ) -> None:
        self._runner = runner
        self._journal = journal
        self._tool_runner = tool_runner
        self._connections = connections

    def of_process(self) -> Readings:
        """The gauges of this process. An agent without runs has the value 0, so that a graph shows it."""
        names = get_registry().all_names
        running = Counter(run.agent for run in self._runner.working)
        doors = Counter(connection.door for connection in self._connections)
        return {
            measures.CONNECTIONS: {(door,): doors[door] for door in (WEBSOCKET, SSE, AGUI, CHAT, OPENAI, MCP)},
            measures.RUNS_RUNNING: {(name,): running[name] for name in {*names, *running}},
            measures.TOOLS_BLOCKING: {(name,): len(self._tool_runner.blocking_tools(name)) for name in names},
            measures.MODELS_AWAY: _models_away(),
            measures.DATABASE_HEALTHY: {(): self._journal.is_healthy},
            measures.OLDEST_COMMIT: {(): self._journal.age},
        }

    async def of_database(self) -> Readings:
        """What is the same for all processes; nothing while the database does not answer."""
        if not self._journal.is_healthy:
            return {}
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                queued, pending = await in_thread(queries.waiting_by_agent)
        except (Error, TimeoutError) as error:
            logger.info("What waits in the database cannot be counted for /metrics: %r", error)
            return {}
        names = get_registry().all_names
        return {
            measures.RUNS_QUEUED: {(name,): queued[name] for name in {*names, *queued}},
            measures.CONFIRMATIONS_PENDING: {(name,): pending[name] for name in {*names, *pending}},
        }


def _models_away() -> dict[Labels, float]:
    away: dict[Labels, float] = {}
    for breaker in all_breakers():
        labels = (breaker.model, breaker.place)
        away[labels] = max(away.get(labels, 0), breaker.is_open)
    return away
