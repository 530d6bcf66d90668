"""Reads the body of an endpoint's response: server-sent events, or one JSON body, as decoded chunks."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import aiohttp
import httpx2
import orjson

from myagent.exceptions import MyAgentError, StreamCut
from myagent.i18n import gettext as _
from myagent.llm.endpoint import Endpoint
from myagent.llm.error_body import is_error

BROKEN = (httpx2.HTTPError, aiohttp.ClientError, OSError)
"""The exceptions of a connection that breaks off."""

_DRAIN_SECONDS = 0.2
_DONE = b"[DONE]"
_FIELD = re.compile(rb"[a-z]*:")
_MOST_STRAY = 4_096


class SSEReader:
    """A parser of server-sent events: takes the body in pieces of any size and returns the data of each event.

    Lines end with LF or CRLF (no model server uses a lone CR). Comments and all fields but `data` are skipped, and a
    field `error` is an event of its own. A body without any event is an error, in words that nobody put into a field.
    """

    __slots__ = ("_data", "_is_stream", "_rest", "_stray")

    def __init__(self) -> None:
        self._rest = bytearray()  # a line whose end has not come yet
        self._data: list[bytes] = []  # the data lines of an event whose end has not come yet
        self._is_stream = False
        self._stray = b""  # what is no field, as long as there is no event

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of the events that `piece` completes; several data lines are joined by LF."""
        if b"\n" not in piece:
            self._rest += piece
            return []
        if self._rest:
            self._rest += piece
            piece = bytes(self._rest)
            self._rest.clear()
        *lines, rest = piece.split(b"\n")
        self._rest += rest
        complete: list[bytes] = []
        for line in lines:
            self._take(line, complete)
        return complete

    def close(self) -> list[bytes]:
        """End the body; returns the data of an event whose blank line is missing."""
        complete: list[bytes] = []
        self._take(bytes(self._rest), complete)
        self._take(b"", complete)
        self._rest.clear()
        if not self._is_stream and (stray := self._stray.strip()):
            complete.append(stray if isinstance(_loads(stray), dict) else _as_error(stray))
        return complete

    def _take(self, line: bytes, complete: list[bytes]) -> None:
        if line.endswith(b"\r"):
            line = line[:-1]
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line.startswith(b" ", 5) else line[5:])
        elif line == b"data":
            self._data.append(b"")
        elif line[:6].lower() == b"error:":  # no field of the standard; llama.cpp and others have it
            self._data.append(_as_error(line[len(b"error:") :].strip()))
        elif line and not self._is_stream and not _FIELD.match(line) and len(self._stray) < _MOST_STRAY:
            self._stray += line + b"\n"
        elif not line and self._data:
            self._is_stream = True
            complete.append(b"\n".join(self._data))
            self._data.clear()


def _as_error(said: bytes) -> bytes:
    """The event that reports what a field `error` says, which is JSON or text."""
    return orjson.dumps({"error": _loads(said) or said.decode(errors="replace") or "error"})


async def bursts(response: httpx2.Response, endpoint: Endpoint) -> AsyncGenerator[list[dict[str, Any]]]:
    """The chunks of a response, those that arrived together in one list.

    Raises `StreamCut` when it breaks off, and the `LLMError` for an error that the endpoint reports in the stream.
    """
    try:
        async with aclosing(_payloads(response, endpoint)) as reads:
            async for payloads in reads:
                chunks: list[dict[str, Any]] = []
                trouble = _decode(payloads, chunks, endpoint)
                # What came before the error is valid, and is shown.
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
    """Read the body to its end, so that the connection can be used again; not worth a long wait or an error."""
    with suppress(*BROKEN):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _piece in pieces:
                pass


def _decode(payloads: list[bytes], chunks: list[dict[str, Any]], endpoint: Endpoint) -> MyAgentError | None:
    """Append the decoded `payloads` to `chunks`; returns the error of the first one that is wrong, or None."""
    for payload in payloads:
        chunk = _loads(payload)
        if isinstance(chunk, list) and any(isinstance(item, dict) and is_error(item) for item in chunk):
            return endpoint.refused(None, chunk)
        if not isinstance(chunk, dict):
            return StreamCut(_("The model's endpoint sent something that is not JSON."))
        if is_error(chunk):
            return endpoint.refused(None, chunk)
        chunks.append(chunk)
    return None


def _loads(payload: bytes) -> object:
    """The JSON in `payload`, None when it is not JSON."""
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        # orjson refuses lone surrogates, which come from servers that split an emoji over two tokens.
        try:
            return json.loads(payload)
        except ValueError:
            return None
