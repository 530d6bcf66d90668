"""What is installed: the packages with the files beside their code, and the names that programs and pytest find."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
ROOTS = [ROOT / name.removesuffix("*") for name in SETUPTOOLS["packages"]["find"]["include"]]


def installed() -> set[Path]:
    """The files that a wheel holds, by the rules of setuptools."""
    files = {path for root in ROOTS for path in root.rglob("*.py") if (path.parent / "__init__.py").exists()}
    for package, patterns in SETUPTOOLS["package-data"].items():
        for pattern in patterns:
            files |= {path for path in (ROOT / package).glob(pattern) if path.is_file()}
    return files


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
def test_every_file_of_a_package_is_installed(root):
    there = {path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert there - installed() == set()


def test_the_plugin_and_the_command_are_found():
    assert SETUPTOOLS["py-modules"] == list(PROJECT["project"]["entry-points"]["pytest11"].values())
    for module in SETUPTOOLS["py-modules"]:
        importlib.import_module(module)
    module, _, function = PROJECT["project"]["scripts"]["myagent-ws"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
