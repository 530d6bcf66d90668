"""A response as an object of OpenAI's API. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sessions_app.web.openai_door.responses.output_items import Frame, Item
from sessions_app.web.openai_door.responses.response_ids import ResponseId


@dataclass(slots=True)
class ResponseProgress:
    """How far a response has come."""

    status: str = "in_progress"
    created_at: int = 0
    """Seconds since 1970; 0 before its first event."""
    completed_at: int | None = None
    usage: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """What OpenAI's API has no word for."""

    def begin(self, frame: Frame) -> None:
        """With the first event."""
        self.created_at = _seconds(frame)
        self.status = "queued" if frame["event"] == "user.message" else "in_progress"

    def finish(
        self, status: str, facts: dict[str, Any], *, usage: dict[str, Any] | None = None, frame: Frame | None = None
    ) -> None:
        """With an end that is no failure."""
        self.status, self.facts = status, facts
        self.usage = _usage(usage) if usage is not None else None
        self.completed_at = _seconds(frame) if frame is not None and status == "completed" else None

    def fail(self, words: str, code: str) -> None:
        """With an error."""
        self.status, self.error = "failed", {"code": code, "message": words}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """What a response says of itself from its beginning on."""

    id: ResponseId
    session_id: str
    model: str
    schema: dict[str, Any] | None
    """What the answer has to be."""

    @property
    def is_value(self) -> bool:
        """Whether the answer is the JSON of a value, or there is none."""
        return self.schema is not None

    def response(self, progress: ResponseProgress, output: list[Item]) -> dict[str, Any]:
        """The object."""
        text: dict[str, Any] = {"type": "text"}
        if self.schema is not None:
            text = {"type": "json_schema", "name": "output", "schema": self.schema, "strict": True}
        is_cut = progress.status == "incomplete"
        return {
            "id": str(self.id),
            "object": "response",
            "created_at": progress.created_at,
            "completed_at": progress.completed_at,
            "status": progress.status,
            "background": True,
            "model": self.model,
            "conversation": {"id": self.session_id},
            "previous_response_id": str(self.id.of_part(self.id.part - 1)) if self.id.part > 1 else None,
            "output": output,
            "error": progress.error,
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "usage": progress.usage,
            "text": {"format": text},
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "store": True,
            "tool_choice": "auto",
            "tools": [],
            "myagent": {"session_id": self.session_id, "run_id": str(self.id.run_id), **progress.facts},
        }


def _seconds(frame: Frame) -> int:
    return int(datetime.fromisoformat(frame["timestamp"]).timestamp())


def _usage(told: dict[str, Any]) -> dict[str, Any]:
    sent, received = told["input_tokens"], told["output_tokens"]
    cached, written = told.get("cached_input_tokens", 0), told.get("cache_write_tokens", 0)
    return {
        "input_tokens": sent,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": received,
        "output_tokens_details": {"reasoning_tokens": told.get("reasoning_tokens", 0)},
        "total_tokens": sent + received,
    }
