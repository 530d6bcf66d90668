"""Agent files: what can be loaded, and what the operator is told when not."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest

from agents.loading.agent_file_errors import (
    AgentFileError,
    AgentFileMissing,
    AgentImportFailed,
    AgentSyntaxError,
    AgentVariableMissing,
    AgentWrongType,
    ModuleNameTaken,
    NotAPythonFile,
)
from agents.loading.loader import is_module_name, load_agent

AGENT = """
    from myagent import create_react_agent
    agent = create_react_agent(name={name!r})
"""


def test_a_file_that_is_not_there_may_be_one_of_another_name(write, tmp_path):
    write("my_agent.py", AGENT.format(name="a"))
    assert "Did you mean" in fails(str(tmp_path / "my_agnet.py"), AgentFileMissing).cure
    assert "my_agent.py?" in fails(str(tmp_path / "my_agnet.py"), AgentFileMissing).cure
    assert "current folder" in fails(str(tmp_path / "zzz.py"), AgentFileMissing).cure
    assert "current folder" in fails(str(tmp_path / "nowhere" / "my_agent.py"), AgentFileMissing).cure


GUARDED = """
    from myagent import BaseTool

    class Sign(BaseTool):
        name = "sign"

        def __init__(self):
            self.approval_mode = "always"

        async def execute(self) -> str:
            return "signed"
