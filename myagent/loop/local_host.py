"""The host of `Agent.arun`: no server, no database."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from myagent.daemon_threads import run_in_daemon_thread
from myagent.loop.host import ConfirmationRequest, Decision
from myagent.messages import Message
from myagent.tool.base_tool import BaseTool


class LocalHost:
    """Runs tools in the caller's event loop, plain `def` ones in threads; `confirm` stands for the user."""

    def __init__(self, confirm: Callable[[ConfirmationRequest], Awaitable[bool]] | None = None) -> None:
        self._confirm = confirm

    async def confirm(self, request: ConfirmationRequest) -> Decision:
        if self._confirm is None:
            return Decision(confirmed=False, answered=False)
        return Decision(confirmed=await self._confirm(request))

    async def said_meanwhile(self) -> Sequence[Message]:
        return ()

    async def execute(self, tool: BaseTool, call: Callable[[], Any]) -> Any:
        value = call() if tool.is_async else await run_in_daemon_thread(call)
        return await value if inspect.isawaitable(value) else value
