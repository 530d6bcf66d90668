"""The variable `agent` of a file: the agent, or a function that makes it; and what is there in its place."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from agents.loading.agent_file_errors import AgentVariableMissing, AgentWrongType
from myagent.agent import Agent
from myagent.i18n import gettext as _

VARIABLE = "agent"


def agent_in(module: ModuleType, source: str, run: Callable[[Callable[[], Any]], Any]) -> Agent:
    """The agent that `module`, which was loaded from `source`, defines; `run` calls the function that makes it.

    Raises `AgentVariableMissing`, `AgentWrongType` and what `run` does.
    """
    if not hasattr(module, VARIABLE):
        raise AgentVariableMissing(source, _where_it_is(module))
    value = getattr(module, VARIABLE)
    if isinstance(value, Agent):
        return value
    is_function = inspect.isroutine(value) or isinstance(value, partial)
    if not is_function or inspect.iscoroutinefunction(value):
        raise AgentWrongType(source, _described(value), _cure(value))
    if _wants_arguments(value):
        raise AgentWrongType(source, _("a function that wants arguments"))
    made = run(value)
    if not isinstance(made, Agent):
        raise AgentWrongType(source, _("a function that returns %(found)s") % {"found": _described(made)}, _cure(made))
    return made


# --- something else ---


def _described(value: Any) -> str:
    if inspect.iscoroutine(value):
        value.close()  # it will never be awaited, and Python would warn of that
        return _("an async function")
    if inspect.iscoroutinefunction(value):
        return _("an async function")
    return f"{type(value).__name__} ({value!r:.60})"


def _cure(value: Any) -> str:
    """What to write in place of `value`; empty for the general rule."""
    if isinstance(value, list | tuple | set | dict) and any(isinstance(item, Agent) for item in _items(value)):
        return _("A file defines one agent. Put each into a file of its own, and serve the folder or all the files.")
    if inspect.iscoroutine(value) or inspect.iscoroutinefunction(value):
        return _("Make it a plain function (def in place of async def), or write: agent = asyncio.run(...)")
    if inspect.isclass(value):
        return _("It is a class. Call it: agent = %(name)s(...)") % {"name": value.__name__}
    if inspect.ismodule(value) and any(isinstance(item, Agent) for item in vars(value).values()):
        return _("Import the agent in it: from %(module)s import agent") % {"module": value.__name__}
    return ""


def _items(value: Any) -> list[Any]:
    return list(value.values() if isinstance(value, dict) else value)


def _wants_arguments(function: Any) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return True
    except ValueError:
        return False  # built-in functions without a signature
    return False


# --- nothing ---


def _where_it_is(module: ModuleType) -> str:
    """What to do about a file in which an agent is under another name, or where the server does not find it."""
    names = [name for name, value in vars(module).items() if isinstance(value, Agent)]
    if len(names) == 1:
        return _("'%(name)s' is an agent. Add the line: agent = %(name)s") % {"name": names[0]}
    if names:
        words = _(
            "Several are agents: %(names)s. Add agent = %(name)s, and put each of the others into a file of its own."
        )
        return words % {"names": ", ".join(names), "name": names[0]}
    place = next(_places(module), None)
    if place is None:
        return ""
    if isinstance(place, ast.If):
        return _(
            "It is defined under if __name__ == '__main__':, which the server does not run. Move it out of there, and "
            "leave what uses it."
        )
    words = _("It is defined in the function %(name)s(). Return it there, and write: agent = %(call)s")
    call = f"{place.name}()" if isinstance(place, ast.FunctionDef) else f"asyncio.run({place.name}())"
    return words % {"name": place.name, "call": call}


def _places(module: ModuleType) -> Iterator[ast.If | ast.FunctionDef | ast.AsyncFunctionDef]:
    """The statements at the top level of a module, within which something is assigned to `agent`."""
    try:
        tree = ast.parse(Path(module.__file__ or "").read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for statement in tree.body:
        if isinstance(statement, ast.If | ast.FunctionDef | ast.AsyncFunctionDef) and any(
            isinstance(node, ast.Name) and node.id == VARIABLE and isinstance(node.ctx, ast.Store)
            for node in ast.walk(statement)
        ):
            yield statement
