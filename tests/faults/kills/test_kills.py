"""The rounds with kills in short; `python -m tests.faults.kills` plays a hundred."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.paths import ROOT
from tests.support.services import answering_postgres

ROUNDS = 5
TIMEOUT_SECONDS = 400
"""On a machine that is busy with other things; it takes half a minute where it is not."""


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_SECONDS + 20)
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_what_agents_promise_outlives_kills(database):
    if database == "postgres":
        answering_postgres()
    command = [sys.executable, "-m", "tests.faults.kills", "--database", database]
    command += ["--rounds", str(ROUNDS), "--seed", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {words: int(number) for number, words in re.findall(r"^ *(\d+) (.+)$", done.stdout, re.MULTILINE)}
    # Rounds in which nothing happens prove nothing.
    assert counts["rounds"] == ROUNDS and counts["kills"] >= ROUNDS, done.stdout
    for what in ("rounds with everything", "steering messages read", "model calls of the second model"):
        assert counts.get(what), done.stdout
