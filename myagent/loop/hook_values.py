"""What hooks may return, at each of their points. All raise `HookFailed` for what is of no use there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from myagent.hooks import Hook, HookedAnswer
from myagent.loop.author_code import wrong_value
from myagent.messages import Message
from myagent.text import clean
from myagent.tool.base_tool import ToolResult, to_result


def as_user_message(hook: Hook, given: Any, message: Message) -> Message:
    """What the model is to read of the user's message."""
    if isinstance(given, str):
        text = clean(given)
        if isinstance(message.content, str):
            return Message.user(text)
        others = [part for part in message.content if part.get("type") != "text"]
        return Message.user([{"type": "text", "text": text}, *others])
    if isinstance(given, Message) and given.role == "user":
        return given
    raise wrong_value(hook, given)


def as_prompt(hook: Hook, given: Any, prompt: list[Message]) -> list[Message]:
    """What the model is to be sent."""
    if isinstance(given, Sequence) and given and all(isinstance(item, Message) for item in given):
        return list(given)
    raise wrong_value(hook, given)


def as_reply(hook: Hook, given: Any, reply: Message) -> Message:
    """What counts as the model's reply."""
    if isinstance(given, str):
        given = Message.assistant(clean(given), reply.tool_calls)
    if not (isinstance(given, Message) and given.role == "assistant" and (given.text.strip() or given.tool_calls)):
        raise wrong_value(hook, given)
    # What the endpoint has signed is not this message any more.
    return reply if given == reply else replace(given, provider_data=None)


def as_arguments(hook: Hook, given: Any) -> Mapping[str, Any]:
    """What the tool is to be called with."""
    if isinstance(given, Mapping):
        return given
    raise wrong_value(hook, given)


def as_result(hook: Hook, given: Any) -> ToolResult:
    """What counts as the result of the call."""
    if isinstance(given, str | ToolResult):
        return to_result(given)
    raise wrong_value(hook, given)


def as_answer(hook: Hook, given: Any, answer: HookedAnswer) -> HookedAnswer:
    """What is shown as the answer."""
    if isinstance(given, str) and given.strip():
        return replace(answer, text=clean(given))
    raise wrong_value(hook, given)
