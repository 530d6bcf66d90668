"""What is said about code of an agent file that fails."""

from __future__ import annotations

import sys

import pytest

from agents.loading.agent_file_errors import AgentImportFailed
from agents.loading.loader import load_agent

AGENT = "\nfrom myagent import create_react_agent\nagent = create_react_agent(name='a')\n"


@pytest.fixture
def failure(write, monkeypatch):
    """Load a file with this code before its agent; returns the error."""
    monkeypatch.delenv("BOX_OFFICE_URL", raising=False)
    monkeypatch.setattr(sys, "argv", ["myagent-ws", "server", "my_agent.py", "--port", "8080"])

    def load(code, name="failing_agent.py"):
        with pytest.raises(AgentImportFailed) as caught:
            load_agent(write(name, code + AGENT))
        return caught.value

    return load


@pytest.mark.parametrize(
    "code",
    [
        "import os\nX = os.environ['BOX_OFFICE_URL']",
        "from os import environ\nX = environ['BOX_OFFICE_URL']",
        "import os\nX = '{BOX_OFFICE_URL}'.format_map(os.environ)",
        "import os\nX = os.environ.pop('BOX_OFFICE_URL')",
    ],
)
def test_a_variable_that_is_not_set(failure, tmp_path, monkeypatch, code):
    monkeypatch.chdir(tmp_path)
    error = failure(code)
    assert error.line == 2
    assert error.problem.endswith("line 2: The environment variable BOX_OFFICE_URL is not set")
    assert "export BOX_OFFICE_URL=…" in error.cure
    assert str(tmp_path / ".env") in error.cure


def test_a_variable_that_a_module_beside_the_file_needs(failure, write):
    write("box_settings.py", "import os\nURL = os.environ['BOX_OFFICE_URL']")
    assert "BOX_OFFICE_URL is not set" in failure("import box_settings").problem


def test_another_key_that_is_missing_is_no_variable(failure):
    error = failure("prices = {}\nX = prices['BOX_OFFICE_URL']")
    assert "KeyError: 'BOX_OFFICE_URL'" in error.problem
    assert error.cure == ""


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("import os\nX = os.getenv('BOX_OFFICE_URL').strip()", 2),
        ("import os\nX = os.environ.get('BOX_OFFICE_URL')\nY = int(X)", 3),
        ("from os import getenv\nX = 'https://' + getenv('BOX_OFFICE_URL')", 2),
    ],
)
def test_what_fails_because_a_variable_was_none(failure, code, line):
    error = failure(code)
    assert error.line == line
    assert "NoneType" in error.problem
    assert "BOX_OFFICE_URL" in error.cure


def test_none_of_another_origin(failure):
    assert failure("import os\nX = os.getenv('BOX_OFFICE_URL', 'x')\nNone.strip()").cure == ""
    assert failure("import os\nX = os.getenv('HOME')\nNone.strip()").cure == ""


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys\nsys.exit()", "ends the program"),
        ("exit(3)", "ends the program: 3"),
        ("raise SystemExit('No licence')", "ends the program: No licence"),
    ],
)
def test_the_end_of_the_program(failure, code, words):
    error = failure(code)
    assert words in error.problem
    assert "__main__" in error.cure


@pytest.mark.parametrize("code", ["parser.add_argument('--city', required=True)", "parser.add_argument('city')"])
def test_arguments_that_the_file_wants(failure, capsys, code):
    error = failure(f"import argparse\nparser = argparse.ArgumentParser()\n{code}\nparser.parse_args()")
    assert "arguments of the command line" in error.problem
    assert "__main__" in error.cure
    assert "usage: failing_agent.py" in capsys.readouterr().err


def test_an_argument_that_is_taken_by_its_number(failure):
    assert "arguments of the command line" in failure("import sys\nCITY = sys.argv[1]").problem


def test_the_words_of_the_servers_command_line_are_not_the_files(write, monkeypatch):
    given = ["myagent-ws", "server", "my_agent.py", "--port", "8080"]
    monkeypatch.setattr(sys, "argv", given)
    code = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--port', default='1')\n"
    source = write("parsing_agent.py", f"{code}PORT = parser.parse_args().port\n{AGENT}")
    load_agent(source)
    assert sys.modules["parsing_agent"].PORT == "1"
    assert sys.argv is given


def test_a_model_that_is_asked_while_the_file_is_loaded(failure):
    code = "import asyncio\nfrom myagent import create_react_agent\n"
    error = failure(f"{code}asyncio.run(create_react_agent(name='b').arun('hi'))")
    assert error.line == 3
    assert "OPENAI_API_KEY" in error.problem
    assert "__main__" in error.cure


def test_a_name_of_the_library_that_was_not_imported(failure):
    assert failure("@tool\ndef f(): ...").cure == "Add to the file: from myagent import tool"
    assert failure("tooool()").cure == ""


def test_a_file_beside_the_agent_that_is_looked_for_elsewhere(failure, write):
    write("prices.csv", "")
    assert "Path(__file__).parent / 'prices.csv'" in failure("open('prices.csv')").cure
    assert failure("open('nowhere.csv')").cure == ""


def test_an_exception_without_words_is_its_class(failure):
    assert failure("assert False").problem.endswith("line 1: AssertionError")
