"""Standard output that belongs to the command alone."""

from __future__ import annotations

import io
import json
import os
import subprocess

import pytest

from agents.console.own_output import keep_output
from tests.myagent.cli.test_main import COMMAND, environment
from tests.support import forked

NOISY = """
import atexit, logging, os, subprocess, sys, threading
from myagent import create_react_agent

print("printed")
sys.stdout.write("written")
os.write(1, b"raw\\n")
subprocess.run(["echo", "by a child"])
logging.basicConfig(stream=sys.stdout, level=logging.INFO, force=True)
logging.getLogger("author").info("logged")
atexit.register(print, "at the end")
threading.Timer(0.01, print, ["by a thread"]).start()
print("to the first one", file=sys.__stdout__)
agent = create_react_agent(name="noisy")
"""
SAID = ("printed", "written", "raw", "by a child", "logged", "at the end", "by a thread", "to the first one")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "noisy.py").write_text(NOISY)
    asks = "answer = input('Your key: ')\nfrom myagent import create_react_agent\nagent = create_react_agent(name='a')"
    (tmp_path / "asking.py").write_text(asks)
    return tmp_path


def check(folder, *words):
    """Run the check; its standard input stays open and brings nothing."""
    nothing, never = os.pipe()
    try:
        return forked.run(
            [*COMMAND, "check", *words],
            cwd=folder,
            env=environment(folder),
            stdin=nothing,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(nothing)
        os.close(never)


def test_the_report_for_programs_is_alone(folder):
    done = check(folder, "noisy.py", "--json")
    assert [agent["name"] for agent in json.loads(done.stdout)["agents"]] == ["noisy"]
    assert [words for words in SAID if words not in done.stderr] == []


def test_people_see_both(folder):
    done = check(folder, "noisy.py")
    assert "noisy  (noisy.py)" in done.stdout
    assert [words for words in SAID if words not in done.stdout] == []


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_file_that_closes_it(folder, options):
    (folder / "closing.py").write_text(
        "import sys\nfrom myagent import create_react_agent\nsys.stdout.close()\n"
        "agent = create_react_agent(name='closing')\n"
    )
    done = check(folder, "closing.py", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert "closing" in done.stdout


def test_a_file_that_asks_is_not_waited_for(folder):
    done = check(folder, "asking.py", "--json")
    assert done.returncode == 1
    (finding,) = json.loads(done.stdout)["findings"]
    assert "asks something on the terminal" in finding["problem"]
    assert "__main__" in finding["cure"]


def test_another_stream_is_left_alone():
    given = io.StringIO()
    assert keep_output(given, alone=True) is given
