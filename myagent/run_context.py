"""What a tool may know and ask of the run that it works for."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


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

    def progress(self, text: str, percent: float | None = None) -> None:
        """Show the user how far the tool is; `percent` from 0 to 100."""
        if self._loop is not None and self._report is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._report, text, percent)

    async def confirm(self, question: str) -> bool:
        """Ask the user a yes-or-no question from an `async def` tool; the tool's time limit stands still meanwhile."""
        return await asyncio.wrap_future(self._question(question))

    def confirm_sync(self, question: str) -> bool:
        """The same from a plain `def` tool."""
        return self._question(question).result()

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


@contextmanager
def serving(context: RunContext) -> Iterator[None]:
    """`current_run()` is `context` in here."""
    token = _current.set(context)
    try:
        yield
    finally:
        # A coroutine that is thrown away unfinished is closed in whatever context the collector runs.
        with suppress(ValueError):
            _current.reset(token)
