"""What the database knows of the agents that are served."""

from __future__ import annotations

from typing import Any

from agents.models import HostedAgent
from agents.registry import LoadedAgent, Registry


def sync_hosted_agents(registry: Registry) -> None:
    """Note in the database what this process has loaded, and learn from it which agents are switched off."""
    for loaded in registry:
        HostedAgent.objects.update_or_create(name=loaded.name, defaults=_description(loaded))
    refresh_disabled(registry)


def refresh_disabled(registry: Registry) -> None:
    """Learn from the database which agents are switched off. One query."""
    registry.set_disabled(HostedAgent.objects.disabled().values_list("name", flat=True))


def _description(loaded: LoadedAgent) -> dict[str, Any]:
    agent = loaded.agent
    return {
        "description": agent.description,
        "source": loaded.source,
        "tools": [{"name": tool.name, "description": tool.description} for tool in agent.tools],
        "model": agent.llm.model if agent.llm is not None else "",
        "loaded_at": loaded.loaded_at,
        "failed_at": None,
        "error": "",
    }
