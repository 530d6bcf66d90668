"""The tools of one agent, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.llm import ToolSchema
from myagent.tool.base_tool import BaseTool
from myagent.tool.function_tool import tool as make_tool


class ToolCollection:
    """An immutable, ordered collection of tools with unique names; plain functions become tools.

    Of a function it is the promise of one: empty until a run has asked the function.

    Raises `AgentDefinitionError` for anything that is no tool, and for a tool that cannot work.
    """

    __slots__ = ("_schemas", "_tools", "function")

    def __init_subclass__(cls) -> None:
        words = _("%(class)s: the server runs the tools itself, and passes a collection of your own by. Use a list.")
        raise AgentDefinitionError(words % {"class": cls.__name__})

    def __init__(self, tools: Any = (), *more: Any, **options: Any) -> None:
        """`tools` is an iterable of tools, or the first of several, or the function that gives each run its own."""
        if options:
            words = _("ToolCollection() has no option %(option)s. Set it on each tool, as requires_confirmation=True.")
            raise AgentDefinitionError(words % {"option": next(iter(options))})
        if more or isinstance(tools, BaseTool):
            tools = (tools, *more)
        self.function: Callable[..., Any] | None = _function_of(tools)
        """Gives each run its tools; None where all runs have these."""
        if self.function is not None:
            tools = ()
        if not isinstance(tools, Iterable):
            words = _("tools=%(value)r: it should be a list, such as tools=[HelloTool()].")
            raise AgentDefinitionError(words % {"value": tools})
        self._tools: dict[str, BaseTool] = {}
        for item in map(_as_tool, tools):
            # The base's method finds out whether the author's class hides it by accident.
            schema = BaseTool.schema(item)
            if item.name in self._tools:
                words = _("Two tools are called %(name)r. Rename one of them.")
                raise AgentDefinitionError(words % {"name": item.name})
            if schema["function"]["name"] != item.name:
                words = _("The tool %(tool)r: its name was changed after its first use.")
                raise AgentDefinitionError(words % {"tool": item.name})
            self._tools[item.name] = item
        self._schemas = [item.schema() for item in self]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tools, in order."""
        return tuple(self._tools)

    def get(self, name: str) -> BaseTool | None:
        """The tool of that name, or None."""
        return self._tools.get(name)

    def schemas(self) -> list[ToolSchema]:
        """All tools as a Chat Completions request has them."""
        return list(self._schemas)

    def __iter__(self) -> Iterator[BaseTool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __repr__(self) -> str:
        if self.function is not None:
            return f"ToolCollection({self.function!r})"
        return f"ToolCollection({', '.join(self._tools)})"


def _function_of(tools: Any) -> Callable[..., Any] | None:
    if isinstance(tools, ToolCollection):
        return tools.function
    return tools if callable(tools) and not isinstance(tools, type | Iterable) else None


def _as_tool(item: Any) -> BaseTool:
    if isinstance(item, BaseTool):
        return item
    if isinstance(item, type):
        name = item.__name__
        if issubclass(item, BaseTool):
            words = _("%(class)s is a class. Put a tool into the list: write %(class)s(), not %(class)s.")
        else:
            words = _("The class %(class)s is not a tool. Derive it from BaseTool and write %(class)s().")
        raise AgentDefinitionError(words % {"class": name})
    if inspect.isroutine(item):
        return make_tool(item)
    words = _("%(value)r is not a tool. Tools are instances of BaseTool, functions with @tool, and plain functions.")
    raise AgentDefinitionError(words % {"value": item})
