"""The server's side of the ASGI lifespan protocol: start-up before the first connection, shutdown after the last."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from agents.hosting.asgi_types import Application, AsgiMessage
from myagent.i18n import gettext as _

logger = logging.getLogger("myagent.server")

AFTER_ANSWER_SECONDS = 1
"""Seconds that the application has to return after its last answer."""

_STARTUP_ANSWERS = ("lifespan.startup.complete", "lifespan.startup.failed")
_SHUTDOWN_ANSWERS = ("lifespan.shutdown.complete", "lifespan.shutdown.failed")


class StartupFailed(Exception):
    """The application answered that it cannot start; the text is its message."""


class Lifespan:
    """Drives the lifespan protocol: `startup()` once, then `shutdown()` or `abort()` once.

    An application that raises or returns before it has answered the start-up does not support the protocol and is
    served without it. `state` is what it puts into `scope["state"]`.
    """

    def __init__(self, application: Application) -> None:
        self.state: dict[str, Any] = {}
        self._application = application
        self._events: asyncio.Queue[AsgiMessage] = asyncio.Queue()
        self._answer: asyncio.Future[AsgiMessage] | None = None
        self._task: asyncio.Task[None] | None = None
        self._started = False

    async def startup(self) -> None:
        """Return once the application is ready for connections. Raises `StartupFailed`."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="lifespan")
        answer = await self._ask("lifespan.startup", self._task)
        if answer is None:
            self._report_unsupported(self._task)
        elif answer["type"] == "lifespan.startup.failed":
            await asyncio.wait({self._task}, timeout=AFTER_ANSWER_SECONDS)
            await self.abort(seconds=0)
            raise StartupFailed(answer.get("message") or _("The application could not start."))
        else:
            self._started = True
            self._task.add_done_callback(_report_end)

    async def shutdown(self, seconds: float) -> None:
        """Let the application finish its work; after `seconds` it is cancelled."""
        if self._task is None or not self._started or self._task.done():
            return
        try:
            async with asyncio.timeout(seconds):
                answer = await self._ask("lifespan.shutdown", self._task)
        except TimeoutError:
            logger.error("The application did not shut down within %g s and is cancelled.", seconds)
        else:
            if answer is not None and answer["type"] == "lifespan.shutdown.failed":
                logger.error("The application could not shut down properly: %s", answer.get("message") or "no reason")
            await asyncio.wait({self._task}, timeout=AFTER_ANSWER_SECONDS)
        self._task.cancel()

    async def abort(self, seconds: float) -> None:
        """Cancel the application's lifespan and wait up to `seconds` for its end."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=seconds)
        self._task.add_done_callback(_report_aborted)

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        await self._application(scope, self._events.get, self._send)

    async def _ask(self, event: str, task: asyncio.Task[None]) -> AsgiMessage | None:
        """Send `event` and return the application's answer; None when it ended without one."""
        answer: asyncio.Future[AsgiMessage] = asyncio.get_running_loop().create_future()
        self._answer = answer
        self._events.put_nowait({"type": event})
        ends: tuple[asyncio.Future[Any], ...] = (task, answer)
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else None

    async def _send(self, message: AsgiMessage) -> None:
        expected = _SHUTDOWN_ANSWERS if self._started else _STARTUP_ANSWERS
        if self._answer is None or self._answer.done() or message["type"] not in expected:
            raise ValueError(f"{message['type']!r} cannot be sent now. Send one of {', '.join(expected)}, once.")
        self._answer.set_result(message)

    @staticmethod
    def _report_unsupported(task: asyncio.Task[None]) -> None:
        error = task.exception()
        logger.warning(
            "The application does not support the lifespan protocol (%s); serving it without.",
            f"it raised {error!r}" if error else "it returned at once",
            exc_info=error if logger.isEnabledFor(logging.DEBUG) else None,
        )


def _report_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.error("The application's lifespan ended with an exception.", exc_info=error)


def _report_aborted(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.debug("The application's lifespan raised while it was aborted.", exc_info=error)
