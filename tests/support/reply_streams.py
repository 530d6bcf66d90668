"""Streams of a model as endpoints write them, made up by chance, and broken in every way that chance finds.

`python -m tests.support.reply_streams 1000000` reads so many of them and checks what comes out.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from myagent.exceptions import LLMError, StreamCut
from myagent.llm import ReasoningChunk, Reply, TextChunk, TextWasReasoning
from myagent.llm.http.endpoint import Endpoint
from myagent.llm.http.stream import ResponseBody, unfinished
from myagent.llm.replies.reply import ReplyBuilder

TOOLS = ("get_weather", "get", "weather", "sum")
WORDS = (
    "Hello",
    " there",
    ", ",
    "\n\n",
    "你好",
    " 😀",
    "1 < 2",
    "<b>",
    " </",
    "[x]",
    "{",
    "}",
    "data:",
    " [DONE]",
    "`</think>`",
)
VALUES: tuple[Any, ...] = ({}, {"x": 1}, {"x": "a\nb"}, {"text": "}{"}, {"x": {"y": [1, {}]}}, {"q": '"', "r": "你"})
JUNK: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    "",
    "x",
    [],
    {},
    [[]],
    {"text": 1},
    "\ud800",
    "0",
    [{"text": "t"}],
)
ENDPOINT = Endpoint("model", "key-of-nobody", "http://127.0.0.1:9/v1")


@dataclass
class Said:
    """What a model says."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)


@dataclass
class Heard:
    """What came out of a stream: the reply, or why there is none; and what was shown."""

    reply: Reply | None = None
    error: Exception | None = None
    text: str = ""
    reasoning: str = ""


class _Answer:
    """An answer that comes in these pieces."""

    is_at_end = False

    def __init__(self, body: bytes, label: str, cuts: list[int]) -> None:
        self.content_type = label
        pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        self._pieces = iter([piece for piece in pieces if piece])

    async def read(self) -> bytes:
        return next(self._pieces, b"")

    async def close(self) -> None:
        pass


async def hear(body: bytes, label: str = "text/event-stream", cuts: list[int] | None = None) -> Heard:
    """Read a body as `OpenAILLM.stream` does."""
    heard = Heard()
    source = ResponseBody(_Answer(body, label, cuts or []), ENDPOINT)
    builder = ReplyBuilder(TOOLS)
    try:
        try:
            while (chunks := await source.read()) is not None:
                _show(heard, builder.add(*chunks))
        except StreamCut:
            if not builder.finished:
                raise
        if builder.error is not None:
            raise unfinished(ENDPOINT.refused(None, builder.error))
        _show(heard, builder.close())
        heard.reply = builder.reply(is_whole=source.is_whole)
    except (StreamCut, LLMError) as error:
        heard.error = error
    finally:
        await source.close()
    return heard


def _show(heard: Heard, items: list[TextChunk | ReasoningChunk | TextWasReasoning]) -> None:
    for item in items:
        match item:
            case TextChunk(text=text):
                heard.text += text
            case ReasoningChunk(text=text):
                heard.reasoning += text
            case TextWasReasoning(text=text):
                assert text == heard.text, "what was shown as text has to be said whole"
                heard.text, heard.reasoning = "", heard.reasoning + text


# --- whole streams ----------------------------------------------------------------------------------------------------


def say(random: Random) -> Said:
    """Something to say: text, calls or both."""
    said = Said()
    if random.random() < 0.4:
        said.reasoning = "Hm" + "".join(random.choices(WORDS[:5], k=random.randrange(4)))
    if random.random() < 0.6:
        said.calls = [(random.choice(TOOLS), random.choice(VALUES)) for _ in range(random.randrange(1, 5))]
    if not said.calls or random.random() < 0.3:
        said.text = "Well" + "".join(random.choices(WORDS, k=random.randrange(8)))
    return said


def deltas(said: Said, random: Random) -> Iterator[dict[str, Any]]:
    """What `said` is in the dialect of some endpoint."""
    thinks_in_text = random.random() < 0.3
    content = said.text
    if said.reasoning and thinks_in_text:
        # Without an opening mark it is in the template of the model.
        opening = random.choice(("<think>", "<think>\n", "\n<think>", "<thinking>", ""))
        closing = "</thinking>" if "ing>" in opening else "</think>"
        content = f"{opening}{said.reasoning}{closing}{random.choice(('', chr(10), chr(10) * 2))}{said.text}"
    elif said.reasoning:
        name = random.choice(("reasoning_content", "reasoning"))
        yield from ({name: piece} for piece in _cut(said.reasoning, random))
    yield from ({"content": piece} for piece in _cut(content, random))
    yield from _call_deltas(said.calls, random)


def _call_deltas(calls: list[tuple[str, Any]], random: Random) -> Iterator[dict[str, Any]]:
    has_ids, repeats_id, repeats_name = random.random() < 0.6, random.random() < 0.3, random.random() < 0.3
    index = random.choice(("right", "right", "zero", "none"))
    whole, as_object, in_one = random.random() < 0.4, random.random() < 0.2, random.random() < 0.3
    together: list[dict[str, Any]] = []
    for number, (name, value) in enumerate(calls):
        written = json.dumps(value, ensure_ascii=random.random() < 0.5)
        pieces: list[Any] = [value] if as_object else [written] if whole or in_one else ["", *_cut(written, random)]
        for at, piece in enumerate(pieces):
            function = {"arguments": piece}
            part: dict[str, Any] = {"function": function}
            if not at or repeats_name:
                function["name"] = name
            if has_ids and (not at or repeats_id):
                part["id"] = f"call_{number}"
            if index != "none":
                part["index"] = number if index == "right" else 0
            together.append(part)
    if in_one:
        yield {"tool_calls": together}
    else:
        yield from ({"tool_calls": [part]} for part in together)


