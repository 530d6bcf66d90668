"""`BaseTool`, the base class of every tool."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from myagent.llm import ToolSchema
from myagent.run_context import RunContext, serving
from myagent.tool.attributes import RULE_METHODS, RULES, wishes_in_vain
from myagent.tool.constructor import take_fields
from myagent.tool.definition import Definition, define
from myagent.tool.pydantic_fields import give_values
from myagent.tool.result import ToolResult, collected, to_result
from myagent.tool.signature import Signature

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
    user_confirm: bool | Callable[[dict[str, Any]], bool] = False
    """The same as `requires_confirmation`; the user is asked when one of them says so."""
    confirm_timeout: float = 300.0
    """How many seconds the user has to answer; no answer is a no."""
    idempotent: bool = False
    """Whether a call whose outcome is unknown after a crash may be run again."""
    sequential: bool = False
    """Whether its calls wait for those of sequential tools before them in the same reply."""
    max_observe: int | None = None
    """The characters of the output that the model sees, where this is lower than the agent's own limit."""

    if TYPE_CHECKING:
        execute: Callable[..., Any]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        give_values(cls)

    def __init__(self, *args: Any, **fields: Any) -> None:
        """Set the attributes that the class declares; what it does not declare is for the classes beside this one."""
        own = take_fields(self, BaseTool, args, fields)
        super().__init__(*args, **fields)
        for name, value in own.items():
            setattr(self, name, value)
        if callable(finish := getattr(self, "model_post_init", None)) and not isinstance(self, BaseModel):
            finish(None)

    def needs_confirmation(self, arguments: dict[str, Any]) -> bool:
        """Whether the user has to agree to a call with these arguments. Override it for a rule of your own."""
        return any(_says_yes(getattr(self, name), arguments) for name in RULES)

    def must_confirm(self, arguments: dict[str, Any]) -> bool:
        """The result of `needs_confirmation`, or True when that fails."""
        try:
            return bool(self.needs_confirmation(arguments))
        except Exception:
            logger.exception("needs_confirmation of the tool %r failed, so the user is asked.", self.name)
            return True

    @cached_property
    def __definition(self) -> Definition:
        # Cached on the instance at first use: authors write an __init__ of their own and need not call this class's.
        return define(self)

    @property
    def is_async(self) -> bool:
        """Whether the code runs on an event loop (`async def`) and not in a thread."""
        return self.__definition.is_async

    def schema(self) -> ToolSchema:
        """This tool as in a Chat Completions request. Raises `AgentDefinitionError` for a tool that cannot work."""
        return self.__definition.schema

    def check(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments, checked and converted. Raises `RetryTool` that tells the model what is wrong with them."""
        return self.__definition.arguments.check(arguments)

    def bind(self, arguments: dict[str, Any], context: RunContext) -> Callable[[], Any]:
        """The call as a function without parameters; it returns a `ToolResult` in clean text, or an awaitable of one.

        Call it, and await what it returns, where the tool's code may block without harm.
        """
        signature = self.__definition.signature
        keywords = {**arguments, **dict.fromkeys(signature.contexts, context)}
        return partial(_run, self.execute, signature, keywords, context)


def asks(tool: BaseTool) -> bool | None:
    """Whether the user is asked before each call; None when code of the tool's author has to say.

    Read at each call, as attributes may be set at any time.
    """
    if wishes := wishes_in_vain(tool):
        logger.warning("The tool %r was given %s, which means nothing here; the user is asked.", tool.name, wishes[0])
        return True
    own, base = (partial(inspect.getattr_static, thing) for thing in (tool, BaseTool))
    if any(own(name) is not base(name) for name in RULE_METHODS):
        return None
    rules = [own(name) for name in RULES]
    return True if True in rules else False if all(rule is False for rule in rules) else None


def _says_yes(rule: Any, arguments: dict[str, Any]) -> bool:
    if not callable(rule):
        return rule is not False
    # A lambda in the class body is bound to the instance, although it is written for the arguments alone.
    alone = getattr(rule, "__func__", rule) if not _takes_one(rule) else rule
    return bool(alone(arguments))


def _run(execute: Callable[..., Any], signature: Signature, keywords: dict[str, Any], context: RunContext) -> Any:
    with serving(context):
        value = execute(**signature.with_defaults(keywords))
        if inspect.isawaitable(value) or isinstance(value, AsyncIterator):
            return _finish(value, context)
        return to_result(value)


async def _finish(value: Awaitable[Any] | AsyncIterator[Any], context: RunContext) -> ToolResult:
    with serving(context):
        if isinstance(value, AsyncIterator):
            return await collected(value)
        return to_result(await value)


def _takes_one(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None)
    except (TypeError, ValueError):
        return False
    return True
