"""The parameters of a tool's `execute`, read from its signature."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import PydanticUserError

from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.run_context import RunContext
from myagent.tool.parameter import Parameter, is_foreign_field, make_parameter

_NAMES_OF_SELF = {"self", "cls", "klass", "this", "me"}
_MOST_LAYERS = 50
_PLACEHOLDER: Any = getattr(functools, "Placeholder", inspect.Parameter.empty)
"""What stands in functools.partial for a place that is not bound; new in Python 3.14."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The parameters of a function, those apart that take the `RunContext` and those that functools.partial bound."""

    parameters: tuple[Parameter, ...]
    contexts: tuple[str, ...]
    bound: frozenset[str]
    takes_any: bool

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the parameters without a default."""
        return tuple(item.name for item in self.parameters if item.is_required)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(item.name for item in self.parameters)

    @property
    def hidden(self) -> frozenset[str]:
        """Names that are not the model's to fill."""
        return self.bound.union(self.contexts)

    def with_defaults(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`arguments` with the values that `Field` says for those that are missing; may run code of the author's."""
        filled: dict[str, Any] = dict(arguments)
        for item in self.parameters:
            if item.name not in filled and item.makes_default:
                filled[item.name] = item.make_default(filled)
        return filled


def read_signature(function: Callable[..., Any], *, tool: str) -> Signature:
    """Read the parameters of `function`. Raises `AgentDefinitionError` when it cannot be called by names."""
    try:
        for layer in layers(function):
            _refuse_without_self(layer, tool)
        declared = inspect.signature(function).parameters.values()
        bound = frozenset(_bound_by_partial(function))
    except (TypeError, ValueError) as error:
        words = _("The tool %(tool)r: the parameters of its code cannot be read: %(error)s.")
        raise AgentDefinitionError(words % {"tool": tool, "error": error}) from error
    parameters: list[Parameter] = []
    contexts: list[str] = []
    takes_any = False
    for item in declared:
        if item.kind is inspect.Parameter.VAR_POSITIONAL or item.name in bound:
            continue
        if item.kind is inspect.Parameter.VAR_KEYWORD:
            takes_any = True
            continue
        _refuse_what_cannot_be_given(item, tool)
        annotation, unknown_name = _resolve(function, item.annotation)
        if _is_context(annotation):
            contexts.append(item.name)
        else:
            parameters.append(_parameter(item, annotation, unknown_name))
    return Signature(parameters=tuple(parameters), contexts=tuple(contexts), bound=bound, takes_any=takes_any)


def layers(function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """`function` and what it stands for: what functools.partial and decorators have wrapped, outermost first."""
    inner: Any = function
    for _layer in range(_MOST_LAYERS):  # an object may claim to wrap itself
        yield inner
        inner = inner.func if isinstance(inner, functools.partial) else getattr(inner, "__wrapped__", None)
        if not callable(inner):
            return


def code_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that was written, below functools.partial and decorators; the `__call__` of an object."""
    *_outer, inner = layers(function)
    return inner if inspect.isroutine(inner) else getattr(type(inner), "__call__", inner)  # noqa: B004


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives something to await, so that its code runs on an event loop."""
    code = function if inspect.isroutine(function) else getattr(type(function), "__call__", function)  # noqa: B004
    return any(map(_is_coroutine_code, (function, code)))


def _is_coroutine_code(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _bound_by_partial(function: Callable[..., Any]) -> Iterator[str]:
    """The names of what any functools.partial in `function` has bound, by position or by keyword."""
    for layer in layers(function):
        if isinstance(layer, functools.partial):
            yield from layer.keywords
            given = inspect.signature(layer.func).bind_partial(*layer.args).arguments
            yield from (name for name, value in given.items() if value is not _PLACEHOLDER)


def _refuse_without_self(function: Callable[..., Any], tool: str) -> None:
    """Refuse a method whose first parameter is meant for the model, but would receive the object."""
    owner = getattr(function, "__self__", None)
    if not inspect.ismethod(function):
        return
    first = next(iter(inspect.signature(function.__func__).parameters.values()), None)
    if first is not None and (
        first.kind is inspect.Parameter.VAR_POSITIONAL
        or first.name in _NAMES_OF_SELF
        or first.name.startswith("_")
        or (isinstance(owner, type) and first.annotation is first.empty)
    ):
        return
    kind, method = owner if isinstance(owner, type) else type(owner), function.__name__
    words = _(
        "The tool %(tool)r: %(class)s.%(method)s() has no `self`, so its first parameter would receive the object. "
        "Write `def %(method)s(self, …)`, or put @staticmethod above it."
    )
    raise AgentDefinitionError(words % {"tool": tool, "class": kind.__name__, "method": method})


def _refuse_what_cannot_be_given(item: inspect.Parameter, tool: str) -> None:
    if item.kind is inspect.Parameter.POSITIONAL_ONLY:
        words = _(
            "The tool %(tool)r: %(name)r can only be given by position, and tools are called with names. Remove "
            "the '/' from the parameters."
        )
        raise AgentDefinitionError(words % {"tool": tool, "name": item.name})
    if is_foreign_field(item.default):
        words = _(
            "The tool %(tool)r: the default of %(name)r is a Field of %(module)s. Import Field from pydantic instead."
        )
        module = type(item.default).__module__
        raise AgentDefinitionError(words % {"tool": tool, "name": item.name, "module": module})


def _parameter(item: inspect.Parameter, annotation: Any, unknown_name: str | None) -> Parameter:
    try:
        return make_parameter(item.name, annotation, item.default, unknown_name)
    except (PydanticUserError, TypeError):  # such as ClassVar
        return make_parameter(item.name, Any, item.default, str(annotation))


def _resolve(function: Callable[..., Any], annotation: Any) -> tuple[Any, str | None]:
    """The annotation as an object, or Any and the name that it lacks.

    One at a time: a name that is imported for type checkers only must not hide the others. `RunContext` is known
    even then, because authors import it for nothing but the annotation.
    """
    if annotation is inspect.Parameter.empty:
        return Any, None
    names = getattr(code_of(function), "__globals__", {})
    holder = SimpleNamespace(__annotations__={"it": annotation})
    try:
        return get_type_hints(holder, {RunContext.__name__: RunContext, **names}, include_extras=True)["it"], None
    except NameError as error:
        return Any, error.name
    except Exception:  # noqa: BLE001 - an expression of the author's
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
