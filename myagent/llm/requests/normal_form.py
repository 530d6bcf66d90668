"""`normal_form`: what becomes of one message in a request, as far as that can be told without its neighbours. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from myagent.llm.requests.object_text import read_object
from myagent.messages import Content, ContentPart, Message, ToolCall

# For the model, so in one language.
NOTHING_SAID = "[nothing]"
NO_OUTPUT = "[no output]"

PLAIN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
"""Ids of calls that every endpoint takes."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_NAME = 64


class NormalForm:
    """What a message becomes, as far as that can be told without its neighbours.

    `notes` say what was changed in its calls, in their order; they are added to the results. Empty: nothing was.
    """

    __slots__ = ("ids", "message", "notes")

    def __init__(self, message: Message, notes: Sequence[str] = ()) -> None:
        self.message = message
        self.notes = notes
        self.ids = frozenset(call.id for call in message.tool_calls)
        """The ids of its calls, where each is plain and none stands twice; else empty."""
        if len(self.ids) < len(message.tool_calls) or not all(map(PLAIN_ID.fullmatch, self.ids)):
            self.ids = frozenset()


def normal_form(message: Message) -> NormalForm:
    """What `message` becomes; remembered with it."""
    try:
        known: NormalForm = message.normal_form
    except AttributeError:
        known = _find_out(message)
        object.__setattr__(message, "normal_form", known)  # frozen: what it says does not change
    return known


def _find_out(message: Message) -> NormalForm:
    match message.role:
        case "tool":
            text = message.text
            return NormalForm(_saying(message, text if text.strip() else NO_OUTPUT))
        case "user":
            return NormalForm(_saying(message, _without_blanks(message.content) or NOTHING_SAID))
        case "assistant" if not message.tool_calls:
            return NormalForm(_saying(message, NOTHING_SAID if is_blank(message.content) else message.text))
    fixed = [_plain_call(call) for call in message.tool_calls]
    calls, notes = tuple(call for call, _ in fixed), [note for _, note in fixed]
    message = _saying(message, message.text if message.text.strip() else "")
    if calls != message.tool_calls:
        message = replace(message, tool_calls=calls)
    return NormalForm(message, notes if any(notes) else ())


def _saying(message: Message, content: Content) -> Message:
    return message if content == message.content else replace(message, content=content)


def _plain_call(call: ToolCall) -> tuple[ToolCall, str]:
    """The call as endpoints take it, and what to tell the model of the difference."""
    notes = []
    name = call.name
    if not _PLAIN_NAME.fullmatch(name):
        name = _NOT_PLAIN.sub("_", name)[:_LONGEST_NAME] or "unnamed"
        notes.append(f"[The call named the tool {call.name!r}, which is no name that a tool can have.]")
    arguments = _object_text(call.arguments)
    if arguments is None:
        arguments = "{}"
        notes.append(f"[The arguments of the call were not the JSON of an object: {call.arguments}]")
    if name == call.name and arguments == call.arguments:
        return call, ""
    return replace(call, name=name, arguments=arguments), "\n".join(notes)


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _object_text(text: str) -> str | None:
    """The JSON text of the object that was meant, None where that is not clear."""
    if _is_object(text):
        return text
    if not text.strip():
        return "{}"
    try:
        meant = read_object(text, _read)
    except (ValueError, RecursionError):
        return None
    if meant is None:
        return "{}"
    return json.dumps(meant, ensure_ascii=False) if isinstance(meant, dict) else None


def _read(text: str) -> Any:
    # Not strict, as where the call is run: models write line ends into texts as they are.
    return json.loads(text, parse_constant=_refuse, strict=False)


def _refuse(name: str) -> None:
    raise ValueError(name)


def is_blank(content: Content) -> bool:
    return not content.strip() if isinstance(content, str) else not _without_blanks(content)


def _without_blanks(content: Content) -> Content:
    """The content without what says nothing; empty when nothing is left."""
    if isinstance(content, str):
        return content if content.strip() else ""
    if all(map(_says_something, content)):
        return content
    return [part for part in content if _says_something(part)]


def _says_something(part: ContentPart) -> bool:
    return part.get("type") != "text" or bool(str(part.get("text") or "").strip())
