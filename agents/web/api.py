"""`GET /api/agents/`: the agents that the caller may use, with their tools. Whoever may connect may ask."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse

from agents.access.decision import Grant
from agents.conf import get_config
from agents.loading.hosted_rows import tool_facts
from agents.loading.registry import LoadedAgent, Registry, get_registry
from agents.web.api_admission import admit, api_view
from agents.web.api_errors import json_answer
from myagent.agent import Agent
from myagent.loop.run_limits import Ceilings, limits_of


@api_view("GET", "HEAD", words_key="error")
async def list_agents(request: HttpRequest) -> HttpResponse:
    """The view. Decided as a WebSocket is that the same caller opens, and from then on as its connection would be."""
    grant = await admit(request)
    return json_answer({"agents": usable_agents(grant, get_registry(), root_path=request.META.get("SCRIPT_NAME", ""))})


def usable_agents(grant: Grant, registry: Registry, *, root_path: str = "") -> list[dict[str, Any]]:
    """The agents that are enabled and that the caller may use, as JSON; the first is the default at `/`."""
    usable = registry.usable(grant.allows)
    return [
        _facts(loaded, registry.limits(loaded.name).of_run, root_path, is_default=loaded is usable[0])
        for loaded in usable
    ]


def _facts(loaded: LoadedAgent, ceilings: Ceilings, root_path: str, *, is_default: bool) -> dict[str, Any]:
    agent = loaded.agent
    return {
        "name": loaded.name,
        "description": agent.description,
        "path": f"{root_path}/ws/{quote(loaded.name, safe='')}/",
        "default": is_default,
        "tools": tool_facts(agent),
        "dynamic_tools": agent.tools.function is not None,
        "examples": list(agent.examples),
        "accepts": _accepts(agent),
        "limits": limits_of(agent, ceilings),
        "output": None if agent.output is None else agent.output.schema,
        "when_busy": list(agent.modes_when_busy),
    }


def _accepts(agent: Agent) -> dict[str, Any]:
    """What messages to the agent may hold beside text."""
    kinds: dict[str, Any] = {kind: kind in agent.accepts for kind in ("images", "files")}
    return kinds | {"max_file_bytes": get_config().max_file_bytes}
