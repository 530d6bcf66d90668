"""The attributes of a tool that its author sets: are they of the right kind, and does each say what is meant?"""

from __future__ import annotations

import dataclasses
import dis
import inspect
from collections.abc import Callable, Iterator
from functools import cached_property
from types import CodeType, FunctionType
from typing import Any, Protocol

from pydantic.fields import FieldInfo, ModelPrivateAttr

from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.i18n import gettext_noop
from myagent.tool.attribute_names import CONFIRMATION, SETTINGS, meant_confirmation, meant_setting
from myagent.tool.pydantic_fields import FieldValue
from myagent.tool.source_location import NOWHERE, SourceLocation, location_of, location_of_attribute

RULES = (CONFIRMATION, "user_confirm")
"""Whether the user is asked before a call; the second is the same in other words."""
RULE_METHODS = ("needs_confirmation", "must_confirm")
OWN_METHODS = ("schema", "check", "bind", "is_async")
_KNOWN = {*SETTINGS, *RULES, *RULE_METHODS, *OWN_METHODS, "execute"}
ABSENT = object()


class AuthoredTool(Protocol):
    """The attributes of a tool that its author sets; `BaseTool` says what they mean."""

    name: str
    description: str
    parameters: dict[str, Any] | None
    timeout: float | None
    confirm_timeout: float
    idempotent: bool
    sequential: bool
    max_observe: int | None
    requires_confirmation: bool | Callable[[dict[str, Any]], bool]
    user_confirm: bool | Callable[[dict[str, Any]], bool]

    def needs_confirmation(self, arguments: dict[str, Any]) -> bool:
        """Whether the user is asked before a call with these arguments."""
        ...


class Attributes:
    """What the author of one tool has given it, in its classes and on the object."""

    def __init__(self, tool: AuthoredTool) -> None:
        self._tool = tool
        self.classes = [klass for klass in type(tool).__mro__ if not is_library(klass.__module__)]
        """The classes that the author wrote, the most special one first."""

    @cached_property
    def names(self) -> list[str]:
        """All names, those that are only annotated among them."""
        declared = [name for klass in self.classes for name in (*vars(klass).get("__annotations__", ()), *vars(klass))]
        return list(dict.fromkeys([*declared, *vars(self._tool)]))

    def value(self, name: str) -> Any:
        """What stands behind a name before any code of the author runs, `ABSENT` when there is nothing."""
        return inspect.getattr_static(self._tool, name, ABSENT)

    def is_set(self, name: str) -> bool:
        """Whether the author has given it a value."""
        return any(name in vars(owner) for owner in (self._tool, *self.classes))

    @cached_property
    def read_by_itself(self) -> set[str]:
        """The attributes that the tool's own code reads."""
        functions = [value for klass in self.classes for value in vars(klass).values()]
        return {name for function in functions for code in _codes(function) for name in _attributes_read(code)}

    def location(self, name: str = "") -> SourceLocation:
        """Where the attribute is given, or the tool is written."""
        written = self.classes or [inspect.unwrap(getattr(self._tool, "execute", None) or type(self._tool))]
        found = location_of_attribute(written, name) if name else location_of(written[0])
        return found if found.file else NOWHERE


def check_attributes(tool: AuthoredTool) -> None:
    """Raise `AgentDefinitionError` for an attribute that cannot be, or that says something in words unknown here."""
    attributes = Attributes(tool)
    for name, problem in _problems(tool, attributes):
        raise AgentDefinitionError(problem, at=attributes.location(name))


def wishes_in_vain(tool: AuthoredTool) -> list[str]:
    """The attributes that ask for a confirmation in words unknown here; at a call, those that came after the check."""
    attributes = Attributes(tool)
    return [name for name in attributes.names if _wish(attributes, name) is not None]


def _problems(tool: AuthoredTool, attributes: Attributes) -> Iterator[tuple[str, str]]:
    about = {"tool": tool.name}
    for name in attributes.names:
        value = attributes.value(name)
        yield from ((name, words % {**about, "name": name}) for words in _wrong_field(tool, attributes, name, value))
        yield from ((name, words % {**about, "name": name}) for words in _passed_by(name))
        if (meant := _wish(attributes, name)) is not None:
            words = _(
                "The tool %(tool)r: %(name)s means nothing here, and the tool would run unasked. Write %(meant)s."
            )
            yield name, words % {**about, "name": name, "meant": meant}
        elif (meant := _misspelt(attributes, name, value)) is not None:
            words = _("The tool %(tool)r: %(name)s means nothing here. Write %(meant)s, or give it another name.")
            yield name, words % {**about, "name": name, "meant": meant}
    for name, expected in _wrong_kinds(tool):
        words = _("The tool %(tool)r: %(attribute)s=%(value)r, but it should be %(expected)s.")
        yield name, words % {**about, "attribute": name, "value": getattr(tool, name), "expected": expected}
    for name in RULE_METHODS:
        if not callable(getattr(tool, name)):
            words = _("The tool %(tool)r has an attribute %(name)r, which hides a method of BaseTool. Rename it.")
            yield name, words % {**about, "name": name}
    for name in (*RULES, "needs_confirmation"):
        if inspect.iscoroutinefunction(getattr(tool, name)):
            yield (
                name,
                _("The tool %(tool)r: the rule for confirmations must be a plain `def`, not `async def`.") % about,
            )


