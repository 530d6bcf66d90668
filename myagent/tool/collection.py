"""The tools of one agent, by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from myagent.exceptions import AgentDefinitionError
from myagent.llm import ToolSchema
from myagent.tool.base_tool import BaseTool
from myagent.tool.function_tool import tool as make_tool


class ToolCollection:
    """Tools in the order given, each name once; plain functions become tools. It does not change afterwards.

    Raises `AgentDefinitionError` for anything that is no tool, or one that cannot work.
    """

    __slots__ = ("_schemas", "_tools")

    def __init__(self, tools: Iterable[Any] = ()) -> None:
        if isinstance(tools, BaseTool) or not isinstance(tools, Iterable):
            raise AgentDefinitionError(f"tools={tools!r}: tools should be a list, such as tools=[HelloTool()].")
        self._tools: dict[str, BaseTool] = {}
        for item in map(_as_tool, tools):
            # The base's method finds out whether the author's class hides it by accident.
            schema = BaseTool.schema(item)
            if item.name in self._tools:
                raise AgentDefinitionError(f"Two tools are called {item.name!r}. Rename one of them.")
            if schema["function"]["name"] != item.name:
                raise AgentDefinitionError(f"Tool {item.name!r}: its name was changed after its first use.")
            self._tools[item.name] = item
        self._schemas = [item.schema() for item in self]

    @property
    def names(self) -> tuple[str, ...]:
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
        return f"ToolCollection({', '.join(self._tools)})"


def _as_tool(item: Any) -> BaseTool:
    if isinstance(item, BaseTool):
        return item
    if isinstance(item, type):
        name = item.__name__
        if issubclass(item, BaseTool):
            raise AgentDefinitionError(f"{name} is a class. Put a tool into the list: write {name}(), not {name}.")
        raise AgentDefinitionError(f"The class {name} is not a tool. Derive it from BaseTool and write {name}().")
    if inspect.isroutine(item):
        return make_tool(item)
    raise AgentDefinitionError(
        f"{item!r} is not a tool. Tools are instances of BaseTool, functions with @tool, and plain functions."
    )
