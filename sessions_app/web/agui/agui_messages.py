"""What is said and done in a run, as messages of AG-UI 1.0, and their ids. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import orjson

Part = dict[str, Any]
Frame = dict[str, Any]

_USAGE = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cached_input_tokens": "cachedInputTokens",
    "cache_write_tokens": "cacheWriteInputTokens",
    "reasoning_tokens": "reasoningTokens",
    "model": "model",
}


_ANSWER = {
    "type": "object",
    "properties": {
        "approved": {"type": "boolean"},
        "editedArgs": {"type": "object"},
        "reason": {"type": "string"},
    },
    "required": ["approved"],
}
"""What an answer to a question is made of, as JSON Schema."""


def assistant_id(run_id: str, step: int) -> str:
    """The id of what the model says in a step, in text and in calls."""
    return f"{run_id}:{step}"


def reasoning_id(run_id: str, step: int) -> str:
    """The id of what it thinks in a step."""
    return f"{run_id}:{step}:r"


def answer_id(run_id: str) -> str:
    """The id of an answer that comes behind the calls of the last step."""
    return f"{run_id}:answer"


def user_message(frame: Frame) -> dict[str, Any]:
    """What the user said. `frame` is a `user.message` of the log."""
    content = frame["content"]
    parts = content if isinstance(content, str) else [_part(part) for part in content]
    return {"id": frame["metadata"]["message_id"], "role": "user", "content": parts}


def _part(part: Part) -> Part:
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return {"type": "image", "source": _source(url)}
        case {"type": "file", "file": {"file_id": file_id, **facts}}:
            kind = {"mimeType": facts["type"]} if isinstance(facts.get("type"), str) else {}
            return {"type": "document", "source": {"type": "file", "value": file_id, "provider": "myagent", **kind}}
    return {"type": "text", "text": part.get("text", "")}


def _source(url: str) -> dict[str, Any]:
    head, comma, data = url.partition(";base64,")
    if comma and head.startswith("data:"):
        return {"type": "data", "value": data, "mimeType": head[len("data:") :]}
    return {"type": "url", "value": url}


def tool_call(frame: Frame) -> dict[str, Any]:
    """A call, as part of an assistant's message. `frame` is an `agent.tool_call`."""
    about = frame["metadata"]
    arguments = orjson.dumps(about["args"]).decode()
    return {"id": frame["step_id"], "type": "function", "function": {"name": about["tool"], "arguments": arguments}}


def result_of(frame: Frame) -> dict[str, Any]:
    """The message of a tool. `frame` is an `agent.tool_result`."""
    about = frame["metadata"]
    text = frame["content"] or about.get("error", "")
    content: Any = text
    if pictures := about.get("images"):
        source = [{"type": "data", "value": one["data"], "mimeType": one["media_type"]} for one in pictures]
        content = [{"type": "text", "text": text}, *({"type": "image", "source": one} for one in source)]
    told = {key: about[key] for key in ("status", "duration_ms", "error", "data", "truncated") if key in about}
    call = frame["step_id"]
    return {"id": f"{call}:r", "role": "tool", "toolCallId": call, "content": content, "metadata": told}


def place_result(messages: list[dict[str, Any]], result: dict[str, Any]) -> None:
    """Put it behind the message of its call and the results that this has by now, where the official client does."""
    call = result["toolCallId"]
    at = next((at for at, said in enumerate(messages, 1) if _has_call(said, call)), len(messages))
    while at < len(messages) and messages[at]["role"] == "tool":
        at += 1
    messages.insert(at, result)


def _has_call(message: dict[str, Any], call: str) -> bool:
    return any(one["id"] == call for one in message.get("toolCalls", ()))


def interrupt_of(frame: Frame) -> dict[str, Any]:
    """An open question. `frame` is an `agent.user_confirm`."""
    about = frame["metadata"]
    until = datetime.fromisoformat(frame["timestamp"]) + timedelta(seconds=about["timeout_seconds"])
    return {
        "id": frame["step_id"],
        "reason": "tool_call",
        "toolCallId": about["call_step_id"],
        "message": frame["content"],
        "responseSchema": _ANSWER,
        "expiresAt": until.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "metadata": {"toolName": about["tool_name"], "toolArgs": about["tool_args"]},
    }


def usage_of(usage: dict[str, Any]) -> dict[str, Any]:
    """What a run took, as an entry of AG-UI's `usage`."""
    told = {_USAGE[key]: value for key, value in usage.items() if key in _USAGE}
    return {**told, "totalTokens": usage["input_tokens"] + usage["output_tokens"]}
