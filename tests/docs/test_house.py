"""The house: few files in each room, no circle of imports, one name for one thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from tests.support.paths import ROOT

PRODUCT = ("myagent", "agents", "sessions_app", "myagent_site")
FLAT_FILES = {"myagent": 14, "agents": 14, "sessions_app": 10, "tests": 12}
"""How many Python files may lie directly in a folder."""

LINES = 300
"""How long a file of the product may be."""

SAME_NOUN = {
    "agents.py": "the command `agents`, and agents in the admin",
    "apps.py": "Django looks for the configuration of an app in a file of this name",
    "backup.py": "the command `backup`, and how a copy of the database is made",
    "chat.py": "the command `chat` of both programs, and the chat on the terminal",
    "housekeeping.py": "what is due, and the entries that write it",
    "messages.py": "messages: what the loop reads, how they are written, and in the admin",
    "runs.py": "runs: how they are written, and in the admin",
    "session_files.py": "the files of a session: how they are written, and in the admin",
    "sessions.py": "sessions: what a client asks of them, how they are written, and in the admin",
    "spans.py": "spans: of the loop, how they are written, and in the admin",
}
"""File names that stand for the same noun in several rooms."""

SAME_CLASS = {
    "Command": "Django finds the commands of manage.py by this name",
    "Message": "what the loop reads, and its row",
    "ToolCall": "what the loop reads, and its row",
    "Usage": "what a call of the model cost, and the row that adds it up",
}


def product_files() -> Iterator[Path]:
    for package in PRODUCT:
        yield from (path for path in sorted((ROOT / package).rglob("*.py")) if "migrations" not in path.parts)


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PRODUCT, exclude_type_checking_imports=False, cache_dir=None)


@pytest.mark.parametrize("folder", FLAT_FILES)
def test_a_folder_has_few_files(folder):
    files = sorted(path.name for path in (ROOT / folder).glob("*.py"))
    assert 0 < len(files) <= FLAT_FILES[folder], files


def test_no_file_is_too_long():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in product_files()
    }
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > LINES} == {}


def test_no_test_waits_inside_a_page():
    """Our pages' policy forbids it, which shows only when the first look says no: `Tab.until` asks from outside."""
    waiting = [
        path.name for path in (ROOT / "tests").rglob("*.py") if ".wait_for" + "_function(" in path.read_text("utf-8")
    ]
    assert waiting == []


def test_no_circle_of_imports_between_files():
    imports = {module: graph().find_modules_directly_imported_by(module) for module in graph().modules}
    assert len(imports) > 200
    _assert_no_circle(imports)


@pytest.mark.parametrize("package", [package for package in PRODUCT if package != "myagent_site"])
def test_no_circle_of_imports_between_folders(package):
    """What lies side by side in a folder, files and folders alike, imports one another in one direction only."""
    siblings: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for importer in graph().modules:
        for imported in graph().find_modules_directly_imported_by(importer):
            here, there = importer.split("."), imported.split(".")
            depth = next((at for at, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), None)
            if depth and here[0] == package:  # None: a package and what is in it
                siblings[".".join(here[:depth])][here[depth]].add(there[depth])
    assert package in siblings
    for imports in siblings.values():
        _assert_no_circle(imports)


def test_files_of_one_name_are_about_one_thing():
    places = defaultdict(list)
    for path in product_files():
        if path.name != "__init__.py":
            places[path.name].append(str(path.relative_to(ROOT)))
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert {name: where for name, where in twice.items() if name not in SAME_NOUN} == {}
    assert SAME_NOUN.keys() <= twice.keys(), "take out what is not needed any more"


def test_classes_of_one_name_are_one_thing():
    places = defaultdict(list)
    for path in product_files():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path.relative_to(ROOT)))
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert {name: where for name, where in twice.items() if name not in SAME_CLASS} == {}
    assert SAME_CLASS.keys() <= twice.keys(), "take out what is not needed any more"


def _assert_no_circle(imports: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]), pytrace=False)
