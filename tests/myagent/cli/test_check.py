"""`myagent-ws check` and its twins, as a person or a program types them."""

from __future__ import annotations

import json
import os
import pty
import subprocess

import pytest

from agents.console.check_report import Report
from agents.console.check_view import kind_of
from myagent import i18n
from myagent.inspection.finding import Finding, Severity
from tests.myagent.cli.test_main import COMMAND, environment, run
from tests.support import forked

GOOD = '''
import asyncio
from typing import Literal
from myagent import RunContext, create_react_agent, tool

@tool
def capital(country: Literal["France", "Peru"]) -> str:
    """Tells a capital.

    Args:
        country: where
    """
    return {"France": "Paris", "Peru": "Lima"}[country]

@tool(requires_confirmation=True, timeout=None)
async def send(to: Literal["Ada"], run: RunContext) -> str:
    """Sends [a] postcard.

    Args:
        to: to whom
    """
    run.progress("on its way", 50)
    await asyncio.sleep(0)
    return f"sent to {to}"

agent = create_react_agent(name="good", description="Knows places", tools=[capital, send])
'''
BAD = """
from myagent import create_react_agent, tool


@tool
async def wait(seconds: int) -> str:  # line 6
    return "done"

agent = create_react_agent(name="bad", tools=[wait], system_prompt=" ")
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)
    return tmp_path


def test_what_is_in_a_file_and_that_it_is_all_right(folder):
    done = run([*COMMAND, "check", "good.py", "--strict"], folder, COLUMNS="100")
    assert done.returncode == 0
    for words in (
        "good  (good.py)",
        "Knows places",
        "capital  in a thread · 60 s",
        "country  France | Peru  required  where",
        "send  async · no time limit · asks first",
        "Sends [a] postcard.",
        "OPENAI_API_KEY",
        "✅ Agents: 1 · tools: 2 · errors: 0 · warnings: 0",
    ):
        assert words in done.stdout
    assert "run" not in [word for line in done.stdout.splitlines() for word in line.split()]
    assert done.stderr == ""


def test_what_looks_wrong(folder):
    (folder / "broken.py").write_text("def f(:")
    (folder / "empty.py").write_text("x = 1")
    (folder / "twin.py").write_text(GOOD)
    files = ["bad.py", "broken.py", "empty.py", "good.py", "twin.py"]
    done = run([*COMMAND, "check", *files], folder)
    assert done.returncode == 1
    assert "⚠️  bad.py:6: The tool 'wait' has no description: the model has only its name" in done.stdout
    assert "   Say what it does in its docstring" in done.stdout
    assert "❌ Syntax error in broken.py, line 1" in done.stdout
    assert "❌ No 'agent' variable was found in empty.py" in done.stdout
    assert "❌ Two agents are named 'good': good.py and twin.py" in done.stdout
    assert "good  (good.py)" in done.stdout
    assert "❌ Agents: 2 · tools: 3 · errors: 3 · warnings: 3" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_warnings_fail_where_that_is_asked_for(folder):
    codes = "no_system_prompt,no_description"
    done = run([*COMMAND, "check", "bad.py", "--strict", "--ignore", codes], folder)
    assert done.returncode == 1
    assert "[parameter_no_description]" in done.stdout and "[no_description]" not in done.stdout
    ignored = ["--ignore", codes, "--ignore", "parameter_no_description"]
    assert run([*COMMAND, "check", "bad.py", "--strict", *ignored], folder).returncode == 0


@pytest.mark.parametrize(
    ("severities", "passes", "passes_strictly"),
    [((), True, True), ((Severity.WARNING,), True, False), ((Severity.WARNING, Severity.ERROR), False, False)],
)
def test_what_passes(severities, passes, passes_strictly):
    found = tuple(Finding(code="x", severity=severity, problem="") for severity in severities)
    report = Report(agents=(), findings=found)
    assert (report.passes(strict=False), report.passes(strict=True)) == (passes, passes_strictly)


def test_a_report_for_programs(folder):
    done = run([*COMMAND, "check", "good.py", "bad.py", "nowhere.py", "--json"], folder)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    good, bad = told["agents"]
    assert (good["name"], good["source"], good["model"]) == ("good", "good.py", "gpt-4o-mini")
    capital, send = good["tools"]
    assert capital["parameters"]["properties"]["country"]["enum"] == ["France", "Peru"]
    assert (capital["async"], capital["timeout"], capital["asks"]) == (False, 60, False)
    assert (send["async"], send["timeout"], send["asks"]) == (True, None, True)
    assert bad["name"] == "bad"
    found = {finding["code"]: finding for finding in told["findings"]}
    mute = found["no_description"]
    assert (mute["severity"], mute["agent"], mute["tool"]) == ("warning", "bad", "wait")
    assert (mute["file"], mute["line"]) == ("bad.py", 6)
    assert (found["agent_file_missing"]["severity"], found["agent_file_missing"]["file"]) == ("error", "nowhere.py")


def test_a_question(folder):
    done = run([*COMMAND, "check", "good.py", "--llm", "demo", "--ask", "Peru, and a card for Ada"], folder)
    assert done.returncode == 0
    for words in (
        "❯ Peru, and a card for Ada",
        '🔧 capital(country="Peru")',
        "✅ capital · success",
        '🔧 send(to="Ada")',
        "No user can be asked here, so it is declined.",
        "❌ send · declined",
        "Step 2",
        "Lima\n",
        "I am the demo model: I do not think, I only pass on what the tools say.\n",
        "Steps: 2 · ",
    ):
        assert words in done.stdout


def test_a_question_for_programs(folder):
    done = run([*COMMAND, "check", "good.py", "--llm", "demo", "--ask", "Peru", "--json"], folder)
    assert done.returncode == 0
    (answer,) = json.loads(done.stdout)["answers"]
    assert answer["answer"].startswith("Lima\n")
    assert [(item["tool"], item["args"], item["output"]) for item in answer["calls"]] == [
        ("capital", {"country": "Peru"}, "Lima")
    ]
    assert "❯ Peru" in done.stderr


def test_a_question_that_cannot_be_asked(folder):
    done = run([*COMMAND, "check", "good.py", "--ask", "Peru", "--json"], folder)
    assert done.returncode == 1
    assert "❌ No key for the model is set. Set OPENAI_API_KEY" in done.stderr
    assert [answer["code"] for answer in json.loads(done.stdout)["answers"]] == ["llm_not_configured"]


@pytest.mark.parametrize(("typed", "status"), [("y\n", "success"), ("\n", "declined")])
def test_a_person_at_a_terminal_is_asked(folder, typed, status):
    keyboard, terminal = pty.openpty()
    command = [*COMMAND, "check", "good.py", "--llm", "demo", "--ask", "Ada"]
    with forked.Popen(
        command, cwd=folder, env=environment(folder), stdin=terminal, stdout=subprocess.PIPE, text=True
    ) as process:
        os.write(keyboard, typed.encode())
        said, _ = process.communicate(timeout=60)
    os.close(keyboard)
    os.close(terminal)
    assert process.returncode == 0
    assert '❓ Allow the call of send? send(to="Ada")\nAllow it? [y/N]' in said
    assert f"send · {status}" in said
    assert ("send: on its way 50 %" in said) == (status == "success")


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"type": "string"}, "string"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"enum": list(range(12))}, "0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | …"),
        ({"const": "x"}, "x"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer | null"),
        ({"type": "array", "items": {"type": "number"}}, "list of number"),
        ({"$ref": "#/$defs/Size"}, "s | m"),
        ({"$ref": "#/$defs/Person"}, "Person"),
        ({}, ""),
    ],
)
def test_the_kind_of_a_parameter_for_people(about, words):
    i18n.use_language("en")
    root = {"$defs": {"Size": {"enum": ["s", "m"]}, "Person": {"type": "object"}}}
    assert kind_of(about, root) == words
    i18n.use_language(i18n.DEFAULT_LANGUAGE)
