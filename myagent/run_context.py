"""`RunContext`: what a tool can read and do in the run that called it."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from myagent.pending_answer import PendingAnswer


class CallLink(Protocol):
    """How a `RunContext` reaches the loop that runs the tool call. All methods may be called from any thread."""

    def report(self, text: str, percent: float | None) -> None:
        """Report progress to the user."""
        ...

    def ask(self, question: str) -> concurrent.futures.Future[bool]:
        """Ask the user a yes-or-no question. Raises `RuntimeError`, in the future, when the call does not run."""
        ...


@dataclass(frozen=True, slots=True)
class RunFile:
    """A file that the user has attached to the conversation. `RunFile.of(…)` makes one for a test of a tool."""

    name: str
    """As the user calls it, without a path."""
    type: str
    """The media type that its bytes tell, such as `image/png`, `text/csv` or `application/pdf`."""
    size: int
    """Bytes."""
    _read: Callable[[], bytes] = field(repr=False, compare=False)

    def read(self) -> bytes:
        """The bytes. It blocks: an `async def` tool awaits `asyncio.to_thread(file.read)`.

        Raises `OSError` when they cannot be read.
        """
        return self._read()

    @classmethod
    def of(cls, name: str, content: bytes, type: str = "application/octet-stream") -> Self:
        """A file with this content."""
        return cls(name, type, len(content), lambda: content)


@dataclass(slots=True, kw_only=True)
class RunContext:
    """The run that a tool call belongs to. A parameter of this type receives it; `current_run()` returns it.

    All methods may be called from the tool's own thread.
    """

    session_id: str
    """The session; `"local"` in `Agent.arun`."""
    run_id: str
    """The run, which answers one message of the user."""
    agent: str
    """The name of the agent."""
    user: str | None = None
    """The name of the user, None when anonymous."""
    state: dict[str, Any] = field(default_factory=dict)
    """JSON values that are stored with the session and kept between calls. A tool changes them in place."""
    files: Sequence[RunFile] = ()
    """What the user has attached to the conversation so far, the oldest first."""
    memory: MutableMapping[str, str] | None = None
    """What the agent remembers of the user, in all of their conversations; None for an anonymous user. Texts by keys,
    stored at once. It blocks: an `async def` tool awaits `asyncio.to_thread(…)`.

    Setting an item raises `ToolFailed` for what is too long or too much.
    """
    call_id: str = ""
    """The id that the model gave the call."""
    _link: CallLink | None = None
    _unasked: set[PendingAnswer] = field(default_factory=set)

    def progress(self, text: str, percent: float | None = None) -> None:
        """Report progress to the user; `percent` is from 0 to 100. Does nothing when the call is over."""
        if self._link is not None:
            self._link.report(text, percent)

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
        if self._link is None:
            raise RuntimeError("confirm() works only inside a tool call of a run.")
        return self._link.ask(question)


_current: ContextVar[RunContext] = ContextVar("myagent_run")


def current_run() -> RunContext:
    """The `RunContext` of the tool call that this code belongs to. Raises `LookupError` outside of one."""
    try:
        return _current.get()
    except LookupError:
        raise LookupError("current_run() works only inside a tool call of a run.") from None


@contextmanager
def serving(context: RunContext) -> Iterator[None]:
    """Within the block, `current_run()` returns `context`."""
    token = _current.set(context)
    try:
        yield
    finally:
        # The garbage collector closes an unfinished coroutine in another context than its own.
        with suppress(ValueError):
            _current.reset(token)
