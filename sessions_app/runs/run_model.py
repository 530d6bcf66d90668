"""The model of one run: its agent's, metered for its user."""

from __future__ import annotations

import logging

from agents.budgets.allowances import Allowances
from agents.budgets.metered_llm import MeteredLLM
from agents.conf import Config
from agents.loading.model_choice import UnusableLLM, llm_of
from myagent.agent import Agent
from myagent.llm import LLM

logger = logging.getLogger("myagent.runner")


def model_of_run(agent: Agent, user_id: int | None, *, config: Config, allowances: Allowances) -> LLM:
    """The model to ask. One that cannot be made fails the run that asks it, and nothing else."""
    try:
        return MeteredLLM(llm_of(agent, config), allowances, user_id, agent.name)
    except Exception as error:
        logger.exception("The model of agent %r cannot be used.", agent.name)
        return UnusableLLM(f"{type(error).__name__}: {error}")