def write(said: Said, random: Random) -> tuple[bytes, str]:
    """A body that says it, and its label."""
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas(said, random)]
    word = random.choice(("stop", "tool_calls" if said.calls else "stop", None))
    if word is not None:
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": word}]})
    if random.random() < 0.5:
        chunks.append({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
    ends = word is None or random.random() < 0.8
    newline = random.choice((b"\n", b"\r\n"))
    between = newline if random.random() < 0.2 else newline * 2
    prefix = random.choice((b"data: ", b"data:"))
    noise = (
        (b"data:", b"data: ", b": ping", b"data: : ping", b"event: message", b"data: ping", b"id: 7")
        if between != newline
        else (b": ping",)
    )
    lines: list[bytes] = []
    for chunk in chunks:
        if random.random() < 0.1:
            lines.append(random.choice(noise))
        lines.append(prefix + json.dumps(chunk, ensure_ascii=random.random() < 0.5).encode())
    if ends:
        lines.append(prefix + b"[DONE]")
    body = between.join(lines) + random.choice((between, newline, b""))
    label = random.choice(
        ("text/event-stream", "text/event-stream; charset=utf-8", "application/json", "text/plain", "")
    )
    return (b"\xef\xbb\xbf" if random.random() < 0.1 else b"") + body, label


def _cut(text: str, random: Random) -> Iterator[str]:
    while text:
        size = random.choice((1, 2, 3, 5, 8, 40))
        yield text[:size]
        text = text[size:]


def cuts(body: bytes, random: Random) -> list[int]:
    """Where the network cuts a body."""
    return sorted(random.randrange(len(body) + 1) for _ in range(random.choice((0, 0, 1, 3, 10))))


async def check_whole(random: Random) -> None:
    """A stream in an odd dialect says what it was made of."""
    said = say(random)
    body, label = write(said, random)
    heard = await hear(body, label, cuts(body, random))
    assert heard.reply is not None, (body, heard.error)
    message = heard.reply.message
    calls = [(call.name, json.loads(call.arguments)) for call in message.tool_calls]
    assert calls == said.calls, (body, calls)
    assert message.text == heard.text and heard.text.lstrip("\n") == said.text.lstrip("\n"), (body, heard)
    assert heard.reasoning.strip() == said.reasoning.strip(), (body, heard)


# --- broken streams ---------------------------------------------------------------------------------------------------


def break_up(body: bytes, random: Random) -> bytes:
    """The body with bytes that were lost, doubled, changed or exchanged, or with other JSON in it."""
    for _ in range(random.choice((1, 1, 2, 5))):
        start = random.randrange(len(body) + 1)
        end = min(len(body), start + random.choice((1, 2, 20, 200)))
        match random.randrange(6):
            case 0:
                body = body[:start] + body[end:]
            case 1:
                body = body[:end] + body[start:]
            case 2:
                body = body[:start] + random.randbytes(random.randrange(4)) + body[end:]
            case 3:
                body = body[:start]
            case 4:
                lines = body.split(b"\n")
                random.shuffle(lines)
                body = b"\n".join(lines)
            case _:
                body = b"\n".join(_with_junk(line, random) for line in body.split(b"\n"))
    return body


def _with_junk(line: bytes, random: Random) -> bytes:
    if random.random() > 0.2 or not line.startswith(b"data:"):
        return line
    try:
        value = json.loads(line[5:])
    except ValueError:
        return line
    place = value
    while isinstance(place, dict | list) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = random.choice(keys)
        if random.random() < 0.3 or not isinstance(place[key], dict | list):
            place[key] = random.choice(JUNK)
            break
        place = place[key]
    return b"data: " + json.dumps(value).encode()


async def check_broken(random: Random) -> None:
    """A broken stream ends in a reply that holds nothing but what was sent, or in an error that the loop knows."""
    body, label = write(say(random), random)
    body = break_up(body, random)
    heard = await hear(body, label, cuts(body, random))
    if heard.reply is None:
        assert isinstance(heard.error, StreamCut | LLMError) and str(heard.error), body
        return
    message = heard.reply.message
    message.text.encode()
    assert message.text == heard.text, (body, heard)
    ids = [call.id for call in message.tool_calls]
    assert len(set(ids)) == len(ids) and all(ids), body
    names = {call.name for call in message.tool_calls if call.name.isascii()}
    assert all(name.encode() in body or json.dumps(name)[1:-1].encode() in body for name in names), (body, names)
    assert heard.reply.usage.input_tokens >= 0 and heard.reply.usage.output_tokens >= 0


async def check(count: int, seed: int) -> None:
    """Read `count` streams of both kinds."""
    random = Random(seed)
    for _ in range(count // 2):
        await check_whole(random)
        await check_broken(random)


def main() -> None:
    """Read as many streams as the first argument says, with the second as the seed."""
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    began = time.monotonic()
    asyncio.run(check(count, seed))
    sys.stdout.write(f"{count} streams, seed {seed}: {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
