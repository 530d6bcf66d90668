"""The trace that a run is part of: that of the request which caused it, also in the process that takes it over."""

from __future__ import annotations

import uuid

from agents.database.threads import in_thread_patiently
from myagent.agent import Agent
from myagent.tracing.opentelemetry import is_set_up
from sessions_app import queries


async def traceparent_of_run(agent: Agent, run_id: uuid.UUID) -> str:
    """The `traceparent` that is stored with a run; read only where spans are made, as most servers make none."""
    if not (agent.enable_tracing and is_set_up()):
        return ""
    return await in_thread_patiently(queries.traceparent, run_id)
