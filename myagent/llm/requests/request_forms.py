"""The forms in which a request can be written, for endpoints that refuse one of them.

The first is the one that serves the model best; those behind it do without something that some endpoint refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from myagent.exceptions import LLMRejected
from myagent.llm import ToolSchema
from myagent.llm.http.wordings import says_no_pictures
from myagent.llm.requests.provider_data import with_provider_data
from myagent.llm.requests.request_messages import calls_in_words, normalise, without_tools_pictures
from myagent.messages import Message

_ABOUT_REASONING = re.compile(r"reason|think|thought|signature", re.IGNORECASE)

AdditionsUse = Literal["sent", "left_out", "required"]
"""Whether `provider_data` goes back. `required`: it does, and calls without any, such as those of another model, are
told in words, since the endpoint takes no call without."""
ToolUse = Literal["free", "forbidden", "undeclared", "declared"]
"""Whether the model may use the tools. If not: `tool_choice` forbids it, or none are declared, or it is only told so in
the messages."""


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a request; `has_pictures` says whether pictures in the results of tools are part of it."""

    additions: AdditionsUse
    tool_use: ToolUse
    has_pictures: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What is to be asked, of a model at an endpoint. `extra` are further fields, as they are."""

    messages: Sequence[Message]
    tools: Sequence[ToolSchema]
    may_call: bool
    endpoint: str
    model: str
    extra: dict[str, Any] = field(default_factory=dict)

    def is_answered(self, message: Message) -> bool:
        """Whether `message` bears what this endpoint and model added to it."""
        data = message.provider_data
        return data is not None and data.endpoint == self.endpoint and data.model == self.model

    def body(self, form: Form) -> dict[str, Any]:
        """The request in this form."""
        messages = self.messages if form.has_pictures else without_tools_pictures(self.messages)
        if form.additions == "required":
            messages = calls_in_words(messages, keep=self.is_answered)
        body: dict[str, Any] = {"model": self.model, "messages": list(self._wires(messages, form))}
        if self.tools and form.tool_use != "undeclared":
            body["tools"] = list(self.tools)
        body |= self.extra
        if form.tool_use == "forbidden":
            body["tool_choice"] = "none"
        elif form.tool_use != "free":
            body.pop("tool_choice", None)
        return body

    def _wires(self, messages: Sequence[Message], form: Form) -> Iterator[dict[str, Any]]:
        for message in normalise(messages):
            wire = message.to_openai()
            if form.additions != "left_out" and self.is_answered(message):
                wire = with_provider_data(wire, message)
            yield wire


class RequestForms:
    """Which forms one endpoint takes, learnt from its refusals."""

    def __init__(self) -> None:
        self._additions: AdditionsUse = "sent"
        self._tool_use: ToolUse = "forbidden"
        self._takes_pictures = True

    def to_try(self, request: ChatRequest) -> list[Form]:
        """The forms to try for `request`, that which was taken last time first; each changes one thing only."""
        ways: list[AdditionsUse] = ["sent"]
        if any(map(request.is_answered, request.messages)):
            ways.append("left_out")
        if any(message.tool_calls and not request.is_answered(message) for message in request.messages):
            ways.append("required")
        ways.sort(key=lambda way: way != self._additions)
        uses: list[ToolUse] = ["free"]
        if request.tools and not request.may_call:
            uses = ["forbidden", "undeclared", "declared"]
            uses.sort(key=lambda use: use != self._tool_use)
        forms = [Form(way, uses[0]) for way in ways] + [Form(ways[0], use) for use in uses[1:]]
        if not self._takes_pictures:
            return [replace(form, has_pictures=False) for form in forms]
        if any(message.role == "tool" and message.pictures for message in request.messages):
            forms.insert(1, replace(forms[0], has_pictures=False))
        return forms

    @staticmethod
    def may_help(form: Form, refusal: LLMRejected) -> bool:
        """Whether `form` may get around what the endpoint said of another one."""
        return form.additions != "required" or _ABOUT_REASONING.search(str(refusal)) is not None

    def learn(self, form: Form, refusal: LLMRejected | None = None) -> None:
        """The endpoint took `form`, having refused those before it: the first one with `refusal`."""
        if self._takes_pictures and not form.has_pictures:
            # Else it was something about these pictures, and others may be taken.
            self._takes_pictures = not says_no_pictures(str(refusal))
            return
        self._additions = form.additions
        if form.tool_use != "free":
            self._tool_use = form.tool_use
