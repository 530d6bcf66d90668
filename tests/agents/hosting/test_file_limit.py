"""The limit of open files, which this module changes in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, logging, resource, sys
soft, hard, count = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
logging.basicConfig()
from agents.hosting.file_limit import allow_connections
allow_connections(count)
sys.stdout.write(json.dumps(resource.getrlimit(resource.RLIMIT_NOFILE)))
"""


def limits(soft, hard, count):
    """The limits afterwards, and what was logged."""
    command = [sys.executable, "-c", SCRIPT, str(soft), str(hard), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return tuple(json.loads(done.stdout)), done.stderr


@pytest.mark.parametrize(
    ("before", "count", "after", "warns"),
    [
        ((256, 4000), 500, (1500, 4000), False),
        ((2000, 4000), 500, (2000, 4000), False),
        ((256, 1200), 500, (1200, 1200), True),
        ((1200, 1200), 500, (1200, 1200), True),
    ],
)
def test_the_limit_is_raised_as_far_as_needed_and_allowed(before, count, after, warns):
    found, said = limits(*before, count)
    assert found == after
    assert ("MAX_CONNECTIONS=500" in said) is warns
