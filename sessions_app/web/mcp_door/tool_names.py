"""What the tools are called by which clients ask agents, and how they are described. Pure.

A tool's name has letters of ASCII, digits, `_`, `-` and `.` only; that of an agent may have any letter.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from myagent.agent import Agent
from myagent.i18n import gettext as _
from myagent.text import clean

ASK = "ask_"
WAIT = "wait_for_answer"
_PLAIN = re.compile(r"[A-Za-z0-9._-]+")
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")
_PRINT_LENGTH = 24
"""Hexadecimal digits."""


def tool_name(agent: str) -> str:
    """The name of the tool that asks this agent: always the same, and that of no other agent.

    Where the name has other letters, its print stands for it, behind a `-`, with which no agent's name begins.
    """
    if _PLAIN.fullmatch(agent):
        return ASK + agent
    shown = _OTHER.sub("", agent)
    digits = hashlib.sha256(agent.encode()).hexdigest()[:_PRINT_LENGTH]
    return f"{ASK}-{shown}-{digits}" if shown else f"{ASK}-{digits}"


def ask_tool(name: str, agent: Agent) -> dict[str, Any]:
    """The tool that asks this agent."""
    may_act = agent.tools.function is not None or len(agent.tools) > 0
    return {
        "name": tool_name(name),
        "title": name,
        "description": clean(agent.description) or _("Asks the agent %(name)s.") % {"name": name},
        "inputSchema": {
            "type": "object",
            "properties": {
                "message": {"type": "string", "description": _("What the agent is told or asked.")},
                "session_id": {
                    "type": "string",
                    "description": _(
                        "The conversation to go on with, as an earlier answer named it. Without: a new one."
                    ),
                },
            },
            "required": ["message"],
        },
        "outputSchema": OUTPUT_SCHEMA,
        # An agent without tools can only talk; what one with tools does is for its tools to say.
        "annotations": {
            "title": name,
            "readOnlyHint": False,
            "destructiveHint": may_act,
            "idempotentHint": False,
            "openWorldHint": may_act,
        },
    }


def wait_tool() -> dict[str, Any]:
    """The tool that goes on waiting for the answer of a run."""
    title = _("Wait for an answer")
    return {
        "name": WAIT,
        "title": title,
        "description": _(
            "Goes on waiting for the answer of an agent that was asked before, where the result said that the agent is "
            "still working or that a person has to decide. It starts nothing."
        ),
        "inputSchema": {
            "type": "object",
            "properties": {
                "session_id": {"type": "string", "description": _("As the earlier result named it.")},
                "run_id": {"type": "string", "description": _("As the earlier result named it.")},
            },
            "required": ["session_id", "run_id"],
        },
        "outputSchema": OUTPUT_SCHEMA,
        "annotations": {
            "title": title,
            "readOnlyHint": True,
            "destructiveHint": False,
            "idempotentHint": True,
            "openWorldHint": False,
        },
    }


STATUSES = ("running", "input_required", "completed", "cancelled", "failed")
OUTPUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "session_id": {"type": "string"},
        "run_id": {"type": "string"},
        "status": {"type": "string", "enum": list(STATUSES)},
        "answer": {"type": "string"},
        "output": {"type": "object"},
        "code": {"type": "string"},
        "message": {"type": "string"},
    },
    # Some clients hold what is refused (`isError`) against the schema, too, and show no more of it if it does not fit.
    "anyOf": [{"required": ["session_id", "run_id", "status"]}, {"required": ["code", "message"]}],
}
"""Of `structuredContent`; what went wrong has `code` and `message`, which is all that a call has that is refused."""
