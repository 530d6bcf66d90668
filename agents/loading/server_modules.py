"""The modules that the server needs for itself, so that no file of an author may take their place."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from functools import cache
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

SERVER_PACKAGES = ("myagent", "agents", "sessions_app", "myagent_site")

_PROJECT = "myagent"
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)")


def is_needed(name: str) -> bool:
    """Whether the server may import the module `name`, now or later: Python's own, ours, and those that we require."""
    return name in SERVER_PACKAGES or name in sys.stdlib_module_names or name in _libraries()


def found_elsewhere(name: str, folders: Collection[Path]) -> str | None:
    """Where `import name` finds a module when it does not look into `folders`; None where there is none."""
    if name in SERVER_PACKAGES:
        loaded = getattr(sys.modules.get(name), "__file__", None)
        return None if loaded is None or Path(loaded).resolve().parent.parent in folders else str(loaded)
    if name in sys.builtin_module_names:
        return f"{name} (Python)"
    spec = PathFinder.find_spec(name, path_without(folders))
    return spec.origin if spec is not None else None


def path_without(folders: Collection[Path]) -> list[str]:
    """Python's search path without these folders."""
    return [entry for entry in sys.path if Path(entry).resolve() not in folders]


@cache
def _libraries() -> frozenset[str]:
    """The top-level modules of all distributions that this project requires, and of those that they require.

    Where it is not installed itself, all that are installed count.
    """
    required = _required()
    return frozenset(
        module
        for module, names in metadata.packages_distributions().items()
        if not required or any(_normal(name) in required for name in names)
    )


def _required() -> set[str]:
    found: set[str] = set()
    ahead = [_PROJECT]
    while ahead:
        name = _normal(ahead.pop())
        if name in found:
            continue
        try:
            requirements = metadata.requires(name) or ()
        except metadata.PackageNotFoundError:
            continue  # an extra that is not installed
        found.add(name)
        # Of ours the extras, too: they are ours to import where they are installed.
        wanted = [text for text in requirements if name == _PROJECT or "extra ==" not in text]
        ahead += [match[1] for text in wanted if (match := _REQUIREMENT.match(text))]
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
