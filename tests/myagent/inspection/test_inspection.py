"""What `myagent.inspection` finds in agents, and that it finds nothing where there is nothing."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import textwrap
from pathlib import Path

import pytest

from myagent import BaseTool, create_react_agent, i18n, tool
from myagent.inspection.agents import inspect_agent
from myagent.inspection.finding import Severity
from myagent.tool.terminate import Terminate

NUMBERS = itertools.count()
HEAD = """
from myagent import BaseTool, RunContext, create_react_agent, current_run, tool
"""


@pytest.fixture(autouse=True)
def english():
    i18n.use_language("en")
    yield
    i18n.use_language(i18n.DEFAULT_LANGUAGE)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes a file with tools and gives its module; further files can be imported by it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text: str, **others: str):
        for name, other in others.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(other), encoding="utf-8")
        name = f"inspected_{next(NUMBERS)}"
        path = tmp_path / f"{name}.py"
        path.write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return write


def findings(*tools, **options):
    return inspect_agent(create_react_agent(tools=tools, **options))


def codes(*tools, **options):
    return [finding.code for finding in findings(*tools, **options)]


def line_of(module, words: str) -> int:
    lines = Path(module.__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if words in line)


# --- code that waits --------------------------------------------------------------------------------------------------

BLOCKING = {
    "time": ("import time", "time.sleep(1)", "time.sleep", "asyncio.sleep"),
    "alias": ("from time import sleep as nap", "nap(1)", "time.sleep", "asyncio.sleep"),
    "inside": ("", "import time as t; t.sleep(1)", "time.sleep", "asyncio.sleep"),
    "urllib": ("import urllib.request", "urllib.request.urlopen('x')", "urllib.request.urlopen", "httpx.AsyncClient"),
    "urllib from": ("from urllib import request", "request.urlopen('x')", "urllib.request.urlopen", "httpx"),
    "process": ("import subprocess", "subprocess.run(['ls'], check=True)", "subprocess.run", "create_subprocess_exec"),
    "system": ("import os", "os.system('ls')", "os.system", "create_subprocess_exec"),
    "database": ("import sqlite3", "sqlite3.connect('x')", "sqlite3.connect", "plain `def`"),
    "chain": ("import sqlite3", "sqlite3.connect('x').execute('y')", "sqlite3.connect", "plain `def`"),
    "annotated": ("", "connection.execute('y')", "sqlite3.Connection().execute", "plain `def`"),
    "socket": ("import socket", "s = socket.socket(); s.connect(('h', 1))", "socket.socket().connect", "plain `def`"),
    "with": ("import smtplib", "\n    with smtplib.SMTP('h') as s: s.noop()", "smtplib.SMTP().noop", "plain `def`"),
    "global": ("import socket\nS = socket.socket()\nS.close()", "S.recv(1)", "socket.socket().recv", "plain `def`"),
    "branch": ("import time", "x = 1 if time.sleep(1) else [time.sleep(2) for _ in 'ab']", "time.sleep", "asyncio"),
    "sync confirm": ("", "run.confirm_sync('?')", "run.confirm_sync()", "await run.confirm"),
}


@pytest.mark.parametrize("case", BLOCKING)
def test_a_blocking_call_in_an_async_tool(written, case):
    imports, code, call, cure = BLOCKING[case]
    module = written(
        f"""
import sqlite3
{imports}
@tool
async def wait(run: RunContext) -> str:
    '''Waits.'''
    await work(run, None)
    return ""

async def work(run: RunContext, connection: "sqlite3.Connection | None"):
    {code}  # here
