"""The event loop of tools, which knows what their calls leave behind on it."""

from __future__ import annotations

import asyncio
import os
import selectors
import stat
import weakref
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, ContextVar
from dataclasses import dataclass
from typing import Any

_Inode = tuple[int, int]


@dataclass(slots=True, eq=False)
class CallMark:
    """Stands for a call in the context of its code, from which its tasks and callbacks have theirs."""

    tool: str
    waited: bool = False
    """Whether its code has awaited something that was not ready."""
    ended: bool = False
    task: weakref.ref[asyncio.Task[Any]] | None = None
    """The task of its code; for a moment it is still there when the call has ended, and is nothing left behind."""


mark: ContextVar[CallMark] = ContextVar("mark_of_call")


class TracedLoop(asyncio.SelectorEventLoop):
    """An event loop that can tell which tools belong to it, because they would fail on any other one.

    Those are the tools whose finished calls left a connection or a task here, and those that share something: their
    code was woken by the code of another call (a lock, a queue, a worker), or uses a connection that another call made.
    All but what runs here may be called from any thread.
    """

    def __init__(self) -> None:
        self._sharing: set[str] = set()
        self._connections: dict[_Inode, tuple[int, CallMark]] = {}
        self._makers: weakref.WeakKeyDictionary[asyncio.Task[Any], CallMark] = weakref.WeakKeyDictionary()
        super().__init__(_Selector(self._note_use))
        self.set_task_factory(self._make_task)

    def keepers(self) -> set[str]:
        """The tools that belong here."""
        made = [call for inode, (file, call) in list(self._connections.items()) if _inode(file) == inode]
        for task in asyncio.all_tasks(self):
            call = self._makers.get(task)
            if call is not None and (call.task is None or call.task() is not task):
                made.append(call)
        return self._sharing | {call.tool for call in made if call.ended}

    def running(self) -> CallMark | None:
        """The call whose code runs at this moment, if any."""
        task = asyncio.current_task(self)
        return None if task is None else self._makers.get(task)

    def have_called(self, callback: Callable[..., Any], *args: Any) -> None:
        """Have `callback` called here; does nothing when this loop is closed."""
        with suppress(RuntimeError):
            self.call_soon_threadsafe(callback, *args)

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        # All that wakes a task comes by here, in the context of the code that wakes it.
        if context is not None:
            self._share(mark.get(None), context.get(mark))
        return super().call_soon(callback, *args, context=context)

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **options)
        context = options.get("context")
        if (call := mark.get(None) if context is None else context.get(mark)) is not None:
            self._makers[task] = call
            if call.task is None:
                call.task = weakref.ref(task)
        return task

    def _note_use(self, file: int) -> None:
        # By its inode, since clients register a connection again and again, and numbers of files are used again.
        if (call := mark.get(None)) is None or (inode := _inode(file)) is None:
            return
        if inode not in self._connections:
            known = {other: made for other, made in self._connections.items() if _inode(made[0]) == other}
            self._connections = {**known, inode: (file, call)}
        self._share(call, self._connections[inode][1])

    def _share(self, one: CallMark | None, other: CallMark | None) -> None:
        if one is not None and other is not None and one is not other:
            self._sharing |= {one.tool, other.tool}


class _Selector(selectors.DefaultSelector):
    """Reports what is registered, in the context of who registers it."""

    def __init__(self, on_register: Callable[[int], None]) -> None:
        super().__init__()
        self._on_register = on_register
        self._process = os.getpid()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if os.getpid() != self._process:
            os._exit(0)  # a fork that a tool made and did not end: it would take our events away
        return super().select(timeout)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = super().register(fileobj, events, data)
        self._on_register(key.fd)
        return key


def _inode(file: int) -> _Inode | None:
    """What identifies an open socket or pipe; other kinds, such as timers, need not have an inode of their own."""
    try:
        status = os.fstat(file)
    except OSError:
        return None
    known = stat.S_ISSOCK(status.st_mode) or stat.S_ISFIFO(status.st_mode)
    return (status.st_dev, status.st_ino) if known else None
