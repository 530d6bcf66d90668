"""The model of one run: its agent's, sent the files of its session, metered for its user."""

from __future__ import annotations

import logging

from agents.budgets.allowances import Allowances
from agents.budgets.metered_llm import MeteredLLM
from agents.conf import Config
from agents.loading.model_choice import UnusableLLM, llm_of
from myagent.agent import Agent
from myagent.llm import LLM
from myagent.llm.fallback import for_run
from sessions_app.files.files_llm import FilesLLM
from sessions_app.journal.entry import RunRef

logger = logging.getLogger("myagent.runner")


def model_of_run(agent: Agent, ref: RunRef, *, config: Config, allowances: Allowances) -> LLM:
    """The model to ask. One that cannot be made fails the run that asks it, and nothing else."""
    try:
        llm = FilesLLM(for_run(llm_of(agent, config)), ref.session_id)
        return MeteredLLM(llm, allowances, ref.user_id, agent.name)
    except (Exception, SystemExit) as error:
        logger.exception("The model of agent %r cannot be used.", agent.name)
        return UnusableLLM(f"{type(error).__name__}: {error}")


def priced_model(llm: LLM) -> str:
    """The name under which what is broken off of this run is charged; see `MeteredLLM.priced_model`."""
    return llm.priced_model if isinstance(llm, MeteredLLM) else ""


def settle(llm: LLM) -> None:
    """The run of this model is over."""
    if isinstance(llm, MeteredLLM):
        llm.settle()
