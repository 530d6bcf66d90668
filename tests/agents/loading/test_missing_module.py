"""Imports that fail in an agent file, and what to do about each."""

from __future__ import annotations

import sys

import pytest

from agents.loading import package_names
from agents.loading.agent_file_errors import AgentImportFailed
from agents.loading.loader import load_agent
from agents.loading.package_names import package_of

AGENT = "\nfrom myagent import create_react_agent\nagent = create_react_agent(name='a')\n"


@pytest.fixture
def cure(write):
    """Load a file that begins with this import; returns what is to be done."""

    def load(code, name="importing_agent.py"):
        with pytest.raises(AgentImportFailed) as caught:
            load_agent(write(name, code + AGENT))
        assert caught.value.line == 1
        return caught.value.cure

    return load


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("cv2", "opencv-python"),
        ("PIL.Image", "pillow"),
        ("yaml", "pyyaml"),
        ("sklearn.linear_model", "scikit-learn"),
        ("bs4", "beautifulsoup4"),
        ("dotenv", "python-dotenv"),
        ("fitz", "pymupdf"),
        ("google.cloud.storage", "google-cloud-storage"),
        ("google.generativeai.types", "google-generativeai"),
        ("pandas", "pandas"),
        ("google", None),
        ("nosuch", None),
    ],
)
def test_the_package_that_has_a_module(module, package):
    assert package_of(module) == package


def test_a_module_is_in_one_list_only():
    assert not set(package_names._OTHER_NAMES) & set(package_names._SAME_NAMES.split())


@pytest.mark.parametrize("module", ["cv2", "fitz", "skimage.io"])
def test_a_package_that_has_another_name_than_its_module(cure, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module.partition(".")[0], None)
    monkeypatch.delitem(sys.modules, module.partition(".")[0])
    if (package := package_of(module)) is not None:
        assert f"(pip install {package})" in cure(f"import {module}")


def test_a_module_that_is_not_known(cure):
    words = cure("import nosuch.part")
    assert "'nosuch'" in words and "nosuch.py" in words
    assert "pip" not in words


def test_a_part_that_an_installed_package_does_not_have(cure):
    words = cure("import openai.nosuch")
    assert words.startswith("openai ") and "pip" not in words


@pytest.mark.parametrize("module", ["distutils.core", "winreg"])
def test_a_module_of_another_python(cure, module):
    if module.partition(".")[0] in sys.modules or sys.platform == "win32":
        pytest.skip("this Python has it")
    try:
        __import__(module)
    except ImportError:
        assert "pip" not in cure(f"import {module}")


def test_a_module_of_ours_that_is_not_there_is_nobody_elses_package(cure):
    assert "pip" not in cure("import myagent.ws")


@pytest.mark.parametrize("code", ["from . import tools", "from .tools import X"])
def test_a_relative_import_in_a_file(cure, write, code):
    write("tools.py", "X = 1")
    assert "import tools" in cure(code)


def test_a_relative_import_in_a_package_names_the_module(cure, write, tmp_path):
    write("bots_a/__init__.py", "")
    write("bots_a/inner/__init__.py", "")
    write("bots_a/inner/tools.py", "X = 1")
    words = cure("from .tools import X", "bots_a/inner/main.py")
    assert "bots_a.inner.main" in words and str(tmp_path) in words


def test_a_package_that_is_found_from_the_projects_root_only(cure, write, tmp_path):
    write("bots_b/util.py", "X = 1")
    words = cure("from bots_b.util import X", "bots_b/main.py")
    assert "bots_b.main" in words and str(tmp_path) in words


def test_a_module_above_the_folder_of_the_file(cure, write, tmp_path):
    write("common_things.py", "X = 1")
    words = cure("import common_things", "bots_c/main.py")
    assert "bots_c.main" in words and str(tmp_path) in words


def test_a_name_that_a_module_does_not_have(cure, write):
    write("own_tools.py", "weather = 1")
    assert cure("from own_tools import wether") == "Did you mean weather?"
    assert cure("from own_tools import something_else") == ""


def test_two_files_that_import_each_other(cure, write):
    write("circle_helper.py", "from circle_agent import LATER\nHELP = 1")
    assert "import each other" in cure("from circle_helper import HELP\nLATER = 1", "circle_agent.py")


def test_a_folder_that_is_named_like_a_package_of_the_server(cure, write, tmp_path):
    write("agents/tools.py", "X = 1")
    words = cure("from agents.tools import X")
    assert str(tmp_path / "agents") in words and "rename" in words
