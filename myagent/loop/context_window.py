"""Cuts a history to the model's context window, by whole exchanges; the newest are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from myagent.llm import Usage
from myagent.messages import Message

# No tokenizer fits every endpoint. These estimates are on the safe side for the common ones: a token is about four
# Latin letters, or hardly more than one Chinese character; a picture counts as a large one does at OpenAI.
_ASCII_PER_TOKEN = 3.5
_TOKENS_PER_OTHER = 1.0
_TOKENS_PER_IMAGE = 1_000
_TOKENS_PER_MESSAGE = 6
_BYTES_PER_TOKEN = 3
FILE_TEXT_BYTES = 200_000
"""Of a text file, what the model is sent at most."""
TEXT_TYPES = frozenset({"application/json", "application/xml", "application/x-yaml"})
"""Of texts, beside those that begin with `text/`."""
_SENT_OF_OTHERS = 200
"""Bytes that say what another file is called."""


def estimate_tokens(message: Message) -> int:
    """An estimate of the tokens of `message`, rather too high than too low; remembered with it."""
    try:
        return message.estimated_tokens
    except AttributeError:
        estimate = _estimate(message)
        object.__setattr__(message, "estimated_tokens", estimate)  # frozen: what it says does not change
        return estimate


def estimate_usage(prompt: Sequence[Message], reply: Message) -> Usage:
    """An estimate of what a call of the model took, for endpoints that do not tell; the call itself is not counted."""
    return Usage(sum(map(estimate_tokens, prompt)), estimate_tokens(reply), llm_calls=0)


def _estimate(message: Message) -> int:
    text = message.text + "".join(call.name + call.arguments for call in message.tool_calls)
    others = 0 if text.isascii() else len(text) - len(text.encode("ascii", "ignore"))
    return round(
        (len(text) - others + _added(message)) / _ASCII_PER_TOKEN
        + others * _TOKENS_PER_OTHER
        + len(message.pictures) * _TOKENS_PER_IMAGE
        + sum(map(_file_bytes, message.attachments)) / _BYTES_PER_TOKEN
        + _TOKENS_PER_MESSAGE
    )


def _file_bytes(facts: Mapping[str, Any]) -> int:
    """Bytes of text that the model is sent in the place of a file; a picture is counted as such."""
    kind, size = str(facts.get("type", "")), facts.get("size")
    if kind.startswith("image/"):
        return 0
    is_text = kind.startswith("text/") or kind in TEXT_TYPES
    return _SENT_OF_OTHERS + (min(size, FILE_TEXT_BYTES) if is_text and isinstance(size, int) else 0)


def fit(history: Sequence[Message], budget: int) -> list[Message]:
    """The newest whole exchanges of `history` that fit into `budget` tokens; the last one always stays.

    An exchange is a user's message with all that follows it up to the next one, so a tool call is never split from
    its result.
    """
    if sum(map(estimate_tokens, history)) <= budget:
        return list(history)
    kept = len(history)
    spent = 0
    for start, end in reversed(exchanges(history)):
        spent += sum(map(estimate_tokens, history[start:end]))
        if spent > budget and kept < len(history):
            break
        kept = start
    return list(history[kept:])


def _added(message: Message) -> int:
    """Characters of what the endpoint added to the message, which goes back to it."""
    return 0 if message.provider_data is None else message.provider_data.size


def exchanges(history: Sequence[Message]) -> list[tuple[int, int]]:
    """Where each exchange of `history` begins and ends; what precedes the first message of the user is one, too."""
    starts = [index for index, message in enumerate(history) if message.role == "user"]
    if not starts or starts[0] != 0:
        starts.insert(0, 0)
    return list(zip(starts, [*starts[1:], len(history)], strict=True))