"""


def test_the_line_of_what_is_wrong_with_a_tool(write, tmp_path, monkeypatch):
    made = dedent(GUARDED) + "from myagent import create_react_agent\nagent = create_react_agent(tools=[Sign()])\n"
    source = write("signing.py", made)
    error = fails(source, AgentImportFailed)
    assert (error.file, error.line) == (source, 8)
    assert error.problem.startswith(f"{source}, line 8: The tool 'sign': approval_mode means nothing here")
    assert "Write requires_confirmation." in error.problem

    write("its_tools.py", GUARDED)
    monkeypatch.chdir(tmp_path)
    source = write(
        "uses_tools.py",
        """
        from its_tools import Sign
        from myagent import create_react_agent
        agent = create_react_agent(tools=[Sign()])
        """,
    )
    error = fails(source, AgentImportFailed)
    assert (error.file, error.line) == ("its_tools.py", 8)


def test_what_a_file_says_after_it_made_the_agent_counts(write):
    source = write(
        "afterwards.py",
        """
        from myagent import create_react_agent, tool

        @tool
        def pay() -> str:
            return "paid"

        agent = create_react_agent(tools=[pay])
        pay.needs_approval = True
        """,
    )
    error = fails(source, AgentImportFailed)
    assert error.line == 9 and "needs_approval means nothing here" in error.problem


def fails(source, expected):
    with pytest.raises(expected) as caught:
        load_agent(source)
    assert type(caught.value) is expected
    return caught.value


def test_a_file_with_an_agent(write):
    assert load_agent(write("greeter.py", AGENT.format(name="greeter"))).name == "greeter"


def test_a_relative_path(write, tmp_path, monkeypatch):
    write("here_agent.py", AGENT.format(name="here"))
    monkeypatch.chdir(tmp_path)
    assert load_agent("here_agent.py").name == "here"


def test_a_module_by_its_dotted_name(write, tmp_path, monkeypatch):
    write("bots_pkg/__init__.py", "")
    write("bots_pkg/weather.py", AGENT.format(name="weather"))
    monkeypatch.syspath_prepend(tmp_path)
    assert load_agent("bots_pkg.weather").name == "weather"
    for name in ("bots_pkg.weather", "bots_pkg"):
        sys.modules.pop(name)


def test_a_function_that_returns_the_agent(write):
    source = write(
        "lazy_agent.py",
        """
        from myagent import create_react_agent
        def agent():
            return create_react_agent(name="lazy")
        """,
    )
    assert load_agent(source).name == "lazy"


def test_helpers_beside_the_file_can_be_imported_at_once_and_later(write):
    write("helper_now.py", "NAME = 'with-helper'")
    write("helper_later.py", "VALUE = 5")
    source = write(
        "with_helper.py",
        """
        import helper_now
        from myagent import create_react_agent
        agent = create_react_agent(name=helper_now.NAME)
        def later():
            import helper_later
            return helper_later.VALUE
        """,
    )
    assert load_agent(source).name == "with-helper"
    assert sys.modules["with_helper"].later() == 5


def test_agents_may_import_each_other(write):
    first = write("one_agent.py", "import two_agent\n" + dedent(AGENT.format(name="one")))
    second = write("two_agent.py", "LOADED = []\nLOADED.append(1)\n" + dedent(AGENT.format(name="two")))
    assert load_agent(first).name == "one"
    module = sys.modules["two_agent"]
    assert load_agent(second) is module.agent
    assert module.LOADED == [1]


def test_no_agent_variable(write):
    source = write("empty_agent.py", "assistant = 1")
    error = fails(source, AgentVariableMissing)
    assert error.code == "agent_variable_missing"
    assert error.problem == f"No 'agent' variable was found in {source}"
    assert "create_react_agent" in error.cure


@pytest.mark.parametrize(
    "meant", ["here_agent:agent", "here_agent:make()", "here_agen", "here_agent.agent", "here_agent.py:agent"]
)
def test_a_file_that_is_named_as_other_servers_want_it(write, tmp_path, monkeypatch, meant):
    write("here_agent.py", AGENT.format(name="here"))
    monkeypatch.chdir(tmp_path)
    assert fails(meant, AgentFileMissing).cure == "Did you mean here_agent.py?"


def test_a_file_of_the_authors_in_a_folder_named_like_a_package_of_the_server(write, tmp_path, monkeypatch):
    write("agents/weather.py", AGENT.format(name="weather"))
    monkeypatch.chdir(tmp_path)
    assert fails("agents.weather", AgentFileMissing).cure == "Did you mean agents/weather.py?"
    assert load_agent("agents/weather.py").name == "weather"


def test_a_package_is_loaded_by_its_first_file(write):
    write("parcel_agent/tools.py", "NAME = 'parcel'")
    code = "from .tools import NAME\nfrom myagent import create_react_agent\nagent = create_react_agent(name=NAME)\n"
    source = write("parcel_agent/__init__.py", code)
    assert load_agent(source).name == "parcel"
    assert load_agent(source) is sys.modules["parcel_agent"].agent
    for name in ("parcel_agent", "parcel_agent.tools"):
        sys.modules.pop(name)


def test_no_such_file(tmp_path):
    assert "nowhere.py" in str(fails(str(tmp_path / "nowhere.py"), AgentFileMissing))


@pytest.mark.parametrize("name", ["no_such_module", "no_such_package.agent"])
def test_no_such_module(name):
    fails(name, AgentFileMissing)


def test_not_a_python_file(write, tmp_path):
    fails(write("agent_notes.txt", "hello"), NotAPythonFile)
    fails(str(tmp_path), NotAPythonFile)


def test_a_syntax_error_shows_line_and_place(write):
    error = fails(write("broken_agent.py", "x = 1\nif x = 2:\n    pass\n"), AgentSyntaxError)
    assert error.line == 2
    problem, line, caret = str(error).split("\n")
    assert "broken_agent.py, line 2" in problem
    assert line.endswith("if x = 2:")
    assert line[caret.index("^")] == "x"


def test_a_syntax_error_in_a_helper_names_the_helper(write):
    write("bad_helper.py", "def :\n")
    error = fails(write("uses_bad_helper.py", "import bad_helper\n"), AgentSyntaxError)
    assert error.file.endswith("bad_helper.py")


def test_an_exception_names_the_line_of_the_agent_file(write):
    write("raising_helper.py", "def go():\n    raise ValueError('no luck')\n")
    source = write("raising_agent.py", "import raising_helper\n\nraising_helper.go()\n")
    error = fails(source, AgentImportFailed)
    assert error.line == 3
    assert str(error) == f"{source}, line 3: ValueError: no luck"
    assert isinstance(error.__cause__, ValueError)


def test_a_wrong_definition_speaks_for_itself(write):
    source = write(
        "option_agent.py",
        "from myagent import create_react_agent\nagent = create_react_agent(name='a', colour='red')\n",
    )
    error = fails(source, AgentImportFailed)
    assert error.line == 2
    assert "line 2: create_react_agent() has no option 'colour'" in str(error)


def test_a_failing_file_can_be_loaded_again_once_it_is_mended(write):
    source = write("mended_agent.py", "raise OSError('first')\n")
    fails(source, AgentImportFailed)
    assert "mended_agent" not in sys.modules
    write("mended_agent.py", AGENT.format(name="mended"))
    assert load_agent(source).name == "mended"


def test_a_missing_package(write):
    error = fails(write("needs_agent.py", "import no_such_package_at_all\n"), AgentImportFailed)
    assert "no_such_package_at_all" in error.problem
    assert "Install" in error.cure and "pip" not in error.cure


def test_openais_sdk_has_the_name_of_our_app(write):
    error = fails(write("sdk_agent.py", "from agents import Runner\n"), AgentImportFailed)
    assert "OpenAI" in error.cure


def test_the_end_of_the_program_is_an_error_of_the_file(write):
    error = fails(write("exits_agent.py", "import sys\nsys.exit(3)\n"), AgentImportFailed)
    assert error.line == 2
    assert "__main__" in error.cure


def test_an_interrupt_is_not_an_error_of_the_file(write):
    source = write("interrupted_agent.py", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_agent(source)
    assert "interrupted_agent" not in sys.modules


def test_no_event_loop_while_loading(write):
    error = fails(write("loop_agent.py", "import asyncio\nasyncio.get_running_loop()\n"), AgentImportFailed)
    assert "event loop" in error.cure


def test_a_file_may_run_a_coroutine_of_its_own(write):
    text = "import asyncio\nasync def main(): return 'ran'\nfrom myagent import create_react_agent\n"
    source = write("runs_agent.py", text + "agent = create_react_agent(name=asyncio.run(main()))\n")
    assert load_agent(source).name == "ran"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("agent = 'hello'", "str"),
        ("agent = None", "NoneType"),
        ("from myagent import Agent as agent", "type"),
        ("async def agent(): ...", "async function"),
        ("async def make(): ...\nagent = make()", "async function"),
        ("def agent(config): ...", "wants arguments"),
        ("def agent(): return 5", "a function that returns int"),
    ],
)
def test_something_else_than_an_agent(write, request, text, words):
    source = write(f"other_{abs(hash(text))}.py", text)
    error = fails(source, AgentWrongType)
    assert words in error.problem


def test_a_function_that_raises(write):
    source = write("raises_later.py", "def agent():\n    raise LookupError('empty')\n")
    assert "LookupError: empty" in str(fails(source, AgentImportFailed))


def test_two_agent_files_of_one_name(write):
    first = write("a/same_agent.py", AGENT.format(name="a"))
    second = write("b/same_agent.py", AGENT.format(name="b"))
    load_agent(first)
    error = fails(second, ModuleNameTaken)
    assert error.paths == (first, second)


def test_a_file_beside_an_agent_that_it_does_not_import_is_no_matter(write):
    load_agent(write("a/my_agent.py", AGENT.format(name="a")))
    write("b/my_agent.py", AGENT.format(name="unrelated"))
    assert load_agent(write("b/b_agent.py", "import json\n" + dedent(AGENT.format(name="b")))).name == "b"


def test_the_name_of_a_module_hides_no_other_mistake(write):
    load_agent(write("a/my_agent.py", AGENT.format(name="a")))
    write("b/my_agent.py", AGENT.format(name="unrelated"))
    assert fails(write("b/broken_agent.py", "if x = 2:\n"), AgentSyntaxError).line == 1
    fails(write("b/empty_agent.py", "assistant = 1"), AgentVariableMissing)


IMPORTS = [
    pytest.param("import shared_helper\n", id="at-once"),
    pytest.param("def later():\n    from shared_helper import X\n", id="later"),
    pytest.param("import through_helper\n", id="through-another"),
    pytest.param("from parcel import inner\n", id="in-a-package"),
]


@pytest.mark.parametrize("imports", IMPORTS)
def test_helpers_of_one_name_in_two_folders(write, imports):
    helper = write("a/shared_helper.py", "X = 1")
    other = write("b/shared_helper.py", "X = 2")
    write("b/through_helper.py", "import shared_helper")
    write("b/parcel/__init__.py", "")
    write("b/parcel/inner.py", "import shared_helper")
    load_agent(write("a/first_agent.py", "import shared_helper\n" + dedent(AGENT.format(name="a"))))
    second = write("b/second_agent.py", imports + dedent(AGENT.format(name="b")))
    error = fails(second, ModuleNameTaken)
    assert error.paths == (helper, other)
    assert error.file == second
    assert second in error.problem


def test_an_agent_file_does_not_become_the_helper_of_another_agent(write):
    helper = write("a/shared_helper.py", "X = 1")
    late = dedent(AGENT) + "def late():\n    import shared_helper\n    return shared_helper.X\n"
    load_agent(write("a/first_agent.py", late.format(name="a")))
    second = write("b/shared_helper.py", AGENT.format(name="b"))
    assert fails(second, ModuleNameTaken).paths == (helper, second)
    assert sys.modules["first_agent"].late() == 1


def test_helpers_of_one_name_that_are_imported_later(write):
    helper = write("a/late_helper.py", "X = 1")
    other = write("b/late_helper.py", "X = 2")
    late = dedent(AGENT) + "def late():\n    import late_helper\n    return late_helper.X\n"
    load_agent(write("a/late_one.py", late.format(name="a")))
    load_agent(write("b/late_two.py", late.format(name="b")))
    with pytest.raises(ImportError) as caught:
        sys.modules["late_two"].late()
    assert helper in str(caught.value)
    assert other in str(caught.value)


def test_a_shared_helper_name_at_import_is_told_with_both_paths(write):
    write("a/early_helper.py", "X = 1")
    write("b/early_helper.py", "X = 2")
    load_agent(write("a/early_one.py", AGENT.format(name="a")))
    second = write("b/early_two.py", "import early_helper\n")
    error = fails(second, ModuleNameTaken)
    assert [path.endswith("early_helper.py") for path in error.paths] == [True, True]
    assert error.file == second
    assert second in error.problem


@pytest.mark.parametrize("name", ["json", "agents", "myagent"])
def test_a_file_named_like_a_library(write, name):
    error = fails(write(f"{name}.py", AGENT.format(name="x")), ModuleNameTaken)
    assert name in str(error)
    assert sys.modules[name].__file__ != error.file


def test_every_error_tells_its_file_and_has_a_code(write):
    error = fails(write("coded_agent.py", ""), AgentVariableMissing)
    assert isinstance(error, AgentFileError)
    codes = [kind.code for kind in AgentFileError.__subclasses__()]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    ("source", "expected"),
    [("my_agent.py", False), ("pkg.bots", True), ("./bots", False), ("bots", True), ("a-b", False)],
)
def test_what_counts_as_the_name_of_a_module(source, expected):
    assert is_module_name(source) is expected
