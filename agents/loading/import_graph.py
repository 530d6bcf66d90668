"""Which modules belong to an agent, by the import statements in its files."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import resolve_name
from types import ModuleType

from agents.loading.agent_folders import module_file


def reached(names: Iterable[str], modules: Mapping[str, ModuleType]) -> set[str]:
    """Those of `modules` that these import, at the top or in a function, and that they import in turn; these, too."""
    found: set[str] = set()
    ahead = [*names]
    while ahead:
        name = ahead.pop()
        if name in modules and name not in found:
            found.add(name)
            ahead += [*packages_around(name), *_named_in(modules[name])]
    return found


def packages_around(name: str) -> Iterator[str]:
    """The packages that a module is in, the innermost first."""
    while name := name.rpartition(".")[0]:
        yield name


def _named_in(module: ModuleType) -> Iterator[str]:
    """What the statements of a module may import, as its file is now; nothing where that cannot be read."""
    file = module_file(module)
    try:
        tree = ast.parse(file.read_bytes()) if file is not None else ast.Module([], [])
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                yield from _named_by(node, module.__package__ or "")


def _named_by(node: ast.ImportFrom, package: str) -> Iterator[str]:
    try:
        base = resolve_name("." * node.level + (node.module or ""), package)
    except ImportError:
        return  # relative, and not in a package
    yield base
    yield from (f"{base}.{alias.name}" for alias in node.names)
