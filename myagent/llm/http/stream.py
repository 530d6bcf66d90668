"""Reads the body of an endpoint's response: server-sent events, or one JSON body, as decoded chunks."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import aiohttp
import httpx2
import orjson

from myagent.exceptions import LLMUnavailable, MyAgentError, StreamCut
from myagent.i18n import gettext as _
from myagent.llm.http.endpoint import Endpoint
from myagent.llm.http.error_body import is_error
from myagent.llm.http.http_answer import HTTPAnswer

BROKEN = (httpx2.HTTPError, aiohttp.ClientError, OSError)
"""The exceptions of a connection that breaks off."""

_DRAIN_SECONDS = 0.2
_DONE = b"[DONE]"
_FIELD = re.compile(rb"[a-z]*:")
_MOST_STRAY = 4_096
_BOM = b"\xef\xbb\xbf"


class SSEReader:
    """A parser of server-sent events: takes the body in pieces of any size and returns the data of each event.

    Lines end with LF or CRLF (no model server uses a lone CR). Comments and all fields but `data` are skipped, and a
    field `error` is an event of its own. An event ends at a blank line; where a server leaves those out, at the next
    `data` behind a whole JSON object. A body without any event is an error, in words that nobody put into a field.
    """

    __slots__ = ("_data", "_is_stream", "_rest", "_stray")

    def __init__(self) -> None:
        self._rest = bytearray()  # a line whose end has not come yet
        self._data: list[bytes] = []  # the data lines of an event whose end has not come yet
        self._is_stream = False
        self._stray = b""  # what is no field, as long as there is no event

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of the events that `piece` completes; several data lines are joined by LF."""
        if piece.startswith(b"data: ") and piece.endswith(b"\n\n") and not (self._rest or self._data or b"\r" in piece):
            events = piece[6:-2].split(b"\n\ndata: ")
            if piece.count(b"\n") == 2 * len(events):  # nothing but events of one line, as nearly always
                self._is_stream = True
                return events
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
            data = line[6:] if line.startswith(b" ", 5) else line[5:]
            if self._data and _is_whole(b"\n".join(self._data)):
                self._complete(complete)
            self._data.append(data)
            if data == _DONE:
                self._complete(complete)
        elif line == b"data":
            self._data.append(b"")
        elif line[:6].lower() == b"error:":  # no field of the standard; llama.cpp and others have it
            self._data.append(_as_error(line[len(b"error:") :].strip()))
        elif line and not self._is_stream and not _FIELD.match(line) and len(self._stray) < _MOST_STRAY:
            self._stray += line + b"\n"
        elif not line and self._data:
            self._is_stream = True
            complete.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
            self._data.clear()

    def _complete(self, complete: list[bytes]) -> None:
        self._is_stream = True
        complete.append(b"\n".join(self._data))
        self._data.clear()


def _as_error(said: bytes) -> bytes:
    """The event that reports what a field `error` says, which is JSON or text."""
    return _dumps({"error": _loads(said) or said.decode(errors="replace") or "error"})


def _is_whole(data: bytes) -> bool:
    """Whether `data` is an event of its own, so that what comes next belongs to another one."""
    data = data.strip()
    return data.startswith(b"{") and data.endswith(b"}") and isinstance(_loads(data), dict)


