"""Loading an agent anew: what is read again, what stays, and what happens when it cannot be."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from textwrap import dedent
from types import ModuleType

import pytest
from django.conf import settings

from agents.loading.agent_file_errors import AgentFileMissing, AgentImportFailed, AgentLoadsTooLong, AgentSyntaxError
from agents.loading.agent_folders import folders
from agents.loading.hot_reload import _modules_beside, reload_agent
from agents.loading.loader import load_agent


@pytest.fixture(autouse=True)
def clean_imports(tmp_path, monkeypatch):
    """Nothing of one test is importable in the next."""
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    # Otherwise nothing old could be read instead of the new, whatever the code under test does.
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = [*sys.path]
    yield
    folders.forget()
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if name.startswith("rn_") or (file and file.startswith(str(tmp_path))):
            sys.modules.pop(name)
    sys.path[:] = path
    importlib.invalidate_caches()


@pytest.fixture
def write(tmp_path):
    """Write a file, always with the same time, as an editor may within one second."""

    def writer(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        os.utime(path, (1_000_000_000, 1_000_000_000))
        return str(path)

    return writer


def agent(words, before="", after=""):
    """An agent file; `words` is the expression of its description."""
    made = f"agent = create_react_agent(name='a', description={words})"
    return f"{before}\nfrom myagent import create_react_agent\n{made}\n{after}\n"


def test_the_file_and_the_modules_of_its_folder_are_read_again(write):
    write("rn_helper.py", "WORDS = 'one'")
    write("rn_pkg/__init__.py", "")
    write("rn_pkg/deep.py", "WORDS = 'one'")
    before = "import rn_helper\nimport rn_pkg.deep"
    source = write("rn_agent.py", agent("'file one ' + rn_helper.WORDS + rn_pkg.deep.WORDS", before))
    old = load_agent(source)
    # As long as before, so that neither times nor sizes tell that something has changed.
    write("rn_helper.py", "WORDS = 'two'")
    write("rn_pkg/deep.py", "WORDS = 'two'")
    write("rn_agent.py", agent("'file two ' + rn_helper.WORDS + rn_pkg.deep.WORDS", before))
    assert reload_agent(source).description == "file two twotwo"
    assert old.description == "file one oneone"


def test_what_is_imported_later_is_read_again_and_the_old_code_keeps_its_own(write):
    write("rn_later.py", "WORDS = 'one'")
    source = write("rn_lazy.py", agent("''", after="def later():\n    import rn_later\n    return rn_later.WORDS"))
    load_agent(source)
    old = sys.modules["rn_lazy"]
    kept = old.later()
    write("rn_later.py", "WORDS = 'two'")
    reload_agent(source)
    assert (kept, sys.modules["rn_lazy"].later()) == ("one", "two")
    assert sys.modules["rn_lazy"] is not old


def test_new_modules_are_found(write):
    source = write("rn_grows.py", agent("'old'"))
    load_agent(source)
    write("rn_new_module.py", "WORDS = 'new'")
    write("rn_grows.py", agent("rn_new_module.WORDS", "import rn_new_module"))
    assert reload_agent(source).description == "new"


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        ("x = = 1", AgentSyntaxError),
        ("import rn_extra\nimport rn_used\n1 / 0", AgentImportFailed),
        (None, AgentFileMissing),
    ],
)
def test_when_it_fails_everything_is_as_it_was(write, tmp_path, broken, error):
    write("rn_used.py", "WORDS = 'one'")
    write("rn_extra.py", "")
    source = write("rn_fails.py", agent("rn_used.WORDS", "import rn_used"))
    load_agent(source)
    modules = {name: sys.modules[name] for name in ("rn_fails", "rn_used")}
    write("rn_used.py", "WORDS = 'two'")
    if broken is None:
        (tmp_path / "rn_fails.py").unlink()
    else:
        write("rn_fails.py", broken)
    with pytest.raises(error):
        reload_agent(source)
    assert {name: sys.modules.get(name) for name in modules} == modules
    assert "rn_extra" not in sys.modules
    assert sys.modules["rn_used"].WORDS == "one"


@pytest.mark.parametrize("first", [load_agent, reload_agent])
def test_what_failed_is_read_again_however_fast_it_was_mended(write, first):
    """Python drops a module that fails and keeps its bytecode, by a time in whole seconds."""
    write("rn_deep/__init__.py", "from rn_deep import broken")
    write("rn_deep/broken.py", "WORDS = str(1 / 0)")
    wrapped = "try:\n    import rn_deep.broken\nexcept Exception as error:\n    raise RuntimeError('broken') from error"
    source = write("rn_mended.py", agent("rn_deep.broken.WORDS", wrapped))
    with pytest.raises(AgentImportFailed):
        first(source)
    write("rn_deep/broken.py", "WORDS = str(1 / 1)")
    assert reload_agent(source).description == "1.0"


def test_what_is_not_accepted_has_not_happened(write):
    source = write("rn_refused.py", agent("'one'"))
    load_agent(source)
    module = sys.modules["rn_refused"]

    def refuse(agent):
        raise AgentFileMissing(source)

    with pytest.raises(AgentFileMissing):
        reload_agent(source, accept=refuse)
    assert sys.modules["rn_refused"] is module


def test_other_agents_of_the_folder_stay_unless_this_one_imports_them(write):
    first = write("rn_first.py", agent("'one'", "import rn_second"))
    second, third = (write(f"rn_{name}.py", agent("'one'")) for name in ("second", "third"))
    for source in (first, second, third):
        load_agent(source)
    old = {name: sys.modules[f"rn_{name}"] for name in ("second", "third")}
    reload_agent(first, others=[second, third])
    assert sys.modules["rn_third"] is old["third"]
    assert sys.modules["rn_second"] is not old["second"]


def test_the_modules_of_other_agents_stay_with_what_they_hold(write):
    """Whether they were imported at the top or later, in a package or from a module that is imported in turn."""
    write("rn_count.py", "seen = []")
    write("rn_between.py", "def count():\n    import rn_count\n    return rn_count.seen")
    write("rn_theirs/__init__.py", "from . import top")
    write("rn_theirs/top.py", "")
    write("rn_theirs/parts/later.py", "")
    later = "import rn_between, rn_both\n    from rn_theirs.parts import later\n    return rn_between.count()"
    write("rn_both.py", "")
    mine = write("rn_mine_alone.py", agent("''", after="def later():\n    import rn_both"))
    other = write("rn_holds.py", agent("''", "import rn_theirs", after=f"def later():\n    {later}"))
    load_agent(mine)
    load_agent(other)
    sys.modules["rn_mine_alone"].later()
    sys.modules["rn_holds"].later().append("old")
    names = [name for name in sys.modules if name.startswith("rn_")]
    before = {name: sys.modules[name] for name in names}
    reload_agent(mine, others=[other])
    assert {name for name in names if sys.modules.get(name) is not before[name]} == {"rn_mine_alone"}
    assert sys.modules["rn_holds"].later() == ["old"]


def test_what_an_agent_imports_later_is_new_beside_other_agents(write):
    write("rn_own_later.py", "WORDS = 'one'")
    write("rn_own_pkg/__init__.py", "")
    write("rn_own_pkg/later.py", "WORDS = 'one'")
    later = "import rn_own_later\n    from rn_own_pkg import later\n    return rn_own_later.WORDS + later.WORDS"
    after = f"def later():\n    {later}"
    mine, other = write("rn_own.py", agent("''", after=after)), write("rn_beside.py", agent("''"))
    load_agent(mine)
    load_agent(other)
    assert sys.modules["rn_own"].later() == "oneone"
    write("rn_own_later.py", "WORDS = 'two'")
    write("rn_own_pkg/later.py", "WORDS = 'two'")
    reload_agent(mine, others=[other])
    assert sys.modules["rn_own"].later() == "twotwo"


@pytest.mark.parametrize("with_others", [False, True])
def test_what_nobody_names_belongs_to_the_only_agent_of_the_folder(write, with_others):
    write("rn_plugin.py", "WORDS = 'one'")
    by_name = "def later(name):\n    import importlib\n    return importlib.import_module(name).WORDS"
    mine, other = write("rn_plugged.py", agent("''", after=by_name)), write("rn_neighbour.py", agent("''"))
    load_agent(mine)
    if with_others:
        load_agent(other)
    assert sys.modules["rn_plugged"].later("rn_plugin") == "one"
    write("rn_plugin.py", "WORDS = 'two'")
    reload_agent(mine, others=[other] if with_others else [])
    assert sys.modules["rn_plugged"].later("rn_plugin") == ("one" if with_others else "two")


def test_the_modules_of_an_old_package_go_back_together(write):
    """One that this agent alone imports, too: the package still holds the old one as its attribute."""
    write("rn_shared/__init__.py", "")
    write("rn_shared/first.py", "")
    write("rn_shared/second.py", "")
    after = "def later():\n    from rn_shared import {0}\n    return {0}"
    mine, other = (write(f"rn_of_{name}.py", agent("''", after=after.format(name))) for name in ("first", "second"))
    load_agent(mine)
    load_agent(other)
    package = sys.modules["rn_of_first"].later(), sys.modules["rn_of_second"].later(), sys.modules["rn_shared"]
    reload_agent(mine, others=[other])
    assert package == tuple(sys.modules[f"rn_shared{name}"] for name in (".first", ".second", ""))


def test_files_that_are_being_edited_take_nothing_away(write):
    write("rn_kept.py", "")
    mine, other = write("rn_good.py", agent("''")), write("rn_edited.py", agent("''", "import rn_kept"))
    load_agent(mine)
    load_agent(other)
    kept = sys.modules["rn_kept"]
    write("rn_edited.py", "import (")
    reload_agent(mine, others=[other])
    assert sys.modules["rn_kept"] is kept


def test_an_agent_in_a_package_is_loaded_with_the_package(write, tmp_path):
    write("rn_team/__init__.py", "WORDS = 'one'")
    write("rn_team/sub/tools.py", "WORDS = 'one'")
    imports = "import rn_team\nimport rn_team.sub.tools"
    write("rn_team/bot.py", agent("rn_team.WORDS + rn_team.sub.tools.WORDS", imports))
    write("rn_team/other.py", agent("'other'"))
    assert load_agent("rn_team.bot").description == "oneone"
    other = load_agent("rn_team.other")
    write("rn_team/__init__.py", "WORDS = 'two'")
    write("rn_team/sub/tools.py", "WORDS = 'two'")
    assert reload_agent("rn_team.bot", others=["rn_team.other"]).description == "twotwo"
    import rn_team.other

    assert rn_team.other.agent is other
    write("rn_team/bot.py", "1 / 0")
    with pytest.raises(AgentImportFailed):
        reload_agent("rn_team.bot", others=["rn_team.other"])
    assert rn_team.bot.agent.description == "twotwo"
    assert sys.modules["rn_team"].bot is sys.modules["rn_team.bot"]


def test_a_package_that_stays_gives_the_new_module(write, monkeypatch):
    """The package of a project's settings is one; it holds its modules as attributes."""
    write("rn_project/__init__.py", "")
    write("rn_project/config.py", "")
    write("rn_project/helper.py", "WORDS = 'one'")
    write("rn_project/bot.py", agent("helper.WORDS", "from rn_project import config, helper"))
    monkeypatch.setattr(settings, "ROOT_URLCONF", "rn_project.config")
    assert load_agent("rn_project.bot").description == "one"
    package, helper = sys.modules["rn_project"], sys.modules["rn_project.helper"]
    write("rn_project/helper.py", "WORDS = str(1 / 0)")
    with pytest.raises(AgentImportFailed):
        reload_agent("rn_project.bot")
    assert package.helper is sys.modules["rn_project.helper"] is helper
    write("rn_project/helper.py", "WORDS = 'two'")
    assert reload_agent("rn_project.bot").description == "two"
    assert sys.modules["rn_project"] is package


