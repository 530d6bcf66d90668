"""`@tool`: makes a tool of a typed function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, overload

from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.tool.base_tool import BaseTool
from myagent.tool.docstring import docstring_of, split_docstring

P = ParamSpec("P")
R = TypeVar("R")

OPTIONS = (
    "name",
    "description",
    "parameters",
    "timeout",
    "requires_confirmation",
    "confirm_timeout",
    "idempotent",
    "max_observe",
)


class FunctionTool(BaseTool, Generic[P, R]):
    """A tool that runs a function. Calling the tool calls the function."""

    def __init__(self, function: Callable[P, R], **options: Any) -> None:
        update_wrapper(self, function)
        self.execute = function
        self.name = getattr(function, "__name__", "")
        self.__doc__ = docstring_of(function)
        self.description = split_docstring(self.__doc__)[0]
        for option, value in options.items():
            setattr(self, option, value)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = self.execute(*args, **kwargs)
        return result


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...


@overload
def tool(**options: Any) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...


def tool(function: Callable[P, R] | None = None, /, **options: Any) -> Any:
    """Make a tool of a typed function: `@tool`, or `@tool(timeout=5, requires_confirmation=True)`.

    Name, description and parameters are taken from the function's name, docstring and signature; `options` are the
    attributes of `BaseTool`. The tool can still be called as the function.

    Raises `AgentDefinitionError` for an unknown option or something that is no function.
    """
    if unknown := sorted(options.keys() - set(OPTIONS)):
        words = _("@tool has no option %(unknown)s. It knows: %(known)s.")
        raise AgentDefinitionError(words % {"unknown": ", ".join(map(repr, unknown)), "known": ", ".join(OPTIONS)})
    if function is None:
        return lambda decorated: _make(decorated, options)
    return _make(function, options)


def _make(function: Any, options: dict[str, Any]) -> FunctionTool[Any, Any]:
    if isinstance(function, type) or not callable(function) or isinstance(function, BaseTool):
        words = _("@tool makes a tool of a function, not of %(value)r.")
        raise AgentDefinitionError(words % {"value": function})
    code = inspect.unwrap(function)
    if inspect.isfunction(code) and next(iter(inspect.signature(code).parameters), None) in ("self", "cls"):
        words = _(
            "@tool does not work inside a class (%(function)s). Put the object's method into the list instead: "
            "tools=[thing.%(name)s]."
        )
        raise AgentDefinitionError(words % {"function": code.__qualname__, "name": code.__name__})
    return FunctionTool(function, **options)