class ResponseBody:
    """The body of an endpoint's response: server-sent events or one JSON body, whatever its label says."""

    def __init__(self, answer: HTTPAnswer, endpoint: Endpoint) -> None:
        self.is_whole = False
        """Whether the body came to its own end: to `[DONE]`, or to that of one JSON value."""
        self._answer = answer
        self._endpoint = endpoint
        self._reader: SSEReader | None = None
        self._trouble: MyAgentError | None = None
        self._is_read = False

    async def read(self) -> list[dict[str, Any]] | None:
        """The chunks that arrived together, or None at the end. Has to be followed by another `read`, or by `close`.

        Raises `StreamCut` when it breaks off, and the `LLMError` for an error that the endpoint reports in the stream.
        """
        if self._trouble is not None:
            raise self._trouble
        if self._is_read:
            await self._drain()
            return None
        try:
            if self._reader is None:
                payloads = await self._begin()
            else:
                payloads = self._fed(self._reader, await self._answer.read())
        except BROKEN as error:
            raise StreamCut(_("The connection to the model broke off.")) from error
        chunks: list[dict[str, Any]] = []
        # What came before the error is valid, and is shown.
        self._trouble = self._decode(payloads, chunks)
        return chunks

    async def close(self) -> None:
        """Let go of the connection: for the next request if the body has come to its end, or else for good."""
        await self._answer.close()

    async def _begin(self) -> list[bytes]:
        if "html" in self._answer.content_type:
            raise self._endpoint.not_the_api()
        begin = await self._beginning()
        if begin.startswith(b"<"):
            raise self._endpoint.not_the_api()
        if begin.startswith((b"{", b"[")):
            self._is_read = True
            return self._values(begin + b"".join([piece async for piece in self._pieces()]))
        self._reader = SSEReader()
        return self._fed(self._reader, begin)

    def _fed(self, reader: SSEReader, piece: bytes) -> list[bytes]:
        if piece:
            return reader.feed(piece)
        self._is_read = True
        return reader.close()

    async def _beginning(self) -> bytes:
        """The beginning of the body up to something that says what it is, without a byte order mark and white space."""
        begin = b""
        async for piece in self._pieces():
            begin += piece
            is_known = not _BOM.startswith(begin[: len(_BOM)]) or len(begin) > len(_BOM)
            if is_known and (found := begin.removeprefix(_BOM).lstrip()):
                return found
        return begin.removeprefix(_BOM).lstrip()

    async def _pieces(self) -> AsyncGenerator[bytes]:
        while piece := await self._answer.read():
            yield piece

    async def _drain(self) -> None:
        """Read the body to its end, so that the connection can be used again; not worth a long wait or an error."""
        if self._answer.is_at_end:
            return
        with suppress(*BROKEN):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while await self._answer.read():
                    pass

    def _values(self, body: bytes) -> list[bytes]:
        """The values of a body without events: one, or one in each line."""
        value = _loads(body)
        self.is_whole = value is not None
        if isinstance(value, list):
            return [_dumps(item) for item in value if isinstance(item, dict)]
        return [body] if self.is_whole else body.splitlines()

    def _decode(self, payloads: list[bytes], chunks: list[dict[str, Any]]) -> MyAgentError | None:
        """Append the decoded `payloads` to `chunks`; returns the error of the first one that is wrong, or None."""
        for payload in payloads:
            chunk = _loads(payload)
            if not isinstance(chunk, dict):
                data = _bare(payload)
                if data == _DONE:
                    self.is_whole = self._is_read = True
                    return None
                chunk = _loads(data)
                if not isinstance(chunk, dict):
                    if data.startswith(b"{"):
                        return StreamCut(_("The model's endpoint sent something that is not JSON."))
                    continue  # nothing, or the sign of life of a proxy
            if (chunk.get("error") or not chunk.get("choices")) and is_error(chunk):
                refused = self._endpoint.refused(None, chunk)
                return unfinished(refused) if chunk.get("choices") else refused
            chunks.append(chunk)
        return None


def unfinished(error: MyAgentError) -> MyAgentError:
    """What to raise for an `error` in the middle of an answer: asked again like any other cut, where that may help."""
    if not isinstance(error, LLMUnavailable):
        return error
    cut = StreamCut(str(error))
    cut.__cause__ = error
    return cut


def _bare(payload: bytes) -> bytes:
    """The data of an event without what does not belong to it."""
    data = payload.strip().removeprefix(_BOM).strip()
    while data.startswith(b"data:"):
        data = data[5:].strip()
    return data


def _dumps(value: object) -> bytes:
    try:
        return json.dumps(value).encode()
    except RecursionError:
        return b""


def _loads(payload: bytes) -> object:
    """The JSON in `payload`, None when it is not JSON."""
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        # orjson refuses lone surrogates, which come from servers that split an emoji over two tokens.
        try:
            return json.loads(payload)
        except (ValueError, RecursionError):
            return None
