"""The dependencies in pyproject.toml: everything that is imported is declared, with a floor and a ceiling."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, files, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PRODUCT = ("myagent", "agents", "sessions_app", "myagent_site", "manage.py")
FOR_TESTS = ("pytest_myagent.py", "examples", "tests", "bench", "scripts")
"""What is imported under pytest, by people who develop, to measure, or to build the site."""
UNINSTALLED = {"opentelemetry.exporter.otlp.proto.grpc": "opentelemetry-exporter-otlp-proto-grpc"}
"""Modules of extras that `make venv` does not install."""


@cache
def installed_as() -> Mapping[str, list[str]]:
    """The distributions of each module."""
    return packages_distributions()


def python_files(names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        yield from [ROOT / name] if name.endswith(".py") else sorted((ROOT / name).rglob("*.py"))


def imports(source: str) -> set[str]:
    """The dotted names that a file imports, anywhere in it, relative imports excepted."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@cache
def modules(distribution: str) -> set[str]:
    """The paths of its modules, without endings."""
    return {str(file).removesuffix("/__init__.py").removesuffix(".py") for file in files(distribution) or ()}


def holds(distribution: str, name: str) -> bool:
    """Whether a distribution has a module with this dotted name, or one in which the rest of the name is defined."""
    parts = name.split(".")
    return any("/".join(parts[:length]) in modules(distribution) for length in range(2, len(parts) + 1))


def distribution_of(name: str) -> str | None:
    """The distribution that a dotted name is imported from; None for one that no distribution has."""
    for module, distribution in UNINSTALLED.items():
        if name.startswith(f"{module}."):
            return distribution
    found = set(installed_as().get(name.partition(".")[0], ()))
    if len(found) > 1:  # a namespace of several, such as opentelemetry
        found = {distribution for distribution in found if holds(distribution, name)}
    return canonicalize_name(found.pop()) if found else None


def foreign(names: Iterable[str]) -> set[str]:
    """The dotted names that these files and folders import from neither Python nor the project."""
    wanted = {name for path in python_files(names) for name in imports(path.read_text(encoding="utf-8"))}
    own = sys.stdlib_module_names | {name.removesuffix(".py") for name in (*PRODUCT, *FOR_TESTS)}
    return {name for name in wanted if name.partition(".")[0] not in own}


def imported(names: Iterable[str]) -> dict[str, str]:
    """Distributions that these files and folders import, each with one of the names."""
    return {distribution: name for name in sorted(foreign(names)) if (distribution := distribution_of(name))}


def declared(*extras: str) -> dict[str, Requirement]:
    """The requirements of the project and of these extras, those that extras name of each other included."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    found = {}
    for wanted in map(Requirement, lines):
        found |= (
            declared(*wanted.extras) if wanted.name == PROJECT["name"] else {canonicalize_name(wanted.name): wanted}
        )
    return found


EXTRAS = tuple(PROJECT["optional-dependencies"])
ALL = [line for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()) for line in lines]
FOREIGN = [line for line in ALL if Requirement(line).name != PROJECT["name"]]


@pytest.mark.parametrize("line", FOREIGN)
def test_a_dependency_has_a_floor_and_a_ceiling(line):
    operators = {bound.operator for bound in Requirement(line).specifier}
    assert operators & {">=", "=="}, "no floor"
    assert operators & {"<", "<=", "=="}, "no ceiling"


def test_what_product_code_imports_is_known():
    """Without this a package that is not installed here would escape the next test."""
    assert {name for name in foreign(PRODUCT) if distribution_of(name) is None} == set()


def test_what_product_code_imports_is_declared():
    """Without what is needed to develop, which users do not install."""
    known = declared(*(extra for extra in EXTRAS if extra not in ("dev", "bench", "docs")))
    assert {name: module for name, module in imported(PRODUCT).items() if name not in known} == {}


def test_what_tests_and_benchmarks_import_is_declared():
    known = declared(*EXTRAS)
    assert {name: module for name, module in imported(FOR_TESTS).items() if name not in known} == {}


def test_what_is_declared_is_used():
    """It is imported, or the settings name it as text, as they do with middleware and backends."""
    used = set(imported(PRODUCT))
    text = " ".join(path.read_text(encoding="utf-8") for path in python_files(PRODUCT))
    named = set(re.findall(r"[\"'](\w+)\.[\w.]+[\"']", text))
    used |= {canonicalize_name(name) for word in named for name in installed_as().get(word, ())}
    assert set(declared()) - used == set()


def test_an_import_is_found_wherever_it_stands():
    source = "import a.b as c\nfrom d import e\nfrom . import f\nfrom .g import h\n\ndef late():\n    import i.j\n"
    assert imports(source) == {"a.b", "d.e", "i.j"}


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("jwt", "pyjwt"),
        ("jwt.algorithms.Algorithm", "pyjwt"),
        ("opentelemetry.sdk.trace.TracerProvider", "opentelemetry-sdk"),
        ("opentelemetry.trace", "opentelemetry-api"),
        ("opentelemetry.trace.Span", "opentelemetry-api"),
        ("no_such_module", None),
    ],
)
def test_a_module_belongs_to_a_distribution(name, distribution):
    if distribution:
        try:
            files(distribution)
        except PackageNotFoundError:
            pytest.skip(f"{distribution} is not installed")
    assert distribution_of(name) == distribution


def test_the_packages_for_a_start_are_the_projects_own():
    """requirements-ws.txt names packages, their bounds are those of pyproject.toml."""
    lines = (ROOT / "requirements-ws.txt").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line[:1] not in ("", "#", "-")]
    assert [str(line) for line in wanted if line.specifier] == []
    assert {canonicalize_name(line.name) for line in wanted} <= declared().keys()


# --- what a package index shows ---------------------------------------------------------------------------------------


def test_the_license_is_named_and_installed():
    assert PROJECT["license"] == "MIT"
    assert all((ROOT / name).is_file() for name in PROJECT["license-files"])
    assert not [line for line in PROJECT["classifiers"] if line.startswith("License ::")]  # PEP 639: not both


def test_the_classifiers_say_what_the_project_needs():
    lowest = PROJECT["requires-python"].removeprefix(">=")
    assert f"Programming Language :: Python :: {lowest}" in PROJECT["classifiers"]
    (django,) = [bound.version for bound in declared()["django"].specifier if bound.operator == ">="]
    assert f"Framework :: Django :: {'.'.join(django.split('.')[:2])}" in PROJECT["classifiers"]
    assert PROJECT["classifiers"] == sorted(PROJECT["classifiers"])


def test_a_release_names_its_addresses():
    """There are none before the first release; what is released has to lead to its source and to where to report."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (heading,) = re.findall(rf"^## {re.escape(PROJECT['version'])}.*$", changelog, re.MULTILINE)
    if "not released" not in heading:
        assert PROJECT.get("urls", {}).keys() >= {"Changelog", "Documentation", "Issues", "Source"}
