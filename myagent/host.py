"""What a run may ask of whoever runs it, and what a tool may ask of its run."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from myagent.pending_answer import PendingAnswer

if TYPE_CHECKING:
    from myagent.tool.base_tool import BaseTool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationRequest:
    """A question to the user, about the tool call `call_id`; silence for `timeout` seconds is a no.

    `starts_call` is true when the call begins only after a yes, false when its code asks while it runs.
    """

    call_id: str
    call_step_id: str
    question: str
    tool_name: str
    tool_description: str
    tool_args: Mapping[str, Any]
    timeout: float
    starts_call: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The user's answer; `args` replaces the call's arguments, `reason` is told to the model."""

    confirmed: bool
    args: dict[str, Any] | None = None
    reason: str | None = None
    answered: bool = True


class Host(Protocol):
    """Whoever runs the loop: the server, or `Agent.arun`."""

    async def confirm(self, request: ConfirmationRequest) -> Decision:
        """Ask the user and wait for the answer."""
        ...

    async def execute(self, tool: BaseTool, call: Callable[[], Any]) -> Any:
        """Run a tool's code and return what it returns; cancelling this gives the code up.

        `call` takes no arguments and returns a value or an awaitable; it must be called, and awaited, where the
        tool's code may block without harm.
        """
        ...


@dataclass(slots=True, kw_only=True)
class RunContext:
    """What a tool may know and do of its run. A parameter of this type receives it; so does `current_run()`.

    `state` is a dict that is stored with the session (JSON values only). `user` is the user's name, None when
    anonymous. All methods may be called from the tool's own thread.
    """

    session_id: str
    run_id: str
    agent: str
    user: str | None = None
    state: dict[str, Any] = field(default_factory=dict)
    call_id: str = ""
    _loop: asyncio.AbstractEventLoop | None = None
    _report: Callable[[str, float | None], None] | None = None
    _ask: Callable[[str], Coroutine[Any, Any, bool]] | None = None
    _unasked: set[PendingAnswer] = field(default_factory=set)

    def progress(self, text: str, percent: float | None = None) -> None:
        """Show the user how far the tool is; `percent` from 0 to 100."""
        if self._loop is not None and self._report is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._report, text, percent)

    def confirm(self, question: str) -> PendingAnswer:
        """Ask the user a yes-or-no question from an `async def` tool; the tool's time limit stands still meanwhile.

        Await what it returns; the call of a tool that does not do so fails.
        """
        answer = PendingAnswer(question, self._wait_for)
        self._unasked.add(answer)
        return answer

    def confirm_sync(self, question: str) -> bool:
        """The same from a plain `def` tool."""
        return self._question(question).result()

    async def _wait_for(self, answer: PendingAnswer) -> bool:
        self._unasked.discard(answer)
        return await asyncio.wrap_future(self._question(answer.question))

    def _question(self, question: str) -> concurrent.futures.Future[bool]:
        if self._loop is None or self._ask is None:
            raise RuntimeError("confirm() works only inside a tool call of a run.")
        return asyncio.run_coroutine_threadsafe(self._ask(question), self._loop)


_current: ContextVar[RunContext] = ContextVar("myagent_run")


def current_run() -> RunContext:
    """The run that this tool code works for. Raises `LookupError` outside a tool call."""
    try:
        return _current.get()
    except LookupError:
        raise LookupError("current_run() works only inside a tool call of a run.") from None
