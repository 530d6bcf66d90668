"""Which of an agent's models a run had turned to, as the log says: who takes the run over stays with that one."""

from __future__ import annotations

from dataclasses import replace

from agents.database.threads import in_thread_patiently
from myagent.llm import LLM
from myagent.llm.fallback import AnsweringModel, run_models
from myagent.loop.checkpoint import START, Checkpoint
from sessions_app import queries
from sessions_app.journal.entry import RunRef


async def with_answering_model(checkpoint: Checkpoint, llm: LLM, ref: RunRef) -> Checkpoint:
    """`checkpoint` of a run that was taken over; what is stored is read only where there are several models."""
    if checkpoint is START or run_models(llm) is None:
        return checkpoint
    metadata = await in_thread_patiently(queries.last_fallback, ref.session_id, str(ref.run_id))
    if metadata is None:
        return checkpoint
    return replace(checkpoint, answering=AnsweringModel(metadata["model_number"], metadata["model"]))


def answering_model(llm: LLM) -> str | None:
    """The name of the model that the run is answered by, where the agent has several."""
    return llm.model if run_models(llm) is not None else None
