"""The forms in which a request can be written, for endpoints that refuse one of them.

The first is the one that serves the model best; those behind it do without what some endpoint refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from myagent.llm import ToolSchema
from myagent.llm.provider_data import with_provider_data
from myagent.llm.request_messages import calls_in_words, normalise
from myagent.messages import Message

_ABOUT_REASONING = re.compile(r"reason|think|thought|signature", re.IGNORECASE)

Additions = Literal["sent", "left_out", "required"]
"""`provider_data` goes back, or does not; or it does, and calls without any are told in words, since the endpoint takes
none without (those that another model made, or whose additions were not kept)."""
ToolUse = Literal["free", "forbidden", "undeclared", "declared"]
"""The model may use the tools. Or it may not: by `tool_choice`, or because it is told of none; or it is only asked not to."""


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a request."""

    additions: Additions
    tool_use: ToolUse


class RequestForms:
    """Writes the requests to one endpoint and remembers which forms it takes."""

    def __init__(self) -> None:
        self._additions: Additions = "sent"
        self._forbidding: ToolUse = "forbidden"

    def candidates(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], tool_choice: str | None, *, endpoint: str, model: str
    ) -> Iterator[Form]:
        """The forms to try for a request, the one that was taken last time first."""
        options = self._ways_with_additions(messages, endpoint, model)
        uses: list[ToolUse] = ["free"]
        if tools and tool_choice == "none":
            uses = sorted(("forbidden", "undeclared", "declared"), key=lambda use: use != self._forbidding)
        yield from (Form(way, uses[0]) for way in options)
        yield from (Form(options[0], use) for use in uses[1:])

    def _ways_with_additions(self, messages: Sequence[Message], endpoint: str, model: str) -> list[Additions]:
        own = [message for message in messages if is_of(message, endpoint, model)]
        ways: list[Additions] = ["sent", "left_out"] if own else ["sent"]
        if any(message.tool_calls and not is_of(message, endpoint, model) for message in messages):
            ways.append("required")
        return sorted(ways, key=lambda way: way != self._additions)

    def learn(self, form: Form) -> None:
        """The endpoint took `form`, having refused those before it."""
        self._additions = form.additions
        if form.tool_use != "free":
            self._forbidding = form.tool_use

    @staticmethod
    def may_help(form: Form, refusal: Exception) -> bool:
        """Whether `form` may get around what the endpoint said when it refused the one before."""
        return form.additions != "required" or _ABOUT_REASONING.search(str(refusal)) is not None

    @staticmethod
    def write(
        form: Form, messages: Sequence[Message], tools: Sequence[ToolSchema], *, endpoint: str, model: str
    ) -> dict[str, Any]:
        """The messages and tools of a request in this form."""
        if form.additions == "required":
            messages = calls_in_words(messages, lambda message: not is_of(message, endpoint, model))
        wires = []
        for message in normalise(messages):
            wire = message.to_openai()
            if message.provider_data is not None and form.additions != "left_out":
                wire = with_provider_data(wire, message, endpoint=endpoint, model=model)
            wires.append(wire)
        body: dict[str, Any] = {"model": model, "messages": wires}
        if tools and form.tool_use != "undeclared":
            body["tools"] = list(tools)
        return body


def last_words(form: Form) -> Mapping[str, Any]:
    """What goes into the request whatever else its author adds."""
    return {"tool_choice": "none"} if form.tool_use == "forbidden" else {}


def is_of(message: Message, endpoint: str, model: str) -> bool:
    """Whether `message` bears additions of this endpoint and model."""
    data = message.provider_data
    return data is not None and data.endpoint == endpoint and data.model == model
