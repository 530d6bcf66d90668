"""Hooks: functions of an agent's author that look at what goes through a run, change it, or end the run in words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar, get_args

from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.llm import ToolSchema
from myagent.run_context import RunContext, serving
from myagent.tool.attributes import check_attributes
from myagent.tool.base_tool import BaseTool, ToolResult
from myagent.tool.collection import ToolCollection

HookPoint = Literal["user_message", "before_model", "after_model", "before_tool", "after_tool", "answer"]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class HookedCall:
    """A call that `before_tool` and `after_tool` hooks are shown; `result` is None before it has run."""

    name: str
    arguments: dict[str, Any]
    call_id: str
    result: ToolResult | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HookedAnswer:
    """What `answer` hooks are shown: the text for people, and the value of an agent with an `output`, as JSON."""

    text: str
    output: dict[str, Any] | None = None


class AuthorCode(BaseTool):
    """A function of an agent's author that runs where tools run: of a value and the `RunContext`, or of fewer."""

    def __init__(self, function: Callable[..., Any], *, parameters: int) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.description = inspect.getdoc(function) or ""
        self._count = _count_parameters(function, at_most=parameters)

    @property
    def is_async(self) -> bool:
        called = inspect.unwrap(self.function)
        return inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(getattr(called, "__call__", None))  # noqa: B004

    def schema(self) -> ToolSchema:
        return {"type": "function", "function": {"name": self.name, "description": self.description, "parameters": {}}}

    def bind(self, arguments: dict[str, Any], context: RunContext) -> Callable[[], Any]:
        """The call with the values of `arguments`, and with `context` behind them where the function takes it."""
        values = (*arguments.values(), context)
        return partial(_call, self.function, values[: self._count], context)


class ToolChoice(AuthorCode):
    """A function that gives a run its tools: of the `RunContext`, or of nothing. What it returns becomes a
    `ToolCollection` where the function runs, since that runs code of the author's, too.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function, parameters=1)
        annotations = (item.annotation for item in inspect.signature(function).parameters.values())
        # Who forgot the brackets around the only tool is told now, and not by each run.
        if any(item is not inspect.Parameter.empty and not _may_be_context(item) for item in annotations):
            words = _("tools=%(value)r: it should be a list, such as tools=[HelloTool()].")
            raise AgentDefinitionError(words % {"value": function})

    def bind(self, arguments: dict[str, Any], context: RunContext) -> Callable[[], Any]:
        return partial(_collect, super().bind(arguments, context), context)


class Hook(AuthorCode):
    """A function and the point at which it is called. Calling the hook calls the function."""

    def __init__(self, point: HookPoint, function: Callable[..., Any]) -> None:
        if point not in get_args(HookPoint):
            words = _("A hook on %(point)r: choose one of %(known)s.")
            raise AgentDefinitionError(words % {"point": point, "known": ", ".join(get_args(HookPoint))})
        super().__init__(function, parameters=2)
        self.point = point

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def hook(point: HookPoint) -> Callable[[Callable[..., Any]], Hook]:
    """Make a hook of a function, for `hooks=[…]`: `@hook("answer")`. Raises `AgentDefinitionError`."""
    return partial(Hook, point)


class HookCollection:
    """The hooks of one agent, in the order in which they are called. The agent's file may add to it."""

    __slots__ = ("_hooks",)

    def __init__(self, hooks: Any = ()) -> None:
        given = list(hooks) if isinstance(hooks, Iterable) else [hooks]
        if not all(isinstance(item, Hook) for item in given):
            words = _('hooks=%(value)r: it should be a list of functions with @hook("…").')
            raise AgentDefinitionError(words % {"value": hooks})
        self._hooks: list[Hook] = given

    def add(self, point: HookPoint, function: F) -> F:
        """Add a function, which is returned as it is."""
        self._hooks.append(Hook(point, function))
        return function

    def at(self, point: HookPoint) -> tuple[Hook, ...]:
        """The hooks at this point."""
        return tuple(item for item in self._hooks if item.point == point)

    def __iter__(self) -> Iterator[Hook]:
        return iter(tuple(self._hooks))

    def __len__(self) -> int:
        return len(self._hooks)

    def __repr__(self) -> str:
        return f"HookCollection({', '.join(f'{item.name}: {item.point}' for item in self._hooks)})"


def _count_parameters(function: Any, *, at_most: int) -> int:
    """How many parameters the function has. Raises `AgentDefinitionError` for one that cannot be called like that."""
    words = _("%(function)r: it should be a function of at most %(count)d parameters.")
    problem = AgentDefinitionError(words % {"function": function, "count": at_most})
    if isinstance(function, type) or not callable(function):
        raise problem
    parameters = inspect.signature(function).parameters.values()
    if any(item.kind is item.VAR_POSITIONAL for item in parameters):
        return at_most
    taken = [item for item in parameters if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)]
    missing = [item for item in parameters if item.kind is item.KEYWORD_ONLY and item.default is item.empty]
    if missing or len([item for item in taken if item.default is item.empty]) > at_most:
        raise problem
    return min(len(taken), at_most)


def _call(function: Callable[..., Any], values: tuple[Any, ...], context: RunContext) -> Any:
    with serving(context):
        value = function(*values)
        return _finish(value, context) if inspect.isawaitable(value) else value


def _collect(call: Callable[[], Any], context: RunContext) -> Any:
    with serving(context):
        value = call()
        return _collect_later(value, context) if inspect.isawaitable(value) else _chosen(value)


async def _collect_later(value: Any, context: RunContext) -> ToolCollection:
    with serving(context):
        return _chosen(await value)


def _chosen(value: Any) -> ToolCollection:
    tools = ToolCollection(() if value is None else value)
    if tools.function is not None:
        raise AgentDefinitionError(
            _("tools=%(value)r: it should be a list, such as tools=[HelloTool()].") % {"value": value}
        )
    for item in tools:
        check_attributes(item)
    return tools


def _may_be_context(annotation: object) -> bool:
    return any(name in str(annotation) for name in ("RunContext", "Any"))


async def _finish(value: Any, context: RunContext) -> Any:
    with serving(context):
        return await value
