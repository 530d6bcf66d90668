"""Scripts that end because there is no model."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from myagent.exceptions import LLMNotConfigured, ToolFailed
from myagent.loop.uncaught import end_in_a_sentence

SCRIPT = """
import asyncio
from myagent import create_react_agent
agent = create_react_agent(name="a")
print(asyncio.run(agent.arun("hi")))
"""


@pytest.fixture
def hook(monkeypatch, capsys):
    """What is printed of an exception that nobody catches, once a model could not be asked."""
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)

    def uncaught(error):
        end_in_a_sentence()
        sys.excepthook(type(error), error, None)
        return capsys.readouterr().err

    return uncaught


def test_a_script_without_a_key_ends_in_a_sentence():
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYAGENT_", "OPENAI_", "LLM_"))}
    command = [sys.executable, "-c", SCRIPT]
    environment = {**kept, "MYAGENT_LANGUAGE": "en"}
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("❌ ") and "OPENAI_API_KEY" in line


def test_only_what_is_said_of_a_model_is_a_sentence(hook):
    assert hook(LLMNotConfigured("No key.")) == "❌ No key.\n"
    assert hook(ToolFailed("no")) == "myagent.exceptions.ToolFailed: no\n"
    assert hook(ZeroDivisionError()) == "ZeroDivisionError\n"


def test_a_hook_of_the_authors_stays(hook, monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: seen.append(kind))
    assert hook(LLMNotConfigured("No key.")) == ""
    assert seen == [LLMNotConfigured]
