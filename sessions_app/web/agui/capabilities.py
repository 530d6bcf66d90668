"""What an agent can do, as AG-UI's `AgentCapabilities`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from agents.loading.hosted_rows import tool_facts
from agents.loading.registry import LoadedAgent


class CapabilitiesAnswer(BaseModel):
    """The categories of capabilities, whose keys AG-UI has."""

    identity: dict[str, Any]
    transport: dict[str, Any]
    tools: dict[str, Any]
    output: dict[str, Any]
    state: dict[str, Any]
    reasoning: dict[str, Any]
    multimodal: dict[str, Any]
    execution: dict[str, Any]
    humanInTheLoop: dict[str, Any]


def capabilities_of(loaded: LoadedAgent) -> dict[str, Any]:
    """For whoever may use the agent."""
    agent = loaded.agent
    facts = tool_facts(agent)
    return {
        "identity": {"name": loaded.name, "type": "myagent", "description": agent.description},
        "transport": {
            "streaming": True,
            "websocket": False,
            "httpBinary": False,
            "pushNotifications": False,
            "resumable": True,
        },
        "tools": {
            "supported": bool(facts),
            "items": facts,
            "parallelCalls": agent.max_parallel_tools != 1,
            "clientProvided": False,
        },
        "output": {"structuredOutput": agent.output is not None},
        "state": {"snapshots": False, "deltas": False, "memory": True, "persistentState": True},
        "reasoning": {"supported": True, "streaming": True, "encrypted": False},
        "multimodal": {"input": {"image": "images" in agent.accepts, "file": "files" in agent.accepts}},
        "execution": {"maxIterations": agent.max_steps},
        "humanInTheLoop": {
            "supported": True,
            "approvals": True,
            "interrupts": True,
            "approveWithEdits": True,
            "interventions": False,
            "feedback": False,
        },
    }
