"""The base of every tool, and what the loop asks of one."""

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
    """Something a model may call: derive from it, set `name` and `description`, write `execute`.

    `execute` may be `async def` or `def`, and takes the arguments by name. `parameters` is their JSON schema; None
    takes it from the signature of `execute`. A parameter annotated `RunContext` receives the run and is not shown to
    the model. One instance serves all sessions, side by side: what belongs to a session goes into `RunContext.state`.

    `timeout` limits a call in seconds, None does not. `requires_confirmation` has a person asked before, for
    `confirm_timeout` seconds; it may be a function of the arguments. `idempotent` says that a call whose outcome a
    crash swallowed may be run again. `max_observe` limits the characters of the output that the model sees, where it
    is lower than the agent's own limit.
    """

    name: str = ""
    description: str = ""
    parameters: dict[str, Any] | None = None
    timeout: float | None = 60.0
    requires_confirmation: bool | Callable[[dict[str, Any]], bool] = False
    confirm_timeout: float = 300.0
    idempotent: bool = False
    max_observe: int | None = None

    if TYPE_CHECKING:
        execute: Callable[..., Any]

    def needs_confirmation(self, arguments: dict[str, Any]) -> bool:
        """Whether a person has to agree to a call with these arguments; override it for a rule of your own."""
        rule = self.requires_confirmation
        if not callable(rule):
            return bool(rule)
        # A lambda in the class body is bound to the instance, although it is written for the arguments alone.
        alone = getattr(rule, "__func__", rule) if not _takes_one(rule) else rule
        return bool(alone(arguments))

    def must_confirm(self, arguments: dict[str, Any]) -> bool:
        """What the loop asks: `needs_confirmation`, or yes when that fails."""
        try:
            return bool(self.needs_confirmation(arguments))
        except Exception:
            logger.exception("needs_confirmation of the tool %r failed, so a person is asked.", self.name)
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
        """This tool as a Chat Completions request has it. Raises `AgentDefinitionError` for a tool that cannot be."""
        return self._definition.schema

    def check(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments to call the tool with. Raises `RetryTool` that tells the model what is wrong with them."""
        return self._definition.arguments.check(arguments)

    def bind(self, arguments: dict[str, Any], context: RunContext) -> Callable[[], Any]:
        """The call as a function without parameters; it returns a `ToolResult` in clean text, or an awaitable of one.

        Call it, and await what it returns, where the author's code may block without harm.
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
