"""What the model of the tests can do with a request."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any


class Gate:
    """Holds a reply up until it is opened, from any thread. `entered` is set when a reply waits."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._opened: Future[None] = Future()

    def open(self) -> None:
        """Let the reply go on."""
        if not self._opened.done():
            self._opened.set_result(None)

    async def wait(self) -> None:
        """Wait until the gate is open."""
        self.entered.set()
        # Shielded, because cancelling the wrapper would cancel the gate itself.
        await asyncio.shield(asyncio.wrap_future(self._opened))


@dataclass(kw_only=True)
class Reply:
    """A reply of the model, streamed if the request asks for it.

    `delay` is the pause before each token in seconds; `finish` None ends the stream without a word; `cut` closes the
    TCP connection after so many tokens; `hang` waits for `gate.open()` after so many tokens (0: before the first, with
    the headers sent). `streams` False answers JSON whatever the request asks for.
    """

    tokens: Sequence[str] = ()
    calls: Sequence[tuple[str, Any]] = ()
    reasoning: Sequence[str] = ()
    delay: float = 0.0
    finish: str | None = ""
    cut: int | None = None
    hang: int | None = None
    streams: bool = True
    usage: bool = True
    call_ids: Sequence[str] | None = None
    gate: Gate = field(default_factory=Gate)

    @property
    def finish_reason(self) -> str | None:
        """What the last chunk says."""
        return ("tool_calls" if self.calls else "stop") if self.finish == "" else self.finish

    def deltas(self) -> Iterable[dict[str, Any]]:
        """The deltas of the stream, without the finish."""
        yield from ({"reasoning_content": piece} for piece in self.reasoning)
        yield from ({"content": token} for token in self.tokens)
        for index, (name, arguments) in enumerate(self.calls):
            text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
            half = len(text) // 2
            opening = {"index": index, "id": self.call_id(index), "type": "function"}
            yield {"tool_calls": [opening | {"function": {"name": name, "arguments": ""}}]}
            for part in (text[:half], text[half:]):
                yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}

    def call_id(self, index: int) -> str:
        """The id of a tool call."""
        return self.call_ids[index] if self.call_ids else f"call_{id(self):x}_{index}"

    def message(self) -> dict[str, Any]:
        """The whole message, for a reply that is not streamed."""
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.tokens)}
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.calls:
            message["tool_calls"] = [
                {
                    "id": self.call_id(index),
                    "type": "function",
                    "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)},
                }
                for index, (name, arguments) in enumerate(self.calls)
            ]
        return message


@dataclass
class Status:
    """An HTTP error, in OpenAI's shape unless `body` is given."""

    status: int
    message: str = "the script says no"
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None


@dataclass
class Raw:
    """An answer byte for byte; ends the body after it."""

    body: bytes
    content_type: str = "text/event-stream"


@dataclass
class NoStreaming:
    """Refuses `stream` with 400 and answers `reply` as JSON otherwise."""

    reply: Reply


@dataclass
class NoStreamOptions:
    """Refuses `stream_options` with 400 and streams `reply` otherwise."""

    reply: Reply


@dataclass
class Silence:
    """Sends nothing at all until `gate.open()`, not even headers."""

    gate: Gate = field(default_factory=Gate)


Behaviour = Reply | Status | Raw | NoStreaming | NoStreamOptions | Silence
Choose = Callable[[dict[str, Any]], Behaviour]


def text(words: str | int = "Hello from the model.", **options: Any) -> Reply:
    """A text, one token per word (each Chinese character is a word); a number gives so many tokens."""
    tokens = [f"t{number} " for number in range(words)] if isinstance(words, int) else split(words)
    return Reply(tokens=tokens, **options)


def tools(*calls: tuple[str, Any], **options: Any) -> Reply:
    """Tool calls, as pairs of name and arguments; text arguments are sent as they are."""
    return Reply(calls=calls, **options)


def split(words: str) -> list[str]:
    """Tokens that joined are `words`."""
    return re.findall(r"[\x21-\x7e]+\s*|\s+|[^\x00-\x7e]", words)


def smart(body: dict[str, Any]) -> Reply:
    """Does what the newest message asks for.

    `call:NAME {json}` (several lines: several calls) calls tools, `tokens:N` answers N tokens, `delay:MS` waits before
    each, `think:TEXT` reasons first; the results of tools are repeated, anything else is echoed.
    """
    messages = body["messages"]
    asked = max(at for at, message in enumerate(messages) if message["role"] == "user")
    content = messages[asked]["content"]
    said = content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
    said = said.rpartition("\n\n")[2]  # messages that were not answered stand before it in the same one
    delay = int(found[1]) / 1000 if (found := re.search(r"\bdelay:(\d+)", said)) else 0.0
    thoughts = split(found[1]) if (found := re.search(r"\bthink:(\S+)", said)) else ()
    results = [str(message["content"]) for message in messages[asked:] if message["role"] == "tool"]
    if results:
        return text("Result: " + " | ".join(results), delay=delay)
    calls = re.findall(r"\bcall:(\w+)(?:[ \t]+(\{.*\}))?", said)
    if calls and body.get("tools"):
        return tools(*((name, arguments or "{}") for name, arguments in calls), reasoning=thoughts, delay=delay)
    if found := re.search(r"\btokens:(\d+)", said):
        return text(int(found[1]), reasoning=thoughts, delay=delay)
    return text("You said: " + said, reasoning=thoughts, delay=delay)
