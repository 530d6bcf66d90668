"""What `myagent.inspection` finds in agents, and that it finds nothing where there is nothing."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import textwrap
from pathlib import Path

import pytest

from myagent import BaseTool, create_react_agent, i18n, tool
from myagent.inspection.agent_checks import inspect_agent
from myagent.inspection.finding import Severity, SourceLocation, place_of
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


def test_exceptions_that_are_told_to_everybody():
    assert [item.code for item in findings(tool_errors="message")] == ["tool_errors"]
    assert findings(tool_errors="class") == []


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


def test_a_dangerous_tool_whose_method_asks(written):
    module = written(
        """
        class Wipe(BaseTool):
            name = "wipe"
            description = "Wipes"

            def execute(self, run: RunContext) -> str:
                return self.ask(run)

            def ask(self, run):
                return "gone" if run.confirm_sync("Really?") else self.execute(run)

        class Erase(BaseTool):
            name = "erase"
            description = "Erases"

            def execute(self) -> str:
                return self.again()

            def again(self):
                return self.execute() or again()

        def again():
            return again()
        """
    )
    assert codes(module.Wipe()) == []
    assert codes(module.Erase()) == ["dangerous_tool"]


def test_where_a_tool_is_written(written):
    module = written(
        """
        import functools

        def logged(function):
            @functools.wraps(function)
            async def inner(*args, **keywords):
                return await function(*args, **keywords)
            return inner

        @tool
        @logged
        async def wait():  # function
            '''Waits.'''

        class Look(BaseTool):  # class
            name = "look"
            description = "Looks"

            def execute(self) -> str:
                return ""
        """
    )
    for made, words in ((module.wait, "# function"), (module.Look(), "# class")):
        assert place_of(made) == SourceLocation(module.__file__, line_of(module, words))


def test_code_that_cannot_be_read_is_no_trouble():
    scope = {}
    exec("async def wipe(x: int):\n    '''Doc.\n\n    Args:\n        x: it\n    '''", scope)
    (finding,) = findings(tool(scope["wipe"]), Terminate())
    assert (finding.code, finding.place) == ("dangerous_tool", SourceLocation())


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
        "problem": "The system prompt is empty: the model does not know its purpose.",
        "cure": 'Give the agent a system_prompt="…".',
        "agent": "agent",
        "tool": "",
        "file": "",
        "line": None,
    }
