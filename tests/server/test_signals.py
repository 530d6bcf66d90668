"""What the server process does with signals, from its first line on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.support.agent_server import AgentServer
from tests.support.paths import ROOT
from tests.support.patience import WAIT_SECONDS

INTERRUPT = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
MOMENTS = {
    "an import": INTERRUPT,
    "a destructor": f"class Dying:\n    def __del__(self):\n        {INTERRUPT}\nDying()\nfor _ in range(1000): pass",
    "the migrations": (
        "from django.db.models.signals import pre_migrate\n"
        f"def interrupt(**_):\n    {INTERRUPT}\n"
        "pre_migrate.connect(interrupt, weak=False)"
    ),
    "the last thing before the loop": (
        "import asyncio, agents.hosting.process as process\n"
        f"def interrupt(count):\n    {INTERRUPT}\n"
        "process.allow_connections = interrupt"
    ),
}
PROGRAMS = {
    "manage.py": [str(ROOT / "manage.py"), "runagent"],
    "the module": ["-m", "myagent.cli.server"],
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_during_the_start_is_quiet(tmp_path, moment):
    assert interrupted(tmp_path, MOMENTS[moment], PROGRAMS["manage.py"]) == (130, "")


def test_so_it_is_for_the_other_program(tmp_path):
    assert interrupted(tmp_path, MOMENTS["an import"], PROGRAMS["the module"]) == (130, "")


def interrupted(folder, code, program):
    agent = folder / "interrupted.py"
    agent.write_text(
        f"from myagent import create_react_agent\n{code}\nagent = create_react_agent(name='a', tools=[])\n"
    )
    command = [sys.executable, *program, str(agent), "--llm", "demo", "--port", "0"]
    environment = {**os.environ, "MYAGENT_DATA_DIR": str(folder / "data"), "DATABASE_URL": ""}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=WAIT_SECONDS * 2, check=False
    )
    return done.returncode, done.stderr


def test_a_hangup_ends_it_in_order_and_user_signals_do_nothing(tmp_path, model):
    with AgentServer(tmp_path, "tools.py", model=model) as server:
        for signum in (signal.SIGUSR1, signal.SIGUSR2):
            server._running.send_signal(signum)
        assert threading.Event().wait(0.2) is False
        assert not server.has_ended
        # A terminal that is closed sends it twice.
        server._running.send_signal(signal.SIGHUP)
        server.wait_log("Stopping.")
        server._running.send_signal(signal.SIGHUP)
        assert server.wait_exit() == 0
