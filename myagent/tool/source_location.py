"""`SourceLocation`: where in its author's files a tool, or an attribute of one, is written."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import dedent
from typing import Any


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A line of a file; `file` is empty and `line` None where nobody knows them."""

    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line is not None else self.file


NOWHERE = SourceLocation()


def location_of(written: Any) -> SourceLocation:
    """Where a function or a class is written, below its decorators."""
    try:
        lines, first = inspect.getsourcelines(written)
        file = inspect.getsourcefile(written)
    except (OSError, TypeError, SyntaxError):  # made without a file, or the file changed meanwhile
        return NOWHERE
    below_decorators = (number for number, line in enumerate(lines, first) if re.match(r"\s*(async|def|class)\b", line))
    return SourceLocation(file or "", next(below_decorators, first))


def location_of_attribute(classes: list[type], name: str) -> SourceLocation:
    """Where one of `classes` is given the attribute: in its body, in its methods, or later in its module.

    The line of the class itself where that cannot be found.
    """
    for klass in classes:
        if (found := _line(klass, name)) is not None:
            return found
    for module in dict.fromkeys(sys.modules.get(klass.__module__) for klass in classes):
        if module is not None and (found := _line(module, name)) is not None:
            return found
    return location_of(classes[0]) if classes else NOWHERE


def _line(written: Any, name: str) -> SourceLocation | None:
    try:
        lines, first = inspect.getsourcelines(written)
        file = inspect.getsourcefile(written)
        tree = ast.parse(dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    body = tree.body[0].body if inspect.isclass(written) and isinstance(tree.body[0], ast.ClassDef) else []
    found = next((node for node in (*_in_body(body, name), *_anywhere(tree, name))), None)
    return SourceLocation(file or "", max(first, 1) + found.lineno - 1) if found is not None else None


def _in_body(body: list[ast.stmt], name: str) -> Iterator[ast.stmt]:
    """The statements of a class that bind the name."""
    for node in body:
        targets: list[ast.expr] = []
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() if node.name == name:
                yield node
            case ast.Assign():
                targets = node.targets
            case ast.AnnAssign():
                targets = [node.target]
        if any(isinstance(part, ast.Name) and part.id == name for target in targets for part in ast.walk(target)):
            yield node


def _anywhere(tree: ast.AST, name: str) -> Iterator[ast.expr | ast.keyword]:
    """The places that give an object the attribute: `self.name = …`, `f(name=…)`, `setattr(self, "name", …)`."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=attribute, ctx=ast.Store()) if attribute == name:
                yield node
            case ast.keyword(arg=argument) if argument == name:
                yield node
            case ast.Constant(value=value) if value == name:
                yield node
