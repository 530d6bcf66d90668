"""`BaseTool`, the base class of every tool."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from myagent.llm import ToolSchema
from myagent.run_context import RunContext, serving
from myagent.tool.definition import Definition, define
from myagent.tool.result import ToolResult, collected, to_result

__all__ = ["BaseTool", "ToolResult", "to_result"]

logger = logging.getLogger("myagent.tools")


class BaseTool:
    """The base class of tools, which a model may call: set `name` and `description`, and write `execute`.

    `execute` may be `async def` or `def`, and takes the arguments by name. A parameter annotated `RunContext` receives
    the run and is not shown to the model. What it returns becomes a `ToolResult` (see there). It may raise `RetryTool`
    or `ToolFailed`; any other exception is logged, and the model sees its class only.

    One instance serves all sessions at the same time: what belongs to a session is kept in `RunContext.state`.
    """

    name: str = ""
    """The name that the model calls."""
    description: str = ""
    """What the tool does, for the model."""
    parameters: dict[str, Any] | None = None
    """The JSON schema of the arguments; None takes it from the signature of `execute`."""
    timeout: float | None = 60.0
    """The time limit of a call in seconds; None is no limit. It stands still while the tool waits for the user."""
    requires_confirmation: bool | Callable[[dict[str, Any]], bool] = False
    """Whether the user is asked before a call; may be a function of the arguments."""
    confirm_timeout: float = 300.0
    """How many seconds the user has to answer; no answer is a no."""
    idempotent: bool = False
    """Whether a call whose outcome is unknown after a crash may be run again."""
    max_observe: int | None = None
    """The characters of the output that the model sees, where this is lower than the agent's own limit."""

    if TYPE_CHECKING:
        execute: Callable[..., Any]

    def needs_confirmation(self, arguments: dict[str, Any]) -> bool:
        """Whether the user has to agree to a call with these arguments. Override it for a rule of your own."""
        rule = self.requires_confirmation
        if not callable(rule):
            return bool(rule)
        # A lambda in the class body is bound to the instance, although it is written for the arguments alone.
        alone = getattr(rule, "__func__", rule) if not _takes_one(rule) else rule
        return bool(alone(arguments))

    def must_confirm(self, arguments: dict[str, Any]) -> bool:
        """The result of `needs_confirmation`, or True when that fails."""
        try:
            return bool(self.needs_confirmation(arguments))
        except Exception:
            logger.exception("needs_confirmation of the tool %r failed, so the user is asked.", self.name)
            return True

    @cached_property
    def _definition(self) -> Definition:
        # Cached on the instance at first use: authors write an __init__ of their own and need not call this class's.
        return define(self)

    @property
    def is_async(self) -> bool:
        """Whether the code runs on an event loop (`async def`) and not in a thread."""
        return self._definition.is_async

    def schema(self) -> ToolSchema:
        """This tool as in a Chat Completions request. Raises `AgentDefinitionError` for a tool that cannot work."""
        return self._definition.schema

    def check(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments, checked and converted. Raises `RetryTool` that tells the model what is wrong with them."""
        return self._definition.arguments.check(arguments)

    def bind(self, arguments: dict[str, Any], context: RunContext) -> Callable[[], Any]:
        """The call as a function without parameters; it returns a `ToolResult` in clean text, or an awaitable of one.

        Call it, and await what it returns, where the tool's code may block without harm.
        """
        keywords = {**arguments, **dict.fromkeys(self._definition.contexts, context)}
        return partial(self._run, keywords, context)

    def _run(self, keywords: dict[str, Any], context: RunContext) -> Any:
        with serving(context):
            value = self.execute(**keywords)
            if inspect.isgenerator(value):
                value = collected(list(value))
            if inspect.isawaitable(value) or inspect.isasyncgen(value):
                return self._finish(value, context)
            return to_result(value)

    async def _finish(self, value: Awaitable[Any] | AsyncIterator[Any], context: RunContext) -> ToolResult:
        with serving(context):
            if isinstance(value, AsyncIterator):
                return to_result(collected([item async for item in value]))
            return to_result(await value)


def _takes_one(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None)
    except (TypeError, ValueError):
        return False
    return True