def test_a_module_that_never_could_be_loaded(write):
    write("rn_late/__init__.py", "")
    write("rn_late/bot.py", "import rn_late.tools\n1 / 0")
    write("rn_late/tools.py", "WORDS = 'one'")
    with pytest.raises(AgentImportFailed):
        load_agent("rn_late.bot")
    write("rn_late/tools.py", "WORDS = 'two'")
    write("rn_late/bot.py", agent("rn_late.tools.WORDS", "import rn_late.tools"))
    assert reload_agent("rn_late.bot").description == "two"


def test_the_server_itself_and_installed_packages_stay(write, monkeypatch):
    """Also where the agent lies beside them: in the folder of the project, around its virtual environment."""
    write("rn_root.py", agent("'x'"))
    names = ("rn_app.models", "rn_app", "rn_mine.code", "rn_mine")
    write("lib/site-packages/rn_installed.py", "")
    write("rn_app/__init__.py", "")
    write("rn_app/models.py", "")
    write("rn_mine/__init__.py", "")
    write("rn_mine/code.py", "")
    source = write("rn_root.py", agent("'x'", "import rn_app.models\nimport rn_mine.code"))
    monkeypatch.syspath_prepend("lib/site-packages")
    import agents.loading.hot_reload as module

    app = type("Config", (), {"path": "rn_app"})
    monkeypatch.setattr(module.apps, "get_app_configs", lambda: [app])
    importlib.import_module("rn_installed")
    load_agent(source)
    kept = (*names, "rn_installed", "agents.loading.hot_reload", "json", "__main__")
    before = {name: sys.modules[name] for name in kept}
    reload_agent(source)
    assert {name for name, module in before.items() if sys.modules[name] is not module} == {"rn_mine", "rn_mine.code"}


