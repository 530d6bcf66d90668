"""The parameters of a tool's `execute`, read from its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.run_context import RunContext

MISSING = inspect.Parameter.empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter that the model may fill; `default` is `MISSING` when it is required.

    `unknown_name` is set when the annotation names something that cannot be found.
    """

    name: str
    annotation: Any
    default: Any
    unknown_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The parameters of a function, those that take the `RunContext` apart."""

    parameters: tuple[Parameter, ...]
    contexts: tuple[str, ...]
    takes_any: bool

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the parameters without a default."""
        return tuple(item.name for item in self.parameters if item.default is MISSING)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(item.name for item in self.parameters)


def read_signature(function: Callable[..., Any], *, tool: str) -> Signature:
    """Read the parameters of `function`. Raises `AgentDefinitionError` when it cannot be called by names."""
    try:
        declared = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        words = _("The tool %(tool)r: the parameters of its code cannot be read: %(error)s.")
        raise AgentDefinitionError(words % {"tool": tool, "error": error}) from error
    parameters: list[Parameter] = []
    contexts: list[str] = []
    takes_any = False
    for item in declared:
        if item.kind is inspect.Parameter.VAR_POSITIONAL:
            continue
        if item.kind is inspect.Parameter.VAR_KEYWORD:
            takes_any = True
            continue
        if item.kind is inspect.Parameter.POSITIONAL_ONLY:
            words = _(
                "The tool %(tool)r: %(name)r can only be given by position, and tools are called with names. Remove "
                "the '/' from the parameters."
            )
            raise AgentDefinitionError(words % {"tool": tool, "name": item.name})
        annotation, unknown_name = _resolve(function, item.annotation)
        if _is_context(annotation):
            contexts.append(item.name)
        else:
            parameters.append(
                Parameter(name=item.name, annotation=annotation, default=item.default, unknown_name=unknown_name)
            )
    return Signature(parameters=tuple(parameters), contexts=tuple(contexts), takes_any=takes_any)


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives something to await, so that its code runs on an event loop."""
    code = function if inspect.isroutine(function) else getattr(type(function), "__call__", function)  # noqa: B004
    return any(map(_is_coroutine_code, (function, code)))


def _is_coroutine_code(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _resolve(function: Callable[..., Any], annotation: Any) -> tuple[Any, str | None]:
    """The annotation as an object, or Any and the name that it lacks.

    One at a time: a name that is imported for type checkers only must not hide the others. `RunContext` is known
    even then, because authors import it for nothing but the annotation.
    """
    if annotation is MISSING:
        return Any, None
    code = inspect.unwrap(getattr(function, "func", function))
    names = getattr(code, "__globals__", {})
    holder = SimpleNamespace(__annotations__={"it": annotation})
    try:
        return get_type_hints(holder, {RunContext.__name__: RunContext, **names}, include_extras=True)["it"], None
    except NameError as error:
        return Any, error.name
    except (SyntaxError, TypeError):
        return Any, str(annotation)


def _is_context(annotation: Any) -> bool:
    if annotation is RunContext:
        return True
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_context(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return any(map(_is_context, get_args(annotation)))
    return False
