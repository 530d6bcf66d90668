"""Source files of an agent, parsed, and the functions in them."""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

from myagent.inspection.finding import Place
from myagent.tool.base_tool import BaseTool
from myagent.tool.function_tool import FunctionTool

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class Source:
    """One parsed file."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.tree = ast.parse(text, path)
        self._functions: dict[int, FunctionNode] = {}
        self._outer: dict[FunctionNode, FunctionNode | None] = {}
        self._note_functions(self.tree, None)

    def function(self, code: CodeType) -> FunctionNode | None:
        """The definition that `code` was compiled from."""
        node = self._functions.get(code.co_firstlineno)
        return node if node is not None and node.name == code.co_name else None

    def around(self, node: FunctionNode) -> Iterator[FunctionNode]:
        """`node`, and the functions that it is defined in, from the inside."""
        outer: FunctionNode | None = node
        while outer is not None:
            yield outer
            outer = self._outer.get(outer)

    def _note_functions(self, node: ast.AST, outer: FunctionNode | None) -> None:
        for child in ast.iter_child_nodes(node):
            inner = outer
            if isinstance(child, FunctionNode):
                first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                self._functions[first] = inner = child
                self._outer[child] = outer
            self._note_functions(child, inner)


@lru_cache(maxsize=64)
def _parsed(path: str, _changed: float) -> Source | None:
    try:
        with tokenize.open(path) as file:  # in the encoding that the file says it has
            return Source(path, file.read())
    except (OSError, ValueError, SyntaxError):  # a file that was changed meanwhile
        return None


def source_of(path: str) -> Source | None:
    """The file at `path`, parsed, or None when it cannot be read."""
    try:
        return _parsed(path, Path(path).stat().st_mtime)
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Function:
    """A function of an author: its definition, and the names that its code can see.

    In a method, `owner` is the object and `owner_name` what the code calls it.
    """

    node: FunctionNode
    source: Source
    scope: Mapping[str, Any]
    owner: object = None
    owner_name: str | None = None

    @property
    def is_async(self) -> bool:
        return isinstance(self.node, ast.AsyncFunctionDef)

    def place(self, node: ast.AST | None = None) -> Place:
        """Where `node` stands, or the definition itself."""
        return Place(self.source.path, getattr(node or self.node, "lineno", None))

    def local(self, node: FunctionNode) -> Function:
        """A function that is defined inside this one."""
        return replace(self, node=node)


def function_of(value: object) -> Function | None:
    """The definition of a function or method, or None when its source is not there or it is no plain function."""
    owner = None
    while True:
        if isinstance(value, FunctionTool):
            value = value.execute
        elif isinstance(value, MethodType):
            owner, value = value.__self__, value.__func__
        elif isinstance(value, functools.partial):
            value = value.func
        elif isinstance(value, functools._lru_cache_wrapper):
            value = value.__wrapped__
        else:
            break
    if not isinstance(value, FunctionType):
        return None
    file = inspect.getsourcefile(value)
    source = source_of(file) if file else None
    node = source.function(value.__code__) if source is not None else None
    if source is None or node is None:
        return None
    scope = {**vars(builtins), **value.__globals__}
    if owner is None:
        return Function(node, source, scope)
    code = value.__code__
    return Function(node, source, scope, owner, code.co_varnames[0] if code.co_argcount else None)


def place_of(tool: BaseTool) -> Place:
    """Where a tool is written: its function, or its class."""
    if isinstance(tool, FunctionTool):
        function = function_of(tool)
        return function.place() if function is not None else Place()
    try:
        file = inspect.getsourcefile(type(tool))
        return Place(file or "", inspect.getsourcelines(type(tool))[1])
    except (OSError, TypeError):  # a class that was made without a file
        return Place()
