"""Shortens the results of tools within one exchange that is too long for the model by itself: first their pictures are
left out, then the ends of their texts. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from myagent.loop.context_window import estimate_tokens
from myagent.messages import Message

MARK = "[… shortened: {count} more characters of this result were left out, as the conversation is too long]"
_MARK_BEGINS = "\n" + MARK.partition("{")[0]
PICTURES_LEFT_OUT = "[… its pictures were left out, as the conversation is too long]"
_FEWEST_CHARACTERS = 200
"""What is left of a result at least, so that the model knows what it was."""


def shorten_results(messages: Sequence[Message], room: int) -> list[Message]:
    """`messages` with results shortened until they fit into `room` tokens, or until no more can be left out.

    The oldest come first: the model has seen these before, and the newest are what it is about to answer.
    """
    shortened = list(messages)
    excess = sum(map(estimate_tokens, messages)) - room
    for index, message in enumerate(messages):
        if excess <= 0:
            break
        if message.role == "tool":
            shortened[index] = _shortened(message, excess)
            excess -= estimate_tokens(message) - estimate_tokens(shortened[index])
    return shortened


def _shortened(result: Message, excess: int) -> Message:
    if result.pictures:
        tokens = estimate_tokens(result)
        result = replace(result, content=f"{result.text}\n{PICTURES_LEFT_OUT}")
        excess -= tokens - estimate_tokens(result)
        if excess <= 0:
            return result
    text, _, before = result.text.partition(_MARK_BEGINS)
    left_out = int(before.split()[0]) if before[:1].isdigit() else 0
    tokens = estimate_tokens(result)
    kept = max(_FEWEST_CHARACTERS, len(text) * max(0, tokens - excess - len(MARK)) // tokens)
    if kept + len(MARK) >= len(text):
        return result
    mark = MARK.format(count=len(text) - kept + left_out)
    return replace(result, content=f"{text[:kept]}\n{mark}")
