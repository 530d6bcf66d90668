"""Tools: `BaseTool`, `@tool`, and what a call of one gives back."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from myagent.tool.base_tool import BaseTool as BaseTool
    from myagent.tool.base_tool import ToolResult as ToolResult
    from myagent.tool.collection import ToolCollection as ToolCollection
    from myagent.tool.function_tool import tool as tool
    from myagent.tool.terminate import Terminate as Terminate

HOMES = {
    "BaseTool": "base_tool",
    "Terminate": "terminate",
    "ToolCollection": "collection",
    "ToolResult": "base_tool",
    "tool": "function_tool",
}
"""The modules of the names that this package offers."""


def __getattr__(name: str) -> Any:
    # At first use: the modules of this package import one another, and all of them import this file first.
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
