"""The body of an endpoint's response as decoded chunks, whether it is streamed or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import aiohttp
import httpx2
import orjson

from myagent.exceptions import MyAgentError, StreamCut
from myagent.i18n import gettext as _
from myagent.llm.endpoint import Endpoint
from myagent.llm.sse import SSEReader

BROKEN = (httpx2.HTTPError, aiohttp.ClientError, OSError)
"""What a connection that breaks off raises."""

_DRAIN_SECONDS = 0.2
_DONE = b"[DONE]"


async def bursts(response: httpx2.Response, endpoint: Endpoint) -> AsyncGenerator[list[dict[str, Any]]]:
    """The chunks of a response, those that arrived together in one list.

    Raises `StreamCut` when it breaks off, and the `LLMError` for an error that the endpoint reports in the stream.
    """
    try:
        async with aclosing(_payloads(response, endpoint)) as reads:
            async for payloads in reads:
                chunks: list[dict[str, Any]] = []
                trouble = _decode(payloads, chunks, endpoint)
                # What came before the trouble was said, and is shown.
                yield chunks
                if trouble is not None:
                    raise trouble
    except BROKEN as error:
        raise StreamCut(_("The connection to the model broke off.")) from error


async def _payloads(response: httpx2.Response, endpoint: Endpoint) -> AsyncGenerator[list[bytes]]:
    kind = response.headers.get("content-type", "").lower()
    if "html" in kind:
        raise endpoint.not_the_api()
    if "json" in kind:
        yield [await response.aread()]
        return
    reader = SSEReader()
    async with aclosing(response.aiter_bytes()) as pieces:
        async for piece in pieces:
            payloads = reader.feed(piece)
            if _DONE in payloads:
                yield payloads[: payloads.index(_DONE)]
                await _drain(pieces)
                return
            yield payloads
    yield [payload for payload in reader.close() if payload != _DONE]


async def _drain(pieces: AsyncGenerator[bytes]) -> None:
    """Read the body to its end, or the connection cannot be used again; not worth waiting for, nor an error."""
    with suppress(*BROKEN):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _piece in pieces:
                pass


def _decode(payloads: list[bytes], chunks: list[dict[str, Any]], endpoint: Endpoint) -> MyAgentError | None:
    """Add what `payloads` hold to `chunks`; returns what is wrong with the next one, if anything is."""
    for payload in payloads:
        chunk = _loads(payload)
        if not isinstance(chunk, dict):
            return StreamCut(_("The model's endpoint sent something that is not JSON."))
        if error := chunk.get("error") or (chunk if chunk.get("object") == "error" else None):
            return endpoint.refused(None, error)
        chunks.append(chunk)
    return None


def _loads(payload: bytes) -> object:
    """The JSON in `payload`; None when it is none."""
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        # orjson refuses lone surrogates, which come from servers that split an emoji over two tokens.
        try:
            return json.loads(payload)
        except ValueError:
            return None