"""
    )
    found = findings(module.wait)
    assert {finding.code for finding in found} == {"blocking_call"}
    assert call in found[0].problem
    assert cure in found[0].cure
    assert found[0].severity is Severity.WARNING
    assert (found[0].place.file, found[0].place.line) == (module.__file__, line_of(module, "# here"))


WAIT = "@tool\nasync def wait():\n    '''Waits.'''\n    "
HARMLESS = {
    "in a plain def": f"import time\n{WAIT}time.sleep(1)\n".replace("async ", ""),
    "handed over": f"import asyncio, time\n{WAIT}await asyncio.to_thread(time.sleep, 1)\n",
    "in a lambda": f"import time\n{WAIT}return [lambda: time.sleep(1)] and ''\n",
    "never called": f"import time\ndef other():\n    time.sleep(1)\n{WAIT}return other and ''\n",
    "in a thread": f"import asyncio, time\ndef f():\n    time.sleep(1)\n{WAIT}await asyncio.to_thread(f)\n",
    "another sleep": f"import asyncio as time\n{WAIT}await time.sleep(1)\n",
    "a variable of that name": f"import time\n{WAIT}time = current_run()\n    time.sleep(1)\n",
    "only closed": f"import socket\nS = socket.socket()\nS.close()\n{WAIT}S.close()\n",
    "a file": f"{WAIT}return open(__file__).close()\n",
    "recursion": f"{WAIT}return again()\ndef again():\n    return again()\n",
    "a parameter of that name": (
        "import time\n@tool\nasync def wait(time: str):\n    '''W.\n\n    Args:\n        time: when\n    '''\n"
        "    time.sleep(1)\n"
    ),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_does_not_block_is_not_told(written, case):
    assert codes(written(HARMLESS[case]).wait) == []


def test_helpers_are_looked_into_wherever_they_are(written):
    module = written(
        """
        import remote_helpers
        from remote_helpers import fetch

        class Wait(BaseTool):
            name = "wait"
            description = "Waits"

            async def execute(self) -> str:
                def local(other):
                    return remote_helpers.slow() or self.step() or other.step()
                local(None)
                await later()
                return fetch()

            def step(self):
                import os
                os.system("ls")  # in step

        async def later():
            from subprocess import check_output
            check_output(["ls"])  # in later
        """,
        remote_helpers="""
        import time, urllib.request
        def slow():
            time.sleep(1)
        def fetch():
            return urllib.request.urlopen("x")
        """,
    )
    found = {finding.problem.split(" calls ")[1].split(",")[0]: finding for finding in findings(module.Wait())}
    assert list(found) == [
        "local() → slow() → time.sleep()",
        "local() → step() → os.system()",
        "later() → subprocess.check_output()",
        "fetch() → urllib.request.urlopen()",
    ]
    assert found["local() → step() → os.system()"].place.line == line_of(module, "# in step")
    assert found["later() → subprocess.check_output()"].place.line == line_of(module, "# in later")
    assert found["fetch() → urllib.request.urlopen()"].place.file.endswith("remote_helpers.py")


def test_what_stands_behind_a_decorator(written):
    module = written(
        """
        import asyncio, functools, time

        def logged(function):
            @functools.wraps(function)
            async def inner(*args, **keywords):
                return await function(*args, **keywords)
            return inner

        def threaded(function):
            @functools.wraps(function)
            async def inner(*args, **keywords):
                return await asyncio.to_thread(function, *args, **keywords)
            return inner

        @tool
        @logged
        async def wait():
            '''Waits.'''
            time.sleep(1)  # here

        @tool
        @threaded
        def hand_over():
            '''Waits in a thread.'''
            time.sleep(1)
        """
    )
    (finding,) = findings(module.wait, module.hand_over)
    assert (finding.tool, finding.place.line) == ("wait", line_of(module, "# here"))


def test_a_file_in_another_encoding(written, tmp_path):
    module = written("")
    text = f"# -*- coding: latin-1 -*-{HEAD}import time\n# é\n{WAIT}time.sleep(1)\n"
    Path(module.__file__).write_bytes(text.encode("latin-1"))
    scope = {"__name__": module.__name__}
    exec(compile(text.encode("latin-1"), module.__file__, "exec"), scope)
    assert codes(scope["wait"]) == ["blocking_call"]


def test_a_client_that_the_tool_keeps(written):
    module = written(
        """
        import sqlite3

        class Look(BaseTool):
            name = "look"
            description = "Looks"

            def __init__(self):
                self.database = sqlite3.connect(":memory:")

            @property
            def other(self):
                raise AssertionError("properties are not run")

            async def execute(self) -> str:
                self.other.execute("x")
                rows = self.database.cursor().execute("SELECT 1")  # here
                return str(rows.fetchall())
        """
    )
    look = module.Look()
    (finding,) = findings(look)
    look.database.close()
    assert "sqlite3.Connection().cursor().execute()" in finding.problem
    assert finding.place.line == line_of(module, "# here")


def test_one_kind_of_call_is_told_once_at_its_first_place(written):
    module = written(f"import time\n{WAIT}time.sleep(1)  # first\n    time.sleep(2)\n")
    (finding,) = findings(module.wait)
    assert finding.place.line == line_of(module, "# first")


@pytest.mark.parametrize(
    ("code", "code_word"),
    [
        ("import asyncio\n    asyncio.run(None)", "nested_loop"),
        ("import asyncio\n    asyncio.get_event_loop().run_until_complete(None)", "nested_loop"),
        ("input('name? ')", "reads_keyboard"),
        ("if run.confirm('?'): pass", "confirm_not_awaited"),
        ("if not run.confirm('?'): pass", "confirm_not_awaited"),
        ("run.confirm('?')", "confirm_not_awaited"),
        ("if True and current_run().confirm('?'): pass", "confirm_not_awaited"),
    ],
)
def test_what_cannot_be_meant_is_an_error(written, code, code_word):
    module = written(f"@tool\nasync def ask(run: RunContext):\n    '''Asks.'''\n    {code}\n    return ''\n")
    (finding,) = findings(module.ask)
    assert (finding.code, finding.severity) == (code_word, Severity.ERROR)


@pytest.mark.parametrize(
    "code",
    [
        "if await run.confirm('?'): pass",
        "if not (await run.confirm('?')) or False: pass",
        "answer = await asyncio.wait_for(run.confirm('?'), 5)",
        "question = run.confirm('?')\n    await question",
    ],
)
def test_questions_that_are_waited_for(written, code):
    module = written(
        f"import asyncio\n@tool\nasync def ask(run: RunContext):\n    '''Asks.'''\n    {code}\n    return ''\n"
    )
    assert codes(module.ask) == []


def test_a_question_of_a_plain_def(written):
    module = written(
        """
        @tool
        def ask(run: "RunContext | None" = None):
            '''Asks.'''
            return "yes" if run.confirm("?") else "no"

        @tool
        def right(run: RunContext):
            '''Asks.'''
            return "yes" if run.confirm_sync("?") else "no"
        """
    )
    (finding,) = findings(module.ask, module.right)
    assert (finding.code, finding.tool) == ("confirm_not_awaited", "ask")
    assert "confirm_sync" in finding.cure


def test_code_that_cannot_be_read_is_no_trouble():
    scope = {}
    exec(
        "async def f(x: int):\n    '''Doc.\n\n    Args:\n        x: it\n    '''\n    import time; time.sleep(1)", scope
    )
    assert codes(tool(scope["f"]), Terminate()) == []


# --- parameters -------------------------------------------------------------------------------------------------------


def with_schema(properties=None, /, **rest):
    """A tool with this schema that takes whatever it names."""

    class Shaped(BaseTool):
        name = "shaped"
        description = "Has a shape"
        parameters = {"type": "object", "properties": properties or {}, **rest}

        async def execute(self, **arguments) -> str:
            return ""

    return Shaped()


NODE = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}}
TEXT = {"type": "string", "description": "d"}


@pytest.mark.parametrize(
    ("properties", "rest", "expected"),
    [
        ({"x": {"description": "d"}}, {}, ["parameter_no_type"]),
        ({"x": {"type": "string"}}, {}, ["parameter_no_description"]),
        ({"x": {}}, {}, ["parameter_no_type", "parameter_no_description"]),
        ({"x": {"enum": [], "description": "d"}}, {"required": ["x"]}, ["parameter_unfillable!"]),
        ({"x": {"enum": [], "description": "d"}}, {}, ["parameter_unfillable"]),
        ({"x": {**TEXT, "enum": [1, 2]}}, {"required": ["x"]}, ["parameter_unfillable!"]),
        ({"x": {**TEXT, "minLength": 5, "maxLength": 2}}, {"required": ["x"]}, ["parameter_unfillable!"]),
        ({"x": {"type": "number", "minimum": 5, "maximum": 2, "description": "d"}}, {}, ["parameter_unfillable"]),
        ({"x": {"anyOf": [{"enum": []}, False], "description": "d"}}, {}, ["parameter_unfillable"]),
        (
            {"x": {"type": "object", "properties": {"y": {"enum": []}}, "required": ["y"], "description": "d"}},
            {"required": ["x"]},
            ["parameter_unfillable!"],
        ),
        (
            {"x": {"$ref": "#/$defs/E", "description": "d"}},
            {"$defs": {"E": {"type": "array", "items": {"enum": []}, "minItems": 1}}},
            ["parameter_unfillable"],
        ),
        ({"x": {**TEXT, "examples": ["a", 5]}}, {}, ["bad_example"]),
        ({"x": {"type": "integer", "default": "5", "description": "d"}}, {}, ["bad_example"]),
        ({"x": {"type": "array", "description": "d"}}, {}, ["array_no_items"]),
        ({"x": TEXT}, {"required": ["x", "y"]}, ["required_undeclared"]),
        ({"x": TEXT}, {"anyOf": [{"required": ["x"]}]}, ["schema_combination"]),
        ({"x": {**TEXT, "$ref": "#/$defs/Node"}}, {"$defs": {"Node": NODE}}, ["schema_recursion"]),
        # What is all right.
        ({"x": TEXT}, {"required": ["x"]}, []),
        ({"x": {**TEXT, "enum": ["a"], "examples": ["a"], "default": "a"}}, {}, []),
        ({"x": {"$ref": "#/$defs/T"}}, {"$defs": {"T": TEXT}}, []),
        ({"x": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "description": "d"}}, {}, []),
        ({"x": {"type": "array", "items": {}, "description": "d"}}, {}, []),
        ({}, {}, []),
    ],
)
def test_the_schema_of_the_parameters(properties, rest, expected):
    found = findings(with_schema(properties, **rest))
    assert [item.code + ("!" if item.severity is Severity.ERROR else "") for item in found] == expected


def test_required_but_undeclared_where_nothing_else_is_taken():
    class Strict(BaseTool):
        name = "strict"
        description = "Takes x"
        parameters = {"type": "object", "properties": {"x": TEXT}, "required": ["x", "y"]}

        async def execute(self, x: str) -> str:
            return x

    (finding,) = findings(Strict())
    assert (finding.code, finding.severity) == ("required_undeclared", Severity.ERROR)
    Strict.parameters = {"type": "object", "properties": {"x": TEXT}, "additionalProperties": {"type": "string"}}
    assert codes(Strict()) == ["additional_properties"]


def test_parameters_of_a_signature():
    @tool
    async def shout(text, times: int = 1) -> str:
        """Shouts.

        Args:
            times: how often
        """
        return text * times

    assert codes(shout) == ["parameter_no_type", "parameter_no_description"]


# --- tools and agents -------------------------------------------------------------------------------------------------


def test_a_tool_without_a_description():
    @tool
    async def mute():
        return ""

    (finding,) = findings(mute)
    assert finding.code == "no_description"
    assert finding.place.file.endswith("test_inspection.py")
    assert finding.place.line == mute.execute.__code__.co_firstlineno + 1


def test_an_empty_prompt():
    (finding,) = findings(system_prompt=" \n", name="quiet")
    assert (finding.code, finding.agent, finding.tool) == ("no_system_prompt", "quiet", "")


def test_tools_that_sound_dangerous():
    async def code() -> str:
        """Does it."""
        return ""

    assert codes(tool(name="delete_user")(code)) == ["dangerous_tool"]
    assert codes(tool(name="wipe")(code)) == ["dangerous_tool"]
    assert codes(tool(name="delete_user", requires_confirmation=True)(code)) == []
    assert codes(tool(name="delete_user", requires_confirmation=lambda arguments: False)(code)) == []
    assert codes(tool(name="undelete")(code), tool(name="list_deleted")(code)) == []


def test_a_dangerous_tool_that_asks_by_itself(written):
    module = written(
        """
        @tool
        async def delete_user(run: RunContext):
            '''Deletes.'''
            return "gone" if await sure(run) else "kept"

        async def sure(run: RunContext) -> bool:
            return await run.confirm("Really?")
        """
    )
    assert codes(module.delete_user) == []


def test_a_rule_of_its_own_is_a_confirmation():
    class Erase(BaseTool):
        """Erases."""

        name = "erase"

        def needs_confirmation(self, arguments):
            return bool(arguments)

        async def execute(self) -> str:
            return ""

    assert codes(Erase()) == []


def test_findings_for_programs():
    (finding,) = findings(system_prompt="")
    assert finding.as_json() == {
        "code": "no_system_prompt",
        "severity": "warning",
        "problem": "The system prompt is empty: the model is not told what it is for.",
        "cure": 'Give the agent a system_prompt="…".',
        "agent": "agent",
        "tool": "",
        "file": "",
        "line": None,
    }
