"""`Message`: what the model reads and writes, in the shape of OpenAI's Chat Completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

Role = Literal["system", "user", "assistant", "tool"]
ContentPart = Mapping[str, Any]
Content = str | Sequence[ContentPart]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool call of the model; `arguments` is the JSON text exactly as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderData:
    """What an endpoint added to a reply beyond the standard fields: opaque, and of use to that endpoint and model only.

    Reasoning that has to come back beside tool calls, signatures, and what vendors think of next. Nobody said it: it is
    neither shown nor exported.
    """

    endpoint: str
    """The base URL of the endpoint, without credentials and query."""
    model: str
    """The model that was asked."""
    message: Mapping[str, Any]
    """The fields added to the message."""
    calls: tuple[Mapping[str, Any], ...] = ()
    """The fields added to each of its tool calls, in their order."""
    size: int = 0
    """Bytes as JSON."""

    def to_json(self) -> dict[str, Any]:
        """This as a JSON object; `from_json` reads it."""
        return {
            "endpoint": self.endpoint,
            "model": self.model,
            "message": dict(self.message),
            "calls": [dict(call) for call in self.calls],
            "size": self.size,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        return cls(
            endpoint=stored["endpoint"],
            model=stored["model"],
            message=stored["message"],
            calls=tuple(stored["calls"]),
            size=stored["size"],
        )


class _Memo:
    """Room for what others have found out about a message, and would find out again for each request; no part of its
    value.
    """

    __slots__ = ("estimated_tokens", "normal_form")
    estimated_tokens: int
    """`myagent.loop.context_window`"""
    normal_form: Any
    """`myagent.llm.requests.normal_form`"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(_Memo):
    """One message of a conversation; immutable."""

    role: Role
    """`"system"`, `"user"`, `"assistant"` or `"tool"`."""
    content: Content = ""
    """Text, or for the message of a user or a tool a list of OpenAI content parts (`text`, `image_url`, `file`)."""
    tool_calls: tuple[ToolCall, ...] = ()
    """The calls of an assistant's message."""
    tool_call_id: str | None = None
    """The id of the call that a tool message answers."""
    provider_data: ProviderData | None = None
    """What the endpoint added to an assistant's message and its calls."""

    @classmethod
    def system(cls, content: str) -> Self:
        return cls(role="system", content=content)

    @classmethod
    def user(cls, content: Content) -> Self:
        return cls(role="user", content=content)

    @classmethod
    def assistant(cls, content: str, tool_calls: Sequence[ToolCall] = ()) -> Self:
        return cls(role="assistant", content=content, tool_calls=tuple(tool_calls))

    @classmethod
    def tool(cls, content: Content, *, tool_call_id: str) -> Self:
        return cls(role="tool", content=content, tool_call_id=tool_call_id)

    @property
    def text(self) -> str:
        """The text of the content, without pictures."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part["text"] for part in self.content if part.get("type") == "text")

    @property
    def pictures(self) -> list[ContentPart]:
        """The parts of the content that are neither text nor a file."""
        if isinstance(self.content, str):
            return []
        return [part for part in self.content if part.get("type") not in ("text", "file")]

    @property
    def attachments(self) -> list[Mapping[str, Any]]:
        """The facts of the files that the server keeps and the content names: `file_id`, `name`, `type`, `size`."""
        if isinstance(self.content, str):
            return []
        named = (part.get(str(part.get("type"))) for part in self.content)
        return [facts for facts in named if isinstance(facts, Mapping) and "file_id" in facts]

    def to_openai(self) -> dict[str, Any]:
        """This message as in a Chat Completions request."""
        content = self.content if isinstance(self.content, str) else list(self.content)
        wire: dict[str, Any] = {"role": self.role, "content": content}
        if self.tool_calls:
            wire["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in self.tool_calls
            ]
        if self.tool_call_id is not None:
            wire["tool_call_id"] = self.tool_call_id
        return wire
