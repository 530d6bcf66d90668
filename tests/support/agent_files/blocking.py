"""Tools that block their loop, at their first call or at each one, and keep a connection."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from myagent import create_react_agent, tool

_kept: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter, asyncio.Lock]] = {}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(b"echo " + line)


async def _said(word: str) -> str:
    reader, writer, turn = _kept["connection"]
    async with turn:
        writer.write(f"{word}\n".encode())
        return (await asyncio.wait_for(reader.readline(), 60)).decode().strip()


def _block(until: str) -> None:
    """Keep the thread for a second, and then until there is a file, if one is named."""
    time.sleep(0.9)
    while until and not Path(until).exists():
        time.sleep(0.02)


@tool
async def say(word: str, until: str = "") -> str:
    """Says a word over a connection that is opened at the first call, which also loads something."""
    if not _kept:
        _block(until)
        server = await asyncio.start_server(_answer, "127.0.0.1", 0)
        _kept["connection"] = *await asyncio.open_connection(*server.sockets[0].getsockname()), asyncio.Lock()
    return await _said(word)


@tool
async def ponder(word: str, until: str = "") -> str:
    """Says a word over the same connection, and blocks each time."""
    answer = await _said(word)
    _block(until)
    return answer


@tool
async def greet(name: str) -> str:
    """Shares nothing."""
    await asyncio.sleep(0)
    return f"Hello, {name}!"


agent = create_react_agent(name="blocking", tools=[say, ponder, greet], system_prompt="You say words.")
