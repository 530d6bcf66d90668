"""The body of an endpoint's HTTP response, piece by piece: straight from aiohttp, or decoded by the HTTP client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import aiohttp
import httpx2


class HTTPAnswer(Protocol):
    """A response whose body is unread. Reading raises one of `myagent.llm.http.stream.BROKEN` when it breaks off."""

    @property
    def content_type(self) -> str:
        """What the endpoint calls the body, in lower case; may be empty or wrong."""
        ...

    @property
    def is_at_end(self) -> bool:
        """Whether it is known that nothing more will come."""
        ...

    async def read(self) -> bytes:
        """All that has arrived, or else the next piece; empty at the end."""
        ...

    async def close(self) -> None:
        """Let go of the connection. One whose body was not read to its end is closed."""
        ...


class DirectAnswer:
    """A body as it came over the wire."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.content_type = response.headers.get("content-type", "").lower()
        self.read = response.content.readany
        self._response = response

    @property
    def is_at_end(self) -> bool:
        return self._response.content.at_eof()

    async def close(self) -> None:
        self._response.release()


class DecodedAnswer:
    """A body that the HTTP client decodes."""

    def __init__(self, response: httpx2.Response) -> None:
        self.content_type = response.headers.get("content-type", "").lower()
        self.is_at_end = False
        self._response = response
        self._pieces = response.aiter_bytes()

    async def read(self) -> bytes:
        return await anext(self._pieces, b"")

    async def close(self) -> None:
        await self._pieces.aclose()
        await self._response.aclose()


class RawBody(httpx2.AsyncByteStream):
    """The body of aiohttp's response for one of the HTTP client."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._response.content.iter_any():
            yield piece

    async def aclose(self) -> None:
        self._response.release()
