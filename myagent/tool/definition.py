"""The checked definition of a tool, made once from what its author wrote."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.llm import ToolSchema
from myagent.tool.arguments import Arguments, SignatureArguments
from myagent.tool.docstring import docstring_of, split_docstring
from myagent.tool.json_schema import SchemaArguments
from myagent.tool.signature import is_async, read_signature

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
METHODS = ("schema", "check", "bind", "needs_confirmation", "must_confirm")


class AuthoredTool(Protocol):
    """The attributes of a tool that its author sets; `BaseTool` says what they mean."""

    name: str
    description: str
    parameters: dict[str, Any] | None
    timeout: float | None
    confirm_timeout: float
    idempotent: bool
    max_observe: int | None
    requires_confirmation: bool | Callable[[dict[str, Any]], bool]

    def needs_confirmation(self, arguments: dict[str, Any]) -> bool:
        """Whether the user is asked before a call with these arguments."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What the loop needs of a tool: its schema, the check of its arguments, and how its code is called.

    `contexts` are the names of the parameters that receive the `RunContext`.
    """

    schema: ToolSchema
    arguments: Arguments
    contexts: tuple[str, ...]
    is_async: bool


def define(tool: AuthoredTool) -> Definition:
    """Check `tool`. Raises `AgentDefinitionError` that says what its author has to change."""
    name = _name(tool)
    execute = getattr(tool, "execute", None)
    if not callable(execute):
        words = _("The tool %(tool)r has no execute(). Write `async def execute(self, …)` in its class.")
        raise AgentDefinitionError(words % {"tool": name})
    _check_attributes(tool)
    signature = read_signature(execute, tool=name)
    text, descriptions = split_docstring(docstring_of(execute))
    arguments: Arguments
    if tool.parameters is None:
        arguments = SignatureArguments(name, signature, descriptions)
    else:
        arguments = SchemaArguments(name, tool.parameters, signature)
    function = {
        "name": name,
        "description": tool.description or text or inspect.cleandoc(tool.__doc__ or ""),
        "parameters": arguments.schema,
    }
    return Definition(
        schema={"type": "function", "function": function},
        arguments=arguments,
        contexts=signature.contexts,
        is_async=is_async(execute),
    )


def _name(tool: AuthoredTool) -> str:
    kind = type(tool).__name__
    if not tool.name:
        words = _('%(class)s has no name. Give it one, for example name = "say_hello".')
        raise AgentDefinitionError(words % {"class": kind})
    if not isinstance(tool.name, str) or not NAME.fullmatch(tool.name):
        words = _(
            "%(class)s has the name %(name)r, which models do not take. Use 1 to 64 of the characters a-z, A-Z, 0-9, _ "
            "and -; words for people go into the description."
        )
        raise AgentDefinitionError(words % {"class": kind, "name": tool.name})
    return tool.name


def _check_attributes(tool: AuthoredTool) -> None:
    problems = {
        "description": None if isinstance(tool.description, str) else _("text"),
        "timeout": None if tool.timeout is None or _is_seconds(tool.timeout) else _("a number of seconds, or None"),
        "confirm_timeout": None if _is_seconds(tool.confirm_timeout) else _("a number of seconds"),
        "idempotent": None if isinstance(tool.idempotent, bool) else _("True or False"),
        "max_observe": None
        if tool.max_observe is None or _is_count(tool.max_observe)
        else _("a whole number, or None"),
        "requires_confirmation": None
        if isinstance(tool.requires_confirmation, bool) or callable(tool.requires_confirmation)
        else _("True, False or a function of the arguments"),
    }
    for attribute, expected in problems.items():
        if expected is not None:
            words = _("The tool %(tool)r: %(attribute)s=%(value)r, but it should be %(expected)s.")
            value = getattr(tool, attribute)
            raise AgentDefinitionError(
                words % {"tool": tool.name, "attribute": attribute, "value": value, "expected": expected}
            )
    for method in METHODS:
        if not callable(getattr(tool, method)):
            words = _("The tool %(tool)r has an attribute %(name)r, which hides a method of BaseTool. Rename it.")
            raise AgentDefinitionError(words % {"tool": tool.name, "name": method})
    for rule in (tool.requires_confirmation, tool.needs_confirmation):
        if inspect.iscoroutinefunction(rule):
            words = _("The tool %(tool)r: the rule for confirmations must be a plain `def`, not `async def`.")
            raise AgentDefinitionError(words % {"tool": tool.name})


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
