"""Replies with what vendors add to them, as raw streams."""

from __future__ import annotations

import json
from typing import Any

from tests.support.model_replies import Raw


def stream(*deltas: dict[str, Any], finish: str = "stop", model: str = "m") -> Raw:
    """A stream of these deltas."""
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}], "model": model} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "model": model})
    lines = [json.dumps(chunk) for chunk in chunks] + ["[DONE]"]
    return Raw("".join(f"data: {line}\n\n" for line in lines).encode())


def whole(message: dict[str, Any], finish: str = "stop") -> Raw:
    """The same in one piece."""
    body = {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    return Raw(json.dumps(body).encode(), "application/json")


def part(index: int, name: str, arguments: str = "{}", *, id: str | None = None, **added: Any) -> dict[str, Any]:
    """A tool call of a delta; `added` are the vendor's fields."""
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": id or f"call_{index}", "type": "function", "function": function} | added


def calls(*parts: dict[str, Any], **added: Any) -> dict[str, Any]:
    """A delta with tool calls; `added` are the vendor's fields beside them."""
    return {"role": "assistant", "tool_calls": list(parts)} | added
