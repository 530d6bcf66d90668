"""Files of an author that are named like modules which the server needs."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from textwrap import dedent

import pytest

from agents.loading.agent_file_errors import ModuleNameTaken
from agents.loading.loader import load_agent
from agents.loading.server_modules import SERVER_PACKAGES, found_elsewhere, is_needed
from tests.support.paths import ROOT

AGENT = "from myagent import create_react_agent\nagent = create_react_agent(name='tv')\n"


@pytest.mark.parametrize("name", [*SERVER_PACKAGES, "json", "time", "channels", "openai", "redis", "orjson", "yarl"])
def test_what_the_server_needs(name):
    assert is_needed(name)


@pytest.mark.parametrize("name", ["tools", "my_agent", "hypothesis_of_mine", "weather"])
def test_what_it_does_not(name):
    assert not is_needed(name)


def test_what_is_found_in_the_folder_alone_is_nowhere_else(write, tmp_path, monkeypatch):
    write("only_here.py", "")
    monkeypatch.syspath_prepend(tmp_path)
    assert found_elsewhere("only_here", {tmp_path}) is None
    assert found_elsewhere("only_here", {tmp_path / "other"}) == str(tmp_path / "only_here.py")
    assert found_elsewhere("agents", {ROOT}) is None
    assert "agents" in found_elsewhere("agents", {tmp_path})


@pytest.mark.parametrize("name", ["channels", "redis", "json", "agents", "logging", "httpx2", "time"])
@pytest.mark.parametrize("code", ["from {name} import X", "def later():\n    import {name}", "import through_tv"])
def test_a_file_that_the_agent_imports_is_named_before_anything_runs(write, name, code):
    own = write(f"{name}.py", "raise RuntimeError('run')")
    write("through_tv.py", f"import {name}")
    source = write("tv_agent.py", "print('run')\n" + code.format(name=name) + "\n" + AGENT)
    with pytest.raises(ModuleNameTaken) as caught:
        load_agent(source)
    assert own in caught.value.problem and own in caught.value.cure
    assert "tv_agent" not in sys.modules


def test_a_package_of_the_authors(write):
    own = write("channels/__init__.py", "")
    with pytest.raises(ModuleNameTaken) as caught:
        load_agent(write("tv_agent.py", "import channels.tv\n" + AGENT))
    assert own in caught.value.problem


@pytest.mark.parametrize("name", ["tabnanny", "pyclbr", "channels_redis"])
def test_one_that_nobody_imports_does_not_take_the_place_of_the_servers(write, monkeypatch, name):
    write(f"{name}.py", "raise RuntimeError('the author has it')")
    for loaded in [module for module in sys.modules if module.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, loaded)
    assert load_agent(write("tv_agent.py", AGENT)).name == "tv"
    assert not importlib.import_module(name).__file__.startswith(os.path.dirname(write("x.py", "")))
    for loaded in [module for module in sys.modules if module.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, loaded)


@pytest.mark.parametrize("name", ["tabnanny", "redis"])
def test_an_agent_file_of_such_a_name(write, monkeypatch, name):
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ModuleNameTaken) as caught:
        load_agent(write(f"{name}.py", AGENT))
    assert "Rename" in caught.value.cure


def test_what_the_server_does_not_need_is_the_authors(write, tmp_path, monkeypatch):
    """As Python does it for a script: the folder comes before what is installed."""
    write("installed/utils_of_tv.py", "NAME = 'installed'")
    monkeypatch.syspath_prepend(tmp_path / "installed")
    write("own/utils_of_tv.py", "NAME = 'tv'")
    load_agent(write("own/tv_agent.py", "from utils_of_tv import NAME\n" + AGENT))
    assert sys.modules["tv_agent"].NAME == "tv"


# --- the current folder, which `python -m` puts in front of all libraries -----------------------------------------


def check(folder, *words):
    """`python -m myagent.cli.main check`, in this folder and as a stranger's Python does it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MYAGENT_", "PYTHON"))}
    environment |= {"MYAGENT_LANGUAGE": "en", "MYAGENT_DATA_DIR": str(folder / "data"), "OPENAI_API_KEY": "k"}
    environment["DJANGO_SETTINGS_MODULE"] = "myagent_site.settings"
    command = [sys.executable, "-m", "myagent.cli.main", "check", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


NAMES = ("channels", "django", "json", "logging", "random", "agents", "sessions_app", "pydantic", "asyncio", "decimal")


def test_a_folder_full_of_such_files_starts(tmp_path):
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the author has it')\n")
    (tmp_path / "tv_agent.py").write_text(AGENT)
    done = check(tmp_path, "tv_agent.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert "tv  (tv_agent.py)" in done.stdout


def test_the_one_that_is_imported_is_named(tmp_path):
    (tmp_path / "channels.py").write_text("CHANNELS = {1: 'News'}\n")
    (tmp_path / "tv_agent.py").write_text(f"from channels import CHANNELS\n{AGENT}")
    (tmp_path / "helper_agent.py").write_text(dedent(AGENT).replace("tv", "helper"))
    done = check(tmp_path, "tv_agent.py", "helper_agent.py")
    assert done.returncode == 1
    assert f"Rename {tmp_path / 'channels.py'}" in done.stdout
    assert "helper  (helper_agent.py)" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
