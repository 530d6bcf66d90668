"""Cuts a history to the model's context window, by whole exchanges; the newest are kept."""

from __future__ import annotations

from collections.abc import Sequence

from myagent.messages import Message

# No tokenizer fits every endpoint. These estimates are on the safe side for the common ones: a token is about four
# Latin letters, or hardly more than one Chinese character; a picture counts as a large one does at OpenAI.
_ASCII_PER_TOKEN = 3.5
_TOKENS_PER_OTHER = 1.0
_TOKENS_PER_IMAGE = 1_000
_TOKENS_PER_MESSAGE = 6


def estimate_tokens(message: Message) -> int:
    """An estimate of the tokens of `message`, rather too high than too low."""
    text = message.text + "".join(call.name + call.arguments for call in message.tool_calls)
    others = 0 if text.isascii() else sum(1 for character in text if ord(character) > 127)
    images = 0 if isinstance(message.content, str) else sum(part.get("type") != "text" for part in message.content)
    return round(
        (len(text) - others + _added(message)) / _ASCII_PER_TOKEN
        + others * _TOKENS_PER_OTHER
        + images * _TOKENS_PER_IMAGE
        + _TOKENS_PER_MESSAGE
    )


def fit(history: Sequence[Message], budget: int) -> list[Message]:
    """The newest whole exchanges of `history` that fit into `budget` tokens; the last one always stays.

    An exchange is a user's message with all that follows it up to the next one, so a tool call is never split from
    its result.
    """
    # Text has hardly ever more tokens than characters, so most histories need no closer estimate.
    if sum(_most_tokens(message) for message in history) <= budget:
        return list(history)
    kept = len(history)
    spent = 0
    for start, end in reversed(exchanges(history)):
        spent += sum(estimate_tokens(message) for message in history[start:end])
        if spent > budget and kept < len(history):
            break
        kept = start
    return list(history[kept:])


def _added(message: Message) -> int:
    """Characters of what the endpoint added to the message, which goes back to it."""
    return 0 if message.provider_data is None else message.provider_data.size


def _most_tokens(message: Message) -> int:
    if not isinstance(message.content, str):
        return estimate_tokens(message)
    return (
        len(message.content)
        + sum(len(call.name) + len(call.arguments) for call in message.tool_calls)
        + _added(message)
        + _TOKENS_PER_MESSAGE
    )


def exchanges(history: Sequence[Message]) -> list[tuple[int, int]]:
    """Where each exchange of `history` begins and ends; what precedes the first message of the user is one, too."""
    starts = [index for index, message in enumerate(history) if message.role == "user"]
    if not starts or starts[0] != 0:
        starts.insert(0, 0)
    return list(zip(starts, [*starts[1:], len(history)], strict=True))
