"""The awaitable that `RunContext.confirm` returns."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, NoReturn


class ConfirmNotAwaited(TypeError):
    """A tool called `confirm` and did not wait for the user's answer."""

    def __init__(self, question: str) -> None:
        super().__init__(
            f"The answer to confirm({question!r}) was not awaited, so nobody was asked. Write `await run.confirm(…)` "
            "in an `async def` tool, and `run.confirm_sync(…)` in a plain `def`."
        )


class PendingAnswer(Coroutine[Any, Any, bool]):
    """The user's answer, True or False when it is awaited; the question is asked no sooner.

    It has no truth value of its own, so that a forgotten `await` is an error and never a yes. It is a coroutine, and
    not merely an awaitable, because `asyncio.create_task` takes nothing else. `on_await` is called by the first await
    and returns what asks.
    """

    def __init__(self, question: str, on_await: Callable[[PendingAnswer], Coroutine[Any, Any, bool]]) -> None:
        self.question = question
        self._on_await = on_await
        self._steps: Generator[Any, Any, bool] | None = None

    def __bool__(self) -> NoReturn:
        raise ConfirmNotAwaited(self.question)

    def __await__(self) -> Generator[Any, Any, bool]:
        if self._steps is None:
            self._steps = self._on_await(self).__await__()
        return self._steps

    def send(self, value: Any, /) -> Any:
        return self.__await__().send(value)

    def throw(self, *error: Any) -> Any:
        return self.__await__().throw(*error)

    def close(self) -> None:
        if self._steps is not None:
            self._steps.close()
