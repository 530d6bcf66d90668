"""The checked definition of a tool, made once from what its author wrote."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.llm import ToolSchema
from myagent.tool.arguments import Arguments, SignatureArguments
from myagent.tool.attributes import Attributes, AuthoredTool, check_attributes
from myagent.tool.docstring import read_docstring
from myagent.tool.json_schema import SchemaArguments
from myagent.tool.signature import Signature, is_async, read_signature

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
EXECUTE_ELSEWHERE = (
    *("_arun", "_run", "arun", "run", "ainvoke", "invoke", "acall", "call", "forward", "run_async", "exec", "Execute"),
    *("excute", "exceute", "executes", "_execute", "on_invoke_tool", "__call__"),
)
"""What the method that does the work is called by other frameworks, and by accident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What the loop needs of a tool: its schema, the check of its arguments, and how its code is called."""

    schema: ToolSchema
    arguments: Arguments
    signature: Signature
    is_async: bool


def define(tool: AuthoredTool) -> Definition:
    """Check `tool`. Raises `AgentDefinitionError` that says what its author has to change."""
    name = _name(tool)
    execute = getattr(tool, "execute", None)
    if not callable(execute):
        raise _no_execute(tool)
    check_attributes(tool)
    signature = read_signature(execute, tool=name)
    text, descriptions = read_docstring(execute)
    arguments: Arguments
    if tool.parameters is None:
        arguments = SignatureArguments(name, signature, descriptions)
    else:
        arguments = SchemaArguments(name, tool.parameters, signature, descriptions)
    function = {
        "name": name,
        "description": tool.description or text or inspect.cleandoc(tool.__doc__ or ""),
        "parameters": arguments.schema,
    }
    return Definition(
        schema={"type": "function", "function": function},
        arguments=arguments,
        signature=signature,
        is_async=is_async(execute),
    )


def _no_execute(tool: AuthoredTool) -> AgentDefinitionError:
    attributes = Attributes(tool)
    elsewhere = [name for name in EXECUTE_ELSEWHERE if callable(getattr(tool, name, None))]
    if elsewhere:
        words = _("The tool %(tool)r has no execute(). Rename its method %(method)s to execute.")
        at = attributes.location(elsewhere[0])
        return AgentDefinitionError(words % {"tool": tool.name, "method": elsewhere[0]}, at=at)
    words = _("The tool %(tool)r has no execute(). Write `async def execute(self, …)` in its class.")
    return AgentDefinitionError(words % {"tool": tool.name}, at=attributes.location())


def _name(tool: AuthoredTool) -> str:
    kind = type(tool).__name__
    if not tool.name:
        words = _('%(class)s has no name. Give it one, for example name = "say_hello".')
        raise AgentDefinitionError(words % {"class": kind}, at=Attributes(tool).location())
    if not isinstance(tool.name, str) or not NAME.fullmatch(tool.name):
        words = _(
            "%(class)s has the name %(name)r, which models do not take. Use 1 to 64 of the characters a-z, A-Z, 0-9, _ "
            "and -; words for people go into the description."
        )
        raise AgentDefinitionError(words % {"class": kind, "name": tool.name}, at=Attributes(tool).location("name"))
    return tool.name