def test_an_agent_file_in_the_folder_of_the_project_takes_nothing_of_the_server_with_it(tmp_path):
    from tests.support.paths import ROOT

    beside = _modules_beside(str(ROOT / "my_agent.py"))
    assert not [
        name for name in beside if name.partition(".")[0] in ("myagent", "agents", "sessions_app", "myagent_site")
    ]
    assert "tests.agents.loading.test_hot_reload" in beside  # this would notice if nothing at all were found


def test_one_that_hangs_is_named_to_whoever_comes_next(write, monkeypatch):
    gate = ModuleType("rn_gate")
    gate.reached, gate.opened = threading.Event(), threading.Event()
    monkeypatch.setitem(sys.modules, "rn_gate", gate)
    source = write("rn_hangs.py", agent("'x'", "import rn_gate\nrn_gate.reached.set()\nrn_gate.opened.wait(60)"))
    quick = write("sub/rn_quick.py", agent("'x'"))
    load_agent(quick)
    hanging = threading.Thread(target=reload_agent, args=(source,))
    hanging.start()
    try:
        assert gate.reached.wait(60)
        with pytest.raises(AgentLoadsTooLong) as caught:
            reload_agent(quick)
        assert caught.value.file == source
    finally:
        gate.opened.set()
        hanging.join()
    assert reload_agent(quick).name == "a"
