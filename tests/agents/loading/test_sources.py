"""Which files of a folder are agent files."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.loading.agent_file_errors import FolderWithoutAgents
from agents.loading.sources import agent_files, is_folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bots").mkdir()
    return tmp_path / "bots"


@pytest.mark.parametrize(
    ("text", "is_agent_file"),
    [
        ("agent = 1", True),
        ("agent: object = 1", True),
        ("def agent(): ...", True),
        ("try:\n    import fast\n    agent = fast.agent\nexcept ImportError:\n    agent = None", True),
        ("x = = 1", True),
        ("x = 1\0", True),
        ("(" * 100_000, True),
        ("from bots.main import agent\nagent.arun('a program that uses an agent')", False),
        ("def make():\n    agent = 1", False),
        ("print(other.agent)", False),
        ("", False),
    ],
)
def test_an_agent_file_defines_agent_which_is_told_without_running_it(folder, text, is_agent_file):
    (folder / "one.py").write_text(text)
    (folder / "two.py").write_text("agent = 1")
    assert agent_files("bots") == [*["bots/one.py"] * is_agent_file, "bots/two.py"]


def test_only_python_files_directly_in_the_folder_count_by_name(folder):
    for name in (
        "b.py",
        "a.py",
        "_private.py",
        "__init__.py",
        ".hidden.py",
        "notes.txt",
        "sub/deeper.py",
        "a b'; --.py",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("agent = 1")
    (folder / "folder.py").mkdir()
    (folder / "dead.py").symlink_to("nowhere.py")
    assert agent_files("bots") == ["bots/a b'; --.py", "bots/a.py", "bots/b.py"]
    assert agent_files(str(folder)) == [str(folder / name) for name in ("a b'; --.py", "a.py", "b.py")]


def test_a_folder_without_agents_says_what_would_be_one(folder):
    (folder / "helper.py").write_text("x = 1")
    with pytest.raises(FolderWithoutAgents) as caught:
        agent_files("bots")
    assert caught.value.file == "bots"


def test_a_name_is_a_folder_only_where_there_is_one(folder):
    assert is_folder("bots")
    assert is_folder(str(Path.cwd()))
    assert not is_folder("bots.main")
    assert not is_folder("elsewhere")
    assert not is_folder("my_agent.py")
