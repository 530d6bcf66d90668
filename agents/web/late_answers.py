"""Answers that are sent late, because somebody guesses. Nothing is held meanwhile: no thread and no connection."""

from __future__ import annotations

import asyncio
from typing import Any

from channels.db import database_sync_to_async
from django.http import HttpRequest

_KEY = "myagent.seconds_late"

_without_connection = database_sync_to_async(lambda: None)
"""Hands the connection of a request's thread back, as Channels does around whatever it calls there."""


def send_late(request: HttpRequest, seconds: float) -> None:
    """Let the answer to this request be sent so many seconds late, where an ASGI server serves it."""
    scope = getattr(request, "scope", None)
    if scope is not None:
        scope[_KEY] = seconds


class LateAnswers:
    """An ASGI application around Django's."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        async def send_when_due(message: dict[str, Any]) -> None:
            if seconds := scope.pop(_KEY, 0):
                await _without_connection()
                await asyncio.sleep(seconds)
            await send(message)

        await self._application(scope, receive, send_when_due)
