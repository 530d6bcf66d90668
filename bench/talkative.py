"""The agent that `bench.scrolling` talks with: it calls a tool and answers in Markdown, as models write it.

`exchange 7` is answered with a call of the tool and the seventh of many answers, `write 200000` with one answer of so
many characters, piece by piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from myagent import create_react_agent, tool
from myagent.llm import Chunk, Reply, TextChunk, Usage
from myagent.messages import Message, ToolCall

PIECE = 500
PIECE_SECONDS = 0.01
_WORDS = "the query reads each row once and keeps what it found in a table of its own so that nothing is read twice "
_CODE = '''```python
class Rows{number}:
    """Rows that were read, by their id."""

    def __init__(self, limit: int = {number}) -> None:
        self._rows: dict[int, tuple[str, float]] = {{}}
        self._limit = limit

    def take(self, row: tuple[int, str, float]) -> bool:
        # What is full takes nothing more.
        if len(self._rows) >= self._limit:
            return False
        self._rows[row[0]] = (row[1].strip().lower(), row[2] * 1.{number})
        return True
```
'''
_TABLE = "| step | rows | time |\n|---|--:|--:|\n" + "".join(f"| part {n} | {n * 37} | {n}.5 ms |\n" for n in range(6))
_LIST = "".join(f"- **point {n}** with `code{n}` and [a link](https://example.org/{n})\n" for n in range(5))


def section(number: int) -> str:
    """A piece of an answer; neighbours are different."""
    parts = [f"Section {number}: {_WORDS * (1 + number % 3)}".strip() + "."]
    if number % 2 == 0:
        parts.append(_CODE.format(number=number))
    if number % 3 == 0:
        parts.append(_LIST)
    if number % 4 == 0:
        parts.append(_TABLE)
    if number % 7 == 0:
        parts.append(f"It takes $n \\log n + {number}$ steps.")
    return "\n\n".join(parts)


def long_answer(size: int) -> str:
    """About so many characters of Markdown."""
    parts: list[str] = []
    while sum(map(len, parts)) < size:
        number = len(parts)
        parts.append(f"## Part {number}\n\n{section(number)}\n\n")
    return "".join(parts)


class Talkative:
    """A model that needs no server."""

    model = "talkative"

    async def stream(self, messages: Sequence[Message], *, tools: Sequence[Any] = ()) -> AsyncIterator[Chunk]:
        """Answer the last thing that was said; see the module."""
        wish, number = next(message for message in reversed(messages) if message.role == "user").text.split()
        if wish == "exchange" and messages[-1].role == "user":
            call = ToolCall(id="", name="look_up", arguments=f'{{"number": {number}}}')
            yield Reply(Message.assistant("", [call]), Usage(llm_calls=1), finish="tool_calls")
            return
        text = long_answer(int(number)) if wish == "write" else section(int(number))
        for at in range(0, len(text), PIECE):
            yield TextChunk(text[at : at + PIECE])
            await asyncio.sleep(PIECE_SECONDS if wish == "write" else 0)
        yield Reply(Message.assistant(text), Usage(llm_calls=1), finish="stop")


@tool
async def look_up(number: int) -> dict[str, Any]:
    """Look something up."""
    return {"number": number, "rows": [{"id": n, "name": f"row {n}", "size": n * number} for n in range(5)]}


agent = create_react_agent(name="talkative", llm=Talkative(), tools=[look_up], system_prompt="You answer.")
