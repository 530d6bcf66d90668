"""The fault suite in short: `make faults` does the same for longer."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.server import ROOT
from tests.services import postgres_server

SECONDS = 8
TIMEOUT_SECONDS = 110


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_nothing_is_lost_doubled_or_stuck(database, request):
    if database == "postgres":
        request.getfixturevalue("postgres_url")  # skips where none answers
        database = postgres_server()
    command = [
        sys.executable,
        "-m",
        "tests.faults",
        "--seconds",
        str(SECONDS),
        "--clients",
        "6",
        "--database",
        database,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {words: int(number) for number, words in re.findall(r"^ *(\d+) (.+)$", done.stdout, re.MULTILINE)}
    # A round in which nothing happens proves nothing.
    for what in ("events checked", "runs succeeded", "connections cut by the proxy", "kill"):
        assert counts.get(what), done.stdout
