"""Answers that go on as long as their client listens. Nothing is held meanwhile: no thread and no view.

Django keeps a thread for each answer that it streams, until the answer has ended. Here its part of the request is over
with the headers; what follows is written beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from django.http import HttpRequest, HttpResponse

_KEY = "myagent.live_answer"

Write = Callable[[bytes], Awaitable[None]]


class LiveAnswer(Protocol):
    """What writes the body of an answer."""

    async def run(self, write: Write) -> bool:
        """Write until there is nothing more to come, and return whether that is the end of it.

        Otherwise the connection is broken, so that no client takes what it has for all.
        """
        ...

    def close(self) -> None:
        """The answer is over, or never began."""
        ...


class LateAnswer(Protocol):
    """What makes an answer as a whole, later than its view: also its status is not known before."""

    async def made(self) -> HttpResponse:
        """The answer. Its headers go before those of the view's own."""
        ...

    def close(self) -> None:
        """The answer is sent, or never will be."""
        ...


class HandedOver(Protocol):
    """An ASGI application that answers in place of Django, once its view has decided that the request may go on.

    It is given the body once more, and told when the client leaves. Where it returns before the end of its answer, the
    connection is broken.
    """

    body: bytes

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None: ...

    def close(self) -> None:
        """The exchange is over, or never began."""
        ...


Answer = LiveAnswer | LateAnswer | HandedOver
_OWN_HEADERS = (b"content-type", b"content-length")
"""Of an answer: those of a view that hands its request over are of no answer."""
_HOP_HEADERS = (b"connection", b"keep-alive")
"""What is the server's to say."""


def answer_live(request: HttpRequest, answer: LiveAnswer) -> None:
    """Let `answer` write the body behind the headers that the view of this request returns, in place of its own."""
    request.scope[_KEY] = answer  # type: ignore[attr-defined]  # ASGIRequest


def answer_when_made(request: HttpRequest, answer: LateAnswer) -> None:
    """Let `answer` be sent in place of what the view of this request returns, whose headers it gets."""
    request.scope[_KEY] = answer  # type: ignore[attr-defined]  # ASGIRequest


def hand_over(request: HttpRequest, application: HandedOver) -> None:
    """Let `application` answer in place of the view of this request, whose headers go before the application's."""
    request.scope[_KEY] = application  # type: ignore[attr-defined]  # ASGIRequest


class LiveAnswers:
    """An ASGI application around Django's."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        exchange = _Exchange(scope, receive, send)
        try:
            await self._application(scope, exchange.receive, exchange.send)
            if exchange.answer is not None and exchange.has_begun:
                await exchange.go_on(exchange.answer)
        finally:
            if exchange.answer is not None:
                exchange.answer.close()


class _Exchange:
    """One request, while Django answers it and afterwards."""

    def __init__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._has_left = False
        self._headers: list[tuple[bytes, bytes]] = []
        self.has_begun = False

    @property
    def answer(self) -> Answer | None:
        answer: Answer | None = self._scope.get(_KEY)
        return answer

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._receive()
        # Django may have been told, and have answered all the same.
        self._has_left = self._has_left or message["type"] == "http.disconnect"
        return message

    async def send(self, message: dict[str, Any]) -> None:
        if self.answer is None:
            await self._send(message)
        elif message["type"] == "http.response.start":
            self._headers = [(name, value) for name, value in message["headers"] if name.lower() != b"content-length"]
            if hasattr(self.answer, "run"):
                await self._send({**message, "headers": self._headers})
            self.has_begun = True

    async def go_on(self, answer: Answer) -> None:
        """Write the body until it ends, or the client leaves."""
        if callable(answer):
            return await self._hand_over(answer)
        if self._has_left:
            return
        writing = asyncio.create_task(answer.run(self._write) if hasattr(answer, "run") else self._send_whole(answer))
        leaving = asyncio.create_task(self._left())
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            # Otherwise nothing more is sent: the server breaks a connection whose answer is not complete.
            if writing.done() and writing.result():
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            writing.cancel()
            leaving.cancel()
            await asyncio.wait({writing, leaving})

    async def _send_whole(self, answer: LateAnswer) -> bool:
        made = await answer.made()
        told = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in made.items()]
        kept = [(name, value) for name, value in self._headers if name.lower() not in dict(told)]
        length = (b"content-length", str(len(made.content)).encode())
        headers = [*kept, *told, length]
        await self._send({"type": "http.response.start", "status": made.status_code, "headers": headers})
        await self._send({"type": "http.response.body", "body": made.content, "more_body": True})
        return True

    async def _hand_over(self, application: HandedOver) -> None:
        # Also where the client has left: what it asked for is done, as the view has done what it does.
        bodies = [application.body]

        async def receive() -> dict[str, Any]:
            if bodies:
                return {"type": "http.request", "body": bodies.pop(), "more_body": False}
            return {"type": "http.disconnect"} if self._has_left else await self.receive()

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": self._joined(message.get("headers", ()))}
            await self._send(message)

        await application(self._scope, receive, send)

    def _joined(self, told: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        kept = [(name, value) for name, value in self._headers if name.lower() not in _OWN_HEADERS]
        ours = {*(name.lower() for name, _value in kept), *_HOP_HEADERS}
        return [*kept, *((name, value) for name, value in told if name.lower() not in ours)]

    async def _left(self) -> None:
        while not self._has_left:
            await self.receive()

    async def _write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
