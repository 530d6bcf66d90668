"""OpenAI's own client, and what tests say with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI

from tests.support.patience import WAIT_SECONDS


@asynccontextmanager
async def openai_client(server: Any, token: str, **options: Any) -> AsyncIterator[AsyncOpenAI]:
    """The client of whoever has this token; it sends nothing again by itself unless `max_retries` says so."""
    base = f"http://127.0.0.1:{server.port}/v1"
    given = {"max_retries": 0, "timeout": WAIT_SECONDS, **options}
    async with AsyncOpenAI(api_key=token, base_url=base, **given) as client:
        yield client


def user(content: Any) -> dict[str, Any]:
    """A message of the user."""
    return {"role": "user", "content": content}


async def chunks_of(stream: Any) -> list[Any]:
    """All chunks of a stream."""
    return [chunk async for chunk in stream]


def content_of(chunks: list[Any]) -> str:
    """The joined text of the answer."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def reasoning_of(chunks: list[Any]) -> str:
    """The joined reasoning, and what tools did."""
    found = (getattr(chunk.choices[0].delta, "reasoning_content", None) for chunk in chunks if chunk.choices)
    return "".join(piece or "" for piece in found)


def facts_of(chunks: list[Any]) -> dict[str, Any]:
    """What the last chunk but those of usage says that Chat Completions have no word for."""
    (facts,) = [chunk.myagent for chunk in chunks if hasattr(chunk, "myagent")]
    return dict(facts)


def said_by(events: list[Any]) -> str:
    """The joined text of a response."""
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def approvals(response: Any, approve: bool) -> list[dict[str, Any]]:
    """The same answer to all questions of a response."""
    asked = (item.id for item in response.output if item.type == "mcp_approval_request")
    return [{"type": "mcp_approval_response", "approval_request_id": name, "approve": approve} for name in asked]
