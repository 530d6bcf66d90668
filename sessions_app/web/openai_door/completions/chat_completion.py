"""A run as a chat completion: whole, or as the chunks of a stream, which are server-sent events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from sessions_app.services.heavy_work import loaded
from sessions_app.upkeep.gauges import OPENAI
from sessions_app.web.event_stream import StreamForm
from sessions_app.web.openai_door.completions.run_text import RunEnding, RunText
from sessions_app.web.openai_door.error_answers import error_body

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """What all chunks of a completion say."""

    session_id: str
    run_id: str
    model: str
    created: int
    """Seconds since 1970."""

    @property
    def id(self) -> str:
        return f"chatcmpl-{self.run_id}"

    def facts_of(self, ending: RunEnding) -> dict[str, Any]:
        """What Chat Completions have no word for; clients pass unknown keys on or ignore them."""
        return {"session_id": self.session_id, "run_id": self.run_id, **ending.facts}

    def whole(self, text: RunText, ending: RunEnding) -> dict[str, Any]:
        """The completion that is not streamed."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": ending.content if ending.refusal is None else None,
            "refusal": ending.refusal,
        }
        if text.reasoning:
            message["reasoning_content"] = text.reasoning
        choice = {"index": 0, "message": message, "finish_reason": ending.finish_reason, "logprobs": None}
        facts = {key: value for key, value in self.facts_of(ending).items() if key != "answer"}
        usage = {"usage": ending.usage} if ending.usage is not None else {}
        return {**self._head("chat.completion"), "choices": [choice], **usage, "myagent": facts}

    def chunk(self, delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
        """One chunk with this delta."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return _event({**self._head("chat.completion.chunk"), "choices": [choice], **more})

    def usage_chunk(self, usage: dict[str, Any]) -> bytes:
        """The chunk before the end that a client may ask for."""
        return _event({**self._head("chat.completion.chunk"), "choices": [], "usage": usage})

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


@dataclass(kw_only=True, slots=True)
class WholeCompletion(StreamForm):
    """A form of a stream that writes nothing: the completion is told when it is whole."""

    text: RunText
    door: str = OPENAI
    beginning: bytes = b""
    keep_alive: bytes = b""

    async def written(self, frame: str) -> bytes:
        """Nothing; the frame is taken."""
        if self.text.concerns(frame):
            self.text.take(await loaded(frame))
        return b""

    def is_last(self, frame: str) -> bool:
        """Whether the run is over."""
        return self.text.ending is not None


@dataclass(kw_only=True, slots=True)
class CompletionChunks(StreamForm):
    """The form of a stream of chunks; its comments keep connections alive while tools work."""

    text: RunText
    completion: Completion
    include_usage: bool
    door: str = OPENAI
    keep_alive: bytes = b": \n\n"
    beginning: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.beginning = self.completion.chunk({"role": "assistant", "content": ""})

    async def written(self, frame: str) -> bytes:
        """The chunks that a frame is told by."""
        if not self.text.concerns(frame):
            return b""
        deltas = self.text.take(await loaded(frame))
        chunks = b"".join(map(self.completion.chunk, deltas))
        ending = self.text.ending
        return chunks if ending is None else chunks + self._end(ending)

    def _end(self, ending: RunEnding) -> bytes:
        if ending.kind == "error":
            # Without [DONE]: there is an end, and no answer.
            return _event(error_body(ending.content, ending.code, ending.facts))
        last = self.completion.chunk({}, ending.finish_reason, myagent=self.completion.facts_of(ending))
        usage = ending.usage if self.include_usage else None
        return last + (self.completion.usage_chunk(usage) if usage is not None else b"") + DONE

    def is_last(self, frame: str) -> bool:
        """Whether the run is over."""
        return self.text.ending is not None
