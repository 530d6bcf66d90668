"""What the names in a function stand for, as far as its text and the modules it uses tell."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from myagent.inspection.blocking_calls import client_made_as
from myagent.inspection.sources import Function, FunctionNode

_MISSING = object()
_INNER_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def nodes_in(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """`nodes` and everything in them, without the insides of functions and classes that are defined there."""
    for node in nodes:
        yield node
        if not isinstance(node, _INNER_SCOPES):
            yield from nodes_in(ast.iter_child_nodes(node))


class Names:
    """The names of one function. `called(expression)` says in full what is called, `value(expression)` what it is."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._imported = _imports(function.source.tree.body)
        self._bound: set[str] = set()
        self._made: dict[str, str] = {}
        self._local: dict[str, FunctionNode] = {}
        for node in reversed(list(function.source.around(function.node))):
            self._take_in(node)

    def called(self, expression: ast.expr) -> str | None:
        """The dotted name of what an expression means, such as `requests.Session().get`; None when nobody knows."""
        match expression:
            case ast.Name(id=name):
                return self._named(name)
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name == self._function.owner_name:
                # Statically, so that no property of the author's is run.
                return client_made_as(inspect.getattr_static(self._function.owner, attribute, None))
            case ast.Attribute(value=value, attr=attribute):
                owner = self.called(value)
                return f"{owner}.{attribute}" if owner else None
            case ast.Call(func=function):
                made = self.called(function)
                return f"{made}()" if made else None
            case ast.Await(value=value):
                return None if isinstance(value, ast.Call) else self.called(value)
        return None

    def value(self, expression: ast.expr) -> Any:
        """The object that an expression means, of functions that may be looked into; None when nobody knows."""
        match expression:
            case ast.Name(id=name) if name not in self._bound:
                return self._function.scope.get(name)
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name == self._function.owner_name:
                method = inspect.getattr_static(self._function.owner, attribute, None)
                return getattr(self._function.owner, attribute) if inspect.isfunction(method) else None
            case ast.Attribute(value=value, attr=attribute):
                owner = self.value(value)
                return vars(owner).get(attribute) if isinstance(owner, ModuleType) else None
        return None

    def local(self, expression: ast.expr) -> FunctionNode | None:
        """The definition of a function that is defined in this one."""
        return self._local.get(expression.id) if isinstance(expression, ast.Name) else None

    def _named(self, name: str) -> str | None:
        if name in self._made:
            return self._made[name]
        if name in self._bound:
            return None
        if name in self._imported:
            return self._imported[name]
        value = self._function.scope.get(name, _MISSING)
        if inspect.isbuiltin(value) and value.__module__ == "builtins":
            return f"builtins.{name}"
        return client_made_as(value)

    def _take_in(self, function: FunctionNode) -> None:
        """Learn the names that a function binds; those of inner functions come after those of outer ones."""
        arguments = function.args
        for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
            self._bind(argument.arg, self._annotated(argument.annotation))
        for extra in (arguments.vararg, arguments.kwarg):
            if extra is not None:
                self._bind(extra.arg, None)
        for node in nodes_in(function.body):
            match node:
                case ast.Import() | ast.ImportFrom():
                    self._imported |= _imports([node])
                    for alias in node.names:
                        self._bound.discard(alias.asname or alias.name.partition(".")[0])
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self._bind(node.name, None)
                    self._local[node.name] = node
                case ast.Name(id=name, ctx=ast.Store()) if name not in self._made:
                    self._bind(name, None)
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self._bind(name, self.called(value))
                case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
                    self._bind(name, self.called(value))
                case ast.NamedExpr(target=ast.Name(id=name), value=value):
                    self._bind(name, self.called(value))
                case ast.withitem(context_expr=value, optional_vars=ast.Name(id=name)):
                    self._bind(name, self.called(value))

    def _bind(self, name: str, made: str | None) -> None:
        self._bound.add(name)
        self._local.pop(name, None)
        if made is not None:
            self._made[name] = made
        else:
            self._made.pop(name, None)

    def _annotated(self, annotation: ast.expr | None) -> str | None:
        """What a parameter is, by its annotation: of a union the first class that is known."""
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            try:
                annotation = ast.parse(annotation.value, mode="eval").body
            except SyntaxError:
                return None
        if annotation is None:
            return None
        names = [node for node in ast.walk(annotation) if isinstance(node, ast.Name | ast.Attribute)]
        found = next(filter(None, map(self.called, names)), None)
        return f"{found}()" if found else None


def _imports(statements: Iterable[ast.AST]) -> dict[str, str]:
    """The names that imports bind, also those under `if` and `try`, and what they stand for."""
    found: dict[str, str] = {}
    for node in nodes_in(statements):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found
