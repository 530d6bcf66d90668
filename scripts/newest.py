"""The project's requirements with their extras and without their bounds: what `make test-newest` installs.

Usage: newest.py EXTRA...
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def unbounded(requirements: list[str]) -> Iterator[str]:
    """The requirements as names, those of the project's own extras in their place."""
    for requirement in requirements:
        name = re.match(r"[\w.-]+(\[[\w,-]+\])?", requirement)[0]  # type: ignore[index]
        if name.startswith(f"{PROJECT['name']}["):
            yield from of_extras(name.split("[")[1].rstrip("]").split(","))
        else:
            yield name


def of_extras(extras: list[str]) -> Iterator[str]:
    for extra in extras:
        yield from unbounded(PROJECT["optional-dependencies"][extra])


if __name__ == "__main__":
    sys.stdout.write("\n".join([*unbounded(PROJECT["dependencies"]), *of_extras(sys.argv[1:])]) + "\n")
