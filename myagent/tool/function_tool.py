"""`@tool`: makes a tool of a typed function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property, partial, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, overload

from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.tool.attribute_names import meant_confirmation
from myagent.tool.base_tool import BaseTool
from myagent.tool.docstring import docstring_of, read_docstring
from myagent.tool.signature import Signature, read_signature

P = ParamSpec("P")
R = TypeVar("R")

OPTIONS = (
    "name",
    "description",
    "parameters",
    "timeout",
    "requires_confirmation",
    "user_confirm",
    "confirm_timeout",
    "idempotent",
    "sequential",
    "max_observe",
)


class FunctionTool(BaseTool, Generic[P, R]):
    """A tool that runs a function. Calling the tool calls the function."""

    def __init__(self, function: Callable[P, R], **options: Any) -> None:
        update_wrapper(self, function)
        if isinstance(function, partial):  # its own names are none, and what its function was given counts, too
            vars(self).update({**vars(inspect.unwrap(function.func)), **vars(function)})
        self.execute = function
        self.name = getattr(function, "__name__", "")
        self.__doc__ = docstring_of(function)
        self.description = read_docstring(function)[0]
        for option, value in options.items():
            setattr(self, option, value)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = self.execute(*args, **kwargs, **self._field_defaults(args, kwargs))
        return result

    def _field_defaults(self, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The values of the parameters left out whose default is pydantic's `Field`, which is no value."""
        if (signature := self._signature_with_fields) is None:
            return {}
        given = inspect.signature(self.execute).bind_partial(*args, **kwargs).arguments
        if missing := [name for name in signature.required if name not in given]:
            raise TypeError(f"{self.name}() missing required arguments: {', '.join(missing)}")
        return {name: value for name, value in signature.with_defaults(given).items() if name not in given}

    @cached_property
    def _signature_with_fields(self) -> Signature | None:
        try:
            signature = read_signature(self.execute, tool=self.name)
        except AgentDefinitionError:
            return None  # it is no tool, but still a function
        return signature if any(item.field is not None for item in signature.parameters) else None


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
        text = words % {"unknown": ", ".join(map(repr, unknown)), "known": ", ".join(OPTIONS)}
        instead = dict.fromkeys(filter(None, map(meant_confirmation, unknown)))
        raise AgentDefinitionError(" ".join([text, *(_("Write %(meant)s.") % {"meant": meant} for meant in instead)]))
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
