"""What a client of AG-UI holds after these events; it refuses what comes in an order that AG-UI 1.0 forbids."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

Event = dict[str, Any]
Message = dict[str, Any]

_OPENING = {"STEP_STARTED": "stepName", "TEXT_MESSAGE_START": "messageId", "TOOL_CALL_START": "toolCallId"}
_OPENING |= {"REASONING_START": "messageId", "REASONING_MESSAGE_START": "messageId"}
_CLOSING = {"STEP_FINISHED": "STEP_STARTED", "TEXT_MESSAGE_END": "TEXT_MESSAGE_START"}
_CLOSING |= {"TOOL_CALL_END": "TOOL_CALL_START", "REASONING_END": "REASONING_START"}
_CLOSING |= {"REASONING_MESSAGE_END": "REASONING_MESSAGE_START"}
_WITHIN = {"TEXT_MESSAGE_CONTENT": "TEXT_MESSAGE_START", "TOOL_CALL_ARGS": "TOOL_CALL_START"}
_WITHIN |= {"REASONING_MESSAGE_CONTENT": "REASONING_MESSAGE_START"}


class Reducer:
    """One client. `messages` are those that it holds, activities left out."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self.messages: list[Message] = list(messages)
        self.is_running = False
        self._open: set[tuple[str, str]] = set()

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            self._check(event)
            self._apply(deepcopy(event))

    def lose_connection(self) -> None:
        """Nothing is open in the next answer."""
        self.is_running, self._open = False, set()

    def _check(self, event: Event) -> None:
        kind = event["type"]
        assert self.is_running != (kind == "RUN_STARTED"), (kind, "outside of a run")
        if kind in _OPENING:
            key = kind, event[_OPENING[kind]]
            assert key not in self._open, f"{key} is open"
            self._open.add(key)
        elif kind in _CLOSING or kind in _WITHIN:
            opener = _CLOSING.get(kind) or _WITHIN[kind]
            key = opener, event[_OPENING[opener]]
            assert key in self._open, f"{kind} of {key}, which is not open"
            if kind in _CLOSING:
                self._open.remove(key)
        elif kind in ("RUN_FINISHED", "RUN_ERROR"):
            assert not self._open, self._open
        assert event.get("delta", "something") != "", event
        self.is_running = kind not in ("RUN_FINISHED", "RUN_ERROR")

    def _apply(self, event: Event) -> None:
        match event:
            case {"type": "TEXT_MESSAGE_START", "messageId": name, "role": role}:
                self._make(name, role).setdefault("content", "")
            case {"type": "REASONING_MESSAGE_START", "messageId": name}:
                self._make(name, "reasoning").setdefault("content", "")
            case {"type": "TEXT_MESSAGE_CONTENT" | "REASONING_MESSAGE_CONTENT", "messageId": name, "delta": delta}:
                self._find(name)["content"] += delta
            case {"type": "TOOL_CALL_START", "toolCallId": call, "toolCallName": tool, "parentMessageId": parent}:
                function = {"name": tool, "arguments": ""}
                calls = self._make(parent, "assistant").setdefault("toolCalls", [])
                calls.append({"id": call, "type": "function", "function": function})
            case {"type": "TOOL_CALL_ARGS", "toolCallId": name, "delta": delta}:
                (call,) = [one for said in self.messages for one in said.get("toolCalls", ()) if one["id"] == name]
                call["function"]["arguments"] += delta
            case {"type": "TOOL_CALL_RESULT", "messageId": name, "toolCallId": call}:
                kept = {key: event[key] for key in ("role", "toolCallId", "content", "metadata")}
                at = next(at for at, said in enumerate(self.messages) if call in _calls_of(said)) + 1
                while at < len(self.messages) and self.messages[at]["role"] == "tool":
                    at += 1
                self.messages.insert(at, {"id": name, **kept})
            case {"type": "MESSAGES_SNAPSHOT", "messages": told}:
                has_reasoning = any(one["role"] == "reasoning" for one in told)
                ids = {one["id"] for one in told}
                kept = [] if has_reasoning else [one for one in self.messages if one["role"] == "reasoning"]
                self.messages = [*told, *(one for one in kept if one["id"] not in ids)]

    def _find(self, name: str) -> Message:
        (found,) = [one for one in self.messages if one["id"] == name]
        return found

    def _make(self, name: str, role: str) -> Message:
        if all(one["id"] != name for one in self.messages):
            self.messages.append({"id": name, "role": role})
        return self._find(name)


def _calls_of(message: Message) -> list[str]:
    return [call["id"] for call in message.get("toolCalls", ())]
