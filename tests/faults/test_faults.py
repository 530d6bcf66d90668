"""The fault suite in short: `make faults` does the same for longer."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.paths import ROOT
from tests.support.postgres_server import needs_own_postgres
from tests.support.services import answering_postgres

SECONDS = 4
TIMEOUT_SECONDS = 300
"""On a machine that is busy with other things; it takes seconds where it is not."""


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_SECONDS + 20)
@pytest.mark.parametrize(("database", "workers"), [("sqlite", 0), ("one that answers", 0), ("postgres", 2)])
def test_nothing_is_lost_doubled_or_stuck(database, workers):
    if database == "one that answers":
        database = answering_postgres()
    elif database == "postgres":
        needs_own_postgres()
    options = {"seconds": SECONDS, "clients": 6, "kills": 2, "cuts": 5, "runs": 5, "database": database}
    options |= {"servers": 1, "workers": workers} if workers else {}
    command = [sys.executable, "-m", "tests.faults"]
    command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {words: int(number) for number, words in re.findall(r"^ *(\d+) (.+)$", done.stdout, re.MULTILINE)}
    # A round in which nothing happens proves nothing.
    for what in ("events checked", "runs succeeded", "connections cut by the proxy", "kill"):
        assert counts.get(what), done.stdout
