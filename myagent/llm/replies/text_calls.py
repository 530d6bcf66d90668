"""Tool calls that a model writes into its text, as `<tool_call>{"name": …, "arguments": {…}}</tool_call>`."""

from __future__ import annotations

import json
import re
from typing import Any

OPENER = "<tool_call>"
CLOSER = "</tool_call>"
_WRITTEN = re.compile(r"<tool_call>\s*\{")


def looks_like_a_call(text: str) -> bool:
    """Whether `text` holds what would be a tool call."""
    return OPENER in text and _WRITTEN.search(text) is not None


def parse_text_call(text: str) -> dict[str, Any] | None:
    """The call between the marks as the `function` of a tool call, None when there is none."""
    try:
        call = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str) or not call["name"].strip():
        return None
    arguments = call.get("arguments", call.get("parameters"))
    if arguments is not None and not isinstance(arguments, dict | str):
        return None
    return {"name": call["name"].strip(), "arguments": arguments if arguments is not None else {}}
