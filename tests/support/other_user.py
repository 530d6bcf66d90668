"""Programs of another user of this machine: what the neighbour can do."""

from __future__ import annotations

import os
import pwd
import shutil

import pytest

NOBODY = "nobody"


def as_nobody(*command: str) -> list[str]:
    """The command that runs this one as the user `nobody`. Skips the test where that cannot be done."""
    return as_user(NOBODY, *command)


def as_user(name: str, *command: str) -> list[str]:
    """The command that runs this one as another user. Skips the test where that cannot be done."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        pytest.skip("SKIPPED: only root, with setpriv (util-linux), can run a program as another user")
    user = pwd.getpwnam(name)
    return [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *command]
