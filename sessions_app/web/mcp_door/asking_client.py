"""One request of a client of MCP, and what this client can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from sessions_app.web.api_call import Call

TASKS = "io.modelcontextprotocol/tasks"
"""The extension by whose name a client says that it takes a task as the result of a call."""


Elicits = Literal["no", "returned", "asked"]
"""How a client is asked for a person's answer: not at all, by the result of its call, or during the call."""


class NobodyAsked(Exception):
    """The client could not show the question, though it said that it can."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AskingClient:
    """Who asks is known from the HTTP request that brought the message, whatever session of MCP it names."""

    call: Call
    has_tasks: bool
    elicits: Elicits
    report: Callable[[float, str], Awaitable[None]]
    """Tells it the progress, where it wants to know."""
    elicit: Callable[[str, dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]
    """Shows a person these words and a form, and returns what the person did. Raises `NobodyAsked`."""
