from __future__ import annotations

import os
import pty
import subprocess
import sys

LOOK = "from agents.supervisor.terminal_control import has_terminal; print(has_terminal())"


def test_a_service_has_none():
    command = [sys.executable, "-c", LOOK]
    done = subprocess.run(command, start_new_session=True, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_shell_has_one():
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", LOOK])
    said = os.read(terminal, 100)
    os.waitpid(pid, 0)
    os.close(terminal)
    assert said.strip() == b"True"
