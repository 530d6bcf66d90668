"""`/v1/models`: the agents, as models."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from agents.loading.registry import LoadedAgent, get_registry
from agents.web.api_admission import admit
from agents.web.api_errors import json_answer
from myagent.text import clean
from sessions_app.services.caller import usable_agent
from sessions_app.web.api_call import Call
from sessions_app.web.openai_door.door_view import door_view


@door_view("GET", "HEAD")
async def list_models(request: HttpRequest) -> HttpResponse:
    """The agents that the caller may use, as models."""
    grant = await admit(request, in_url=False)
    usable = get_registry().usable(grant.allows)
    return json_answer({"object": "list", "data": [_model(loaded) for loaded in usable]})


@door_view("GET", "HEAD")
async def show_model(request: HttpRequest, name: str) -> HttpResponse:
    """One of them."""
    call = await Call.admitted(request)
    return json_answer(_model(usable_agent(call.caller, clean(name))))


def _model(loaded: LoadedAgent) -> dict[str, Any]:
    # Agents are files; when one began to exist is nobody's concern.
    return {
        "id": loaded.name,
        "object": "model",
        "created": 0,
        "owned_by": "myagent",
        "description": loaded.agent.description,
    }