def _wrong_field(tool: AuthoredTool, attributes: Attributes, name: str, value: Any) -> Iterator[str]:
    """Fields of pydantic that have no value, and what of pydantic does not work in a tool."""
    if isinstance(value, FieldValue) and not value.is_required:
        getattr(tool, name)  # made now, when nobody waits for an answer
    elif isinstance(value, FieldValue | FieldInfo | ModelPrivateAttr | dataclasses.Field) and not name.startswith("_"):
        yield _("The tool %(tool)r: the field %(name)s has no value. Give it a default, or set it in __init__.")
    elif name in RULES and not attributes.is_set(name):
        yield _("The tool %(tool)r: %(name)s has no value. Write requires_confirmation = True, or False.")
    elif type(value).__module__.startswith("pydantic.") and hasattr(value, "decorator_info"):
        yield _("The tool %(tool)r: %(name)s is a validator of pydantic, which no tool runs. Check it in __init__.")


def _passed_by(name: str) -> Iterator[str]:
    """Methods that the author expects to be called, and that the server passes by."""
    if name in ("__call__", "_traced_execute"):
        yield _(
            "The tool %(tool)r: the server calls execute() and passes %(name)s by. Put what it checks into execute(), "
            "and the rule for when the user is asked into requires_confirmation."
        )
    elif name in ("_request_user_confirmation", "set_confirmation_handler", "_confirmation_handler"):
        yield _(
            "The tool %(tool)r: the server asks the user itself and passes %(name)s by. Write the rule for when the "
            "user is asked as requires_confirmation: True, or a function of the arguments."
        )
    elif name == "to_param":
        yield _("The tool %(tool)r: the model is shown `parameters`, and %(name)s is passed by. Set parameters.")
    elif name in OWN_METHODS:
        yield _("The tool %(tool)r has an attribute %(name)r, which hides a method of BaseTool. Rename it.")


def _wish(attributes: Attributes, name: str) -> str | None:
    if name in _KNOWN or name.startswith("__") or (meant := meant_confirmation(name)) is None:
        return None
    value = attributes.value(name)
    if _is_code(value) or name.startswith("_"):
        # Helpers of the author's, unless nobody calls them.
        is_own = name in attributes.read_by_itself or not (_is_code(value) or isinstance(value, bool | str))
    else:
        is_own = isinstance(value, list | dict | set | tuple) and name in ("approval", "confirm", "confirmation")
    return None if is_own else meant


def _misspelt(attributes: Attributes, name: str, value: Any) -> str | None:
    """The attribute that is meant by one which is spelt almost like it, and which the tool does not use itself."""
    if name in _KNOWN or name.startswith("_") or value is ABSENT or _is_code(value):
        return None
    known, is_same = meant_setting(name) or ("", False)
    if not known or attributes.is_set(known) or name in attributes.read_by_itself:
        return None
    return known if is_same or _KINDS[known][0](value) else None


def _wrong_kinds(tool: AuthoredTool) -> Iterator[tuple[str, str]]:
    for name, (is_right, expected) in _KINDS.items():
        if expected and not is_right(getattr(tool, name)):
            yield name, _(expected)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_rule(value: Any) -> bool:
    return isinstance(value, bool) or callable(value)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _or_none(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_right(value)


# Of a wrong name and wrong parameters others tell.
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_text, ""),
    "description": (_is_text, gettext_noop("text")),
    "parameters": (lambda value: isinstance(value, dict), ""),
    "timeout": (_or_none(_is_seconds), gettext_noop("a number of seconds, or None")),
    "confirm_timeout": (_is_seconds, gettext_noop("a number of seconds")),
    "idempotent": (lambda value: isinstance(value, bool), gettext_noop("True or False")),
    "sequential": (lambda value: isinstance(value, bool), gettext_noop("True or False")),
    "max_observe": (_or_none(_is_count), gettext_noop("a whole number, or None")),
    "requires_confirmation": (_is_rule, gettext_noop("True, False or a function of the arguments")),
    "user_confirm": (_is_rule, gettext_noop("True, False or a function of the arguments")),
}


def is_library(module: str) -> bool:
    """Whether a class of this module is no author's."""
    # Only packages that are in memory before any agent file is, which so cannot be called like them.
    return module.partition(".")[0] in ("myagent", "pydantic", "builtins", "typing", "abc")


def _is_code(value: Any) -> bool:
    return inspect.isroutine(value) or isinstance(value, type)


def _codes(value: Any) -> Iterator[CodeType]:
    """The code of a function, method or property, and of the functions in it."""
    match value:
        case property(fget=function) | staticmethod(__func__=function) | classmethod(__func__=function):
            pass
        case cached_property(func=function) | (FunctionType() as function):
            pass
        case _:
            return
    waiting = [function.__code__] if isinstance(function, FunctionType) else []
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [item for item in code.co_consts if isinstance(item, CodeType)]


def _attributes_read(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(instruction.argval, str):
            yield instruction.argval
