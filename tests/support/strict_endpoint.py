"""What the strictest Chat Completions endpoints refuse of a request's messages, for the tests of what we send."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.support.model_replies import Status

Wire = Mapping[str, Any]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def faults(body: Mapping[str, Any]) -> list[str]:
    """All that a strict endpoint would refuse of this request."""
    messages: list[Wire] = body["messages"]
    found = [*_order(messages), *_pairs(messages), *_contents(messages)]
    calls = [call for message in messages for call in message.get("tool_calls", ())]
    ids = [call["id"] for call in calls]
    if len(set(ids)) < len(ids):
        found.append("two calls have one id")
    for call in calls:
        found += _call(call)
    if calls and "tools" in body and not body["tools"]:
        found.append("calls, but the list of tools is empty")
    return found


def _order(messages: Sequence[Wire]) -> Iterator[str]:
    roles = [message["role"] for message in messages]
    if "system" in roles[1:]:
        yield "a system message that is not the first"
    if roles and roles[0] == "system":
        roles = roles[1:]
    if not roles or roles[0] != "user":
        yield "the user does not begin"
    if not roles or roles[-1] not in ("user", "tool"):
        yield "the last word is neither the user's nor a tool's"
    allowed = {
        "user": ("assistant",),
        "assistant": ("user", "tool"),
        "tool": ("tool", "assistant"),
    }
    for number, (before, after) in enumerate(zip(roles, roles[1:], strict=False)):
        if after not in allowed.get(before, ()):
            yield f"{after} behind {before} at {number}"


def _pairs(messages: Sequence[Wire]) -> Iterator[str]:
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                yield "a result without its call"
            else:
                waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            yield "a call without its result"
        waiting = [call["id"] for call in message.get("tool_calls", ())]
    if waiting:
        yield "a call without its result at the end"


def _contents(messages: Sequence[Wire]) -> Iterator[str]:
    for message in messages:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        says = [part["type"] != "text" or bool(part["text"].strip()) for part in parts]
        if not message.get("tool_calls") and not (says and all(says)):
            yield f"a message of {message['role']} says nothing"
        if message["role"] != "user" and message["role"] != "system" and not isinstance(content, str):
            yield f"parts in a message of {message['role']}"


def _call(call: Wire) -> Iterator[str]:
    function = call["function"]
    if not _NAME.fullmatch(function["name"]):
        yield f"the name {function['name']!r}"
    if not _ID.fullmatch(call["id"]):
        yield f"the id {call['id']!r}"
    try:
        is_object = isinstance(json.loads(function["arguments"]), dict)
    except ValueError:
        is_object = False
    if not is_object:
        yield "arguments that are no JSON object"


def strict(body: Mapping[str, Any]) -> Status | None:
    """A guard of `ModelServer`: refuses what a strict endpoint refuses."""
    found = faults(body)
    return Status(400, "; ".join(found), "invalid_request_message_order") if found else None
