"""Loading agents in a new process that is to take over from one that serves them already."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from django.db import DatabaseError, connections, transaction

from agents.loading.agent_file_errors import AgentFileError, NoAgentLoaded
from agents.loading.hosted_rows import note_failed
from agents.loading.registry import FailedAgent, Registry

logger = logging.getLogger("myagent.agents")


def load_successors(sources: Iterable[str], *, known_failures: Collection[str]) -> Registry:
    """The agents as their files are now; what failed before, too, are the `known_failures`.

    Raises `AgentFileError` when anything else fails, after noting it in the agent's row as a failed reload.
    """
    registry = Registry.from_sources(sources, may_be_empty=True)
    failures = [failed for failed in registry.failures if failed.source not in known_failures]
    if not failures and len(registry):
        return registry
    _note(failures)
    errors: list[AgentFileError] = [failed.error for failed in failures or registry.failures]
    raise errors[0] if len(errors) == 1 else NoAgentLoaded(errors)


def _note(failures: Iterable[FailedAgent]) -> None:
    for failed in failures:
        logger.error("The agent in %s cannot be reloaded: %s", failed.source, failed.error)
        try:
            with transaction.atomic():
                note_failed(failed, goes_on=True)
        except DatabaseError as error:
            logger.warning("This cannot be noted in the database (%s).", error)
    connections.close_all()
