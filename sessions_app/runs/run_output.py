"""What the answer of a run has to be, where the message that began it says so."""

from __future__ import annotations

import uuid

from agents.database.threads import in_thread_patiently
from myagent.agent import Agent
from myagent.tool.output_form import OutputForm
from sessions_app import queries


async def output_of_run(agent: Agent, run_id: uuid.UUID) -> OutputForm | None:
    """The form that is stored with a run; read only where the agent accepts one, as most do not."""
    if "output_schema" not in agent.accepts:
        return None
    schema = await in_thread_patiently(queries.output_schema, run_id)
    return None if schema is None else OutputForm(schema)
