"""`ScriptedLLM`, a model for tests that follows a script.

llm = ScriptedLLM([call("weather", city="北京"), "It is sunny."])
agent = create_react_agent(tools=[Weather()], llm=llm)
assert await agent.arun("How is the weather?") == "It is sunny."
assert llm.requests[1].messages[-1].text == "sunny, 21 °C"
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from myagent.exceptions import StreamCut
from myagent.llm import Chunk, ReasoningChunk, Reply, TextChunk, ToolSchema, Usage
from myagent.llm.output_tool import OUTPUT_TOOL
from myagent.messages import Message, ToolCall
from myagent.text import pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """A whole reply of the script, with the model's reason to stop in `finish`, such as `length`.

    With `then`, that exception is raised after the text, in place of the reply.
    """

    text: str = ""
    calls: Sequence[ToolCall] = ()
    reasoning: str = ""
    usage: Usage = Usage(llm_calls=1)
    then: BaseException | None = None
    finish: str = ""


Line = str | ToolCall | Sequence[ToolCall] | Say | BaseException
Script = Iterable[Line | Callable[[Sequence[Message]], Line]]


class ScriptExhausted(AssertionError):
    """The model was asked more often than its script has replies."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the model: the messages and tools that it was sent."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSchema, ...]


def call(name: str, /, **arguments: Any) -> ToolCall:
    """A call of the tool `name` for a script; its id is set when the model replies with it."""
    return ToolCall(id="", name=name, arguments=json.dumps(arguments, ensure_ascii=False))


def output(**value: Any) -> ToolCall:
    """The answer of an agent that has an `output`, for a script: its value."""
    return call(OUTPUT_TOOL, **value)


def cut(text: str = "") -> Say:
    """A stream that breaks off after `text`."""
    return Say(text=text, then=StreamCut("the script cuts the stream here"))


class ScriptedLLM:
    """A model that replies with the items of `script`, one per request. Satisfies `LLM`.

    An item is a text, a tool call or several (see `call`), a `Say`, an exception to raise, or a function of the
    messages that returns one of these. With `gate`, every request waits until that event is set. `requests` are the
    requests so far, `closed` is how many streams were closed before their end.
    """

    def __init__(self, script: Script = (), *, gate: asyncio.Event | None = None, model: str = "scripted") -> None:
        self.model = model
        self.requests: list[Request] = []
        self.closed = 0
        self._script = deque(script)
        self._gate = gate
        self._news = asyncio.Condition()
        self._calls = 0

    def extend(self, script: Script) -> None:
        """Add replies to the end of the script."""
        self._script.extend(script)

    @property
    def remaining(self) -> int:
        """How many replies of the script have not been asked for."""
        return len(self._script)

    async def asked(self, times: int = 1) -> Request:
        """Wait until the model has been asked `times` times; returns that request."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.requests) >= times)
        return self.requests[times - 1]

    async def stream(self, messages: Sequence[Message], *, tools: Sequence[ToolSchema] = ()) -> AsyncGenerator[Chunk]:
        """Reply with the next item; see `myagent.llm.LLM.stream`. Raises `ScriptExhausted` when there is none."""
        self.requests.append(Request(tuple(messages), tuple(tools)))
        async with self._news:
            self._news.notify_all()
        try:
            if self._gate is not None:
                await self._gate.wait()
            say = self._next(messages)
            for piece in pieces(say.reasoning):
                yield ReasoningChunk(piece)
            for piece in pieces(say.text):
                yield TextChunk(piece)
            if say.then is not None:
                raise say.then
        except (GeneratorExit, asyncio.CancelledError):
            self.closed += 1
            raise
        yield Reply(Message.assistant(say.text, self._named(say.calls)), say.usage, say.finish)

    def _next(self, messages: Sequence[Message]) -> Say:
        if not self._script:
            raise ScriptExhausted(
                f"The model was asked {len(self.requests)} times, but its script has no more replies. "
                f"The last message was {messages[-1] if messages else None!r}."
            )
        item = self._script.popleft()
        if callable(item):
            item = item(messages)
        match item:
            case Say():
                return item
            case str():
                return Say(text=item)
            case ToolCall():
                return Say(calls=(item,))
            case BaseException():
                return Say(then=item)
            case _:
                return Say(calls=tuple(item))

    def _named(self, calls: Sequence[ToolCall]) -> list[ToolCall]:
        named = []
        for item in calls:
            self._calls += 1
            named.append(item if item.id else replace(item, id=f"call_{self._calls}"))
        return named
