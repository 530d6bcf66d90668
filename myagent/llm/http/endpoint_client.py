"""Sends requests to one endpoint. With `openai.py`, which handles its errors, the only module that imports `openai`.

The package says what a request has to look like. One that it writes is looked at and not sent; every request repeats
its headers, straight over aiohttp, because the package's layers cost more than all else about a request. Where the
package does more than write headers, it makes the request itself: through a proxy, and behind a redirect.
"""

from __future__ import annotations

from typing import NoReturn
from urllib.request import getproxies

import aiohttp
import httpx2
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, DefaultAioHttpClient

from myagent.llm.http.endpoint import Endpoint
from myagent.llm.http.http_answer import DecodedAnswer, DirectAnswer, HTTPAnswer, RawBody

_CONNECT_SECONDS = 10.0
# One connection per answer being streamed. Idle ones live longer than httpx's 5 s, so that a chat finds its own again.
_MOST_CONNECTIONS = 1000
_IDLE_SECONDS = 60.0
_LIMITS = httpx2.Limits(
    max_connections=_MOST_CONNECTIONS, max_keepalive_connections=100, keepalive_expiry=_IDLE_SECONDS
)
_PROXIES = {"http", "https", "all"}


class EndpointClient:
    """The connections to `endpoint` of one event loop. `timeout` is the longest silence of it in seconds."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        self._url = endpoint.completions
        self._timeout = timeout
        self._tls = httpx2.create_ssl_context()
        self._package = AsyncOpenAI(
            api_key=endpoint.key,
            base_url=endpoint.address,
            default_headers=endpoint.headers,
            timeout=httpx2.Timeout(timeout, connect=_CONNECT_SECONDS),
            max_retries=0,  # repeated by `openai.py`, because only the words of an error tell whether that helps
            http_client=DefaultAioHttpClient(
                limits=_LIMITS,
                verify=self._tls,
                # A header of our own would go along to another host.
                follow_redirects="api-key" not in endpoint.headers,
            ),
        )
        self._session: aiohttp.ClientSession | None = None
        self._goes_directly = _PROXIES.isdisjoint(getproxies())

    async def post(self, content: bytes) -> HTTPAnswer:
        """Send a request whose body is this JSON; returns the answer with its body unread.

        Raises `openai.APIStatusError` for an answer that is an error, with its body read, and without a whole answer
        `openai.APIConnectionError` or one of `myagent.llm.http.stream.BROKEN`.
        """
        if self._goes_directly and (answer := await self._post_directly(content)) is not None:
            return answer
        return DecodedAnswer(await self._post_by_package(self._package, content))

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
        await self._package.close()

    async def _post_directly(self, content: bytes) -> HTTPAnswer | None:
        """`post` without the package; None for a redirect, which says that nothing was done yet."""
        session = self._session or await self._open()
        response = await session.post(
            self._url,
            data=content,
            headers={"content-length": str(len(content))},
            allow_redirects=False,
        )
        if response.status == 200 and "content-encoding" not in response.headers:
            return DirectAnswer(response)
        if 300 <= response.status < 400:
            response.close()
            self._goes_directly = False
            return None
        unread = httpx2.Response(
            response.status,
            headers=response.raw_headers,
            stream=RawBody(response),
            request=httpx2.Request("POST", self._url),
        )
        if not unread.is_success:
            await _raise_refusal(unread)
        return DecodedAnswer(unread)

    async def _open(self) -> aiohttp.ClientSession:
        headers = await self._written_headers()
        if self._session is None:  # by another request meanwhile
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_MOST_CONNECTIONS, keepalive_timeout=_IDLE_SECONDS, ssl=self._tls),
                headers=headers,
                timeout=aiohttp.ClientTimeout(
                    connect=self._timeout, sock_connect=_CONNECT_SECONDS, sock_read=self._timeout
                ),
                auto_decompress=False,  # what httpx asks for is for httpx to decode
                cookie_jar=aiohttp.CookieJar(unsafe=True),  # those of an endpoint without a name, too
            )
        return self._session

    async def _written_headers(self) -> httpx2.Headers:
        """The headers of a request as the package writes it, for whatever the environment and its version say."""
        async with httpx2.AsyncClient(transport=_Nowhere()) as nowhere:
            try:
                await self._post_by_package(self._package.copy(http_client=nowhere), b"{}")
            except APIConnectionError as unsent:
                return unsent.request.headers
        raise AssertionError("what is not sent is not answered")

    async def _post_by_package(self, package: AsyncOpenAI, content: bytes) -> httpx2.Response:
        # With `httpx2.Response` to cast to, `stream=True` hands the response over untouched.
        # The whole URL, because the package takes its time to put one together from parts.
        return await package.post(
            self._url,
            cast_to=httpx2.Response,
            content=content,
            options={"headers": {"Content-Type": "application/json"}},
            stream=True,
        )


class _Nowhere(httpx2.AsyncBaseTransport):
    """Sends nothing."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        raise httpx2.RequestError("not sent", request=request)


async def _raise_refusal(response: httpx2.Response) -> NoReturn:
    """Raise for an error what the package raises for it."""
    try:
        await response.aread()
    finally:
        await response.aclose()
    raise APIStatusError(f"Error code: {response.status_code}", response=response, body=None)
