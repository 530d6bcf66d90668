"""The keywords that a tool's class hands to `BaseTool.__init__`, as pydantic models do."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel

from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.tool.attribute_names import meant_confirmation


def take_fields(tool: object, base: type, args: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
    """Take out of `keywords` those that the class of `tool` declares, and return them.

    Raises `AgentDefinitionError` when something is left and no class behind `base` could want it.
    """
    if isinstance(tool, BaseModel):
        return {}
    cls = type(tool)
    taken = {name: keywords.pop(name) for name in list(keywords) if _is_declared(cls, name)}
    behind = cls.__mro__[cls.__mro__.index(base) + 1 : -1]
    if (args or keywords) and not any("__init__" in vars(klass) for klass in behind):
        raise AgentDefinitionError(_refusal(cls, args, keywords))
    return taken


def _is_declared(cls: type, name: str) -> bool:
    if any(name in vars(klass).get("__annotations__", ()) for klass in cls.__mro__):
        return True
    value = inspect.getattr_static(cls, name, inspect.isroutine)  # a routine is no field
    return not name.startswith("_") and not inspect.isroutine(value)


def _refusal(cls: type, args: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    about = {"class": cls.__name__, "value": args[0] if args else None, "name": next(iter(keywords), "")}
    if not keywords:
        return _("%(class)s(%(value)r): a tool takes keywords only, such as name=…; or write an __init__.") % about
    if meant := meant_confirmation(about["name"]):
        return _("%(class)s: %(name)s means nothing here. Write %(meant)s.") % {**about, "meant": meant}
    known = {name for klass in cls.__mro__ for name in vars(klass).get("__annotations__", ())}
    if close := get_close_matches(about["name"], known, n=1):
        return _("%(class)s has no field %(name)s. Did you mean %(close)s?") % {**about, "close": close[0]}
    words = _(
        "%(class)s has no field %(name)s. Declare it in the class, for example `%(name)s: str`, or set it in __init__."
    )
    return words % about
