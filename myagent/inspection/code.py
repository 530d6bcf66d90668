"""What a tool's code does that it should not do where it runs: waiting in `async def`, and questions not waited for."""

from __future__ import annotations

import ast
import inspect
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from myagent.i18n import gettext as _
from myagent.inspection.blocking_calls import instead_of
from myagent.inspection.finding import Finding, Place, Severity
from myagent.inspection.names import Names, nodes_in
from myagent.inspection.sources import Function, function_of
from myagent.tool.base_tool import BaseTool

_DEPTH = 8
_RUNS = (
    "myagent.RunContext()",
    "myagent.run_context.RunContext()",
    "myagent.current_run()",
    "myagent.run_context.current_run()",
)
_CONFIRM = frozenset(f"{run}.confirm" for run in _RUNS)
_CONFIRM_SYNC = frozenset(f"{run}.confirm_sync" for run in _RUNS)
_STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib")).resolve()
_OURS = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Call:
    """A call that runs when the tool does. `way` are the author's functions it takes to get there, the tool's first."""

    name: str
    node: ast.Call
    function: Function
    way: tuple[str, ...]

    @property
    def place(self) -> Place:
        return self.function.place(self.node)

    @property
    def shown(self) -> str:
        """The call for people, with the way to it."""
        name = self.name.removeprefix("builtins.")
        if name in _CONFIRM | _CONFIRM_SYNC:
            name = f"run.{name.rpartition('.')[2]}"
        return " → ".join(f"{step}()" for step in [*self.way[1:], name])


def calls_of(tool: BaseTool) -> Iterator[Call]:
    """The calls in a tool's code and in the author's functions that it calls, those that are understood."""
    code, seen = tool.execute, set[tuple[str, int]]()
    while code is not None:
        if (function := function_of(code)) is not None:
            yield from _calls(function, (function.node.name,), seen)
        code = _decorated(code)


def _decorated(code: Any) -> Any:
    """The function behind a decorator that runs it in the same way; None when there is none.

    A plain function behind an async one is most likely taken to a thread.
    """
    inner = getattr(code, "__wrapped__", None)
    return inner if inspect.iscoroutinefunction(inner) or not inspect.iscoroutinefunction(code) else None


def inspect_code(tool: BaseTool) -> Iterator[Finding]:
    """What a look at the tool's code finds; each kind of call is named once, at its first place."""
    told: set[str] = set()
    for call in calls_of(tool):
        finding = _judge(tool, call)
        if finding is not None and (key := f"{finding.code} {call.name.partition('()')[0]}") not in told:
            told.add(key)
            yield finding


def asks_by_itself(tool: BaseTool) -> bool:
    """Whether the tool's code asks the user for a confirmation."""
    return any(call.name in _CONFIRM | _CONFIRM_SYNC for call in calls_of(tool))


def _judge(tool: BaseTool, call: Call) -> Finding | None:
    words = {"tool": tool.name, "call": call.shown}
    if call.name == "builtins.input":
        problem = _("The tool '%(tool)s' calls %(call)s, but a server has no keyboard.")
        cure = _("Ask the user with await run.confirm(…), or let the model ask and take the answer as a parameter.")
        return _finding("reads_keyboard", Severity.ERROR, call, tool, problem % words, cure)
    if call.name in _CONFIRM:
        return _judge_confirm(tool, call, words)
    if not tool.is_async:
        return None
    if call.name == "asyncio.run" or call.name.endswith(".run_until_complete"):
        problem = _("The async tool '%(tool)s' calls %(call)s, which fails inside a running event loop.")
        return _finding("nested_loop", Severity.ERROR, call, tool, problem % words, _("Await the coroutine instead."))
    instead = "run.confirm(…)" if call.name in _CONFIRM_SYNC else instead_of(call.name)
    if instead is None:
        return None
    problem = _("The async tool '%(tool)s' calls %(call)s, which blocks: the agent's other async tools wait meanwhile.")
    cure = _("Write the tool as a plain `def`, which runs in a thread, or use await asyncio.to_thread(…).")
    if instead:
        cure = _("Use await %(instead)s, or write the tool as a plain `def`, which runs in a thread.")
    return _finding("blocking_call", Severity.WARNING, call, tool, problem % words, cure % {"instead": instead})


def _judge_confirm(tool: BaseTool, call: Call, words: dict[str, str]) -> Finding | None:
    if call.function.is_async:
        if call.node not in _unawaited(call.function):
            return None
        cure = _("Write: await run.confirm(…)")
    elif tool.is_async and call.way[1:]:
        return None  # a helper that hands the coroutine back
    else:
        cure = _("In a plain `def` write: run.confirm_sync(…)")
    problem = _("The tool '%(tool)s' does not wait for the answer to %(call)s: what it does next counts as confirmed.")
    return _finding("confirm_not_awaited", Severity.ERROR, call, tool, problem % words, cure)


def _finding(code: str, severity: Severity, call: Call, tool: BaseTool, problem: str, cure: str) -> Finding:
    return Finding(code=code, severity=severity, problem=problem, cure=cure, place=call.place, tool=tool.name)


def _unawaited(function: Function) -> set[ast.expr]:
    """The expressions that are taken as a condition, or thrown away, without being awaited."""
    found: set[ast.expr] = set()
    for node in nodes_in(function.node.body):
        match node:
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) | ast.Assert(test=test):
                found.add(test)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                found.add(operand)
            case ast.BoolOp(values=values):
                found.update(values)
            case ast.Expr(value=value):
                found.add(value)
    return found


def _calls(function: Function, way: tuple[str, ...], seen: set[tuple[str, int]]) -> Iterator[Call]:
    key = (function.source.path, function.node.lineno)
    if key in seen or len(way) > _DEPTH:
        return
    seen.add(key)
    names = Names(function)
    nodes = list(nodes_in(function.node.body))
    awaited = {node.value for node in nodes if isinstance(node, ast.Await)}
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        name = names.called(node.func)
        if name is not None and (node not in awaited or name in _CONFIRM):
            yield Call(name, node, function, way)
        inner = _entered(function, names, node.func)
        if inner is not None:
            yield from _calls(inner, (*way, inner.node.name), seen)


def _entered(function: Function, names: Names, called: ast.expr) -> Function | None:
    """The author's function that a call runs, or None when it is somebody else's or unknown."""
    if (node := names.local(called)) is not None:
        return function.local(node)
    found = function_of(names.value(called))
    return found if found is not None and _is_authors(Path(found.source.path)) else None


def _is_authors(file: Path) -> bool:
    file = file.resolve()
    installed = {"site-packages", "dist-packages"} & set(file.parts)
    return not installed and not any(map(file.is_relative_to, (_STANDARD_LIBRARY, _OURS)))
