"""The measurement itself: which loads are tried, and the rounds in which the servers take turns."""

from __future__ import annotations

import http.client
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.client import Idle, Load, Turn
from bench.processes import ROOT, Cores, environment, free_port, pin, serving

OURS, FLOOR = "ours", "floor"
COMMAND = f"{shlex.quote(sys.executable)} manage.py runagent bench/agent.py --host 127.0.0.1 --port {{port}}"
CLIENT_SECONDS = 900


class ClientFailed(Exception):
    """The load client ended with an error; its own words are above, on stderr."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A load: `sessions` at the same time; the model pauses `delay_ms` before each token.

    `conversations` of `turns` turns each are held in one round. A conversation stays short, because the history that
    grows with it would be measured too.
    """

    sessions: int
    delay_ms: int
    conversations: int
    turns: int

    @property
    def name(self) -> str:
        """For people: "50 sessions, 20 ms per token"."""
        sessions = "1 session" if self.sessions == 1 else f"{self.sessions} sessions"
        return f"{sessions}, {f'{self.delay_ms} ms per token' if self.delay_ms else 'no delay'}"


FULL = (
    Scenario(sessions=1, delay_ms=0, conversations=12, turns=5),
    Scenario(sessions=50, delay_ms=0, conversations=50, turns=5),
    Scenario(sessions=200, delay_ms=0, conversations=200, turns=2),
    Scenario(sessions=1, delay_ms=20, conversations=2, turns=5),
    Scenario(sessions=50, delay_ms=20, conversations=50, turns=5),
    Scenario(sessions=200, delay_ms=20, conversations=200, turns=2),
)
QUICK = (
    Scenario(sessions=1, delay_ms=0, conversations=6, turns=5),
    Scenario(sessions=50, delay_ms=0, conversations=50, turns=3),
    Scenario(sessions=200, delay_ms=0, conversations=200, turns=1),
    Scenario(sessions=1, delay_ms=20, conversations=1, turns=3),
    Scenario(sessions=50, delay_ms=20, conversations=50, turns=3),
    Scenario(sessions=200, delay_ms=20, conversations=200, turns=1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured and how. `command` starts our server, with `{port}` in it."""

    scenarios: Sequence[Scenario]
    rounds: int
    idle_sessions: int
    cores: Cores
    sides: Sequence[str] = (OURS, FLOOR)
    command: str = COMMAND
    database: str | None = None
    profile: Path | None = None


@dataclass(slots=True)
class Outcome:
    """What was measured: per scenario and side the rounds, and per side the memory."""

    loads: dict[Scenario, dict[str, list[Load]]] = field(default_factory=dict)
    memory: dict[str, Idle] = field(default_factory=dict)


def measure(plan: Plan, tell: Callable[[str], None]) -> Outcome:
    """Carry out `plan`; `tell` is called with what comes next. Raises `ServerFailed`, `ClientFailed`."""
    outcome = Outcome()
    with ExitStack() as stack:
        tell("starting")
        model = stack.enter_context(_model(plan))
        if plan.idle_sessions:
            for side in plan.sides:
                tell(f"memory of {side}")
                # A server of its own, because memory that a load has taken is not given back.
                with _server(plan, side, model) as (url, pid):
                    outcome.memory[side] = Idle(**_client(plan, "idle", url, pid, sessions=plan.idle_sessions))
        running = {side: stack.enter_context(_server(plan, side, model)) for side in plan.sides}
        for scenario in plan.scenarios:
            _set_delay(model, scenario.delay_ms)
            outcome.loads[scenario] = {side: [] for side in plan.sides}
            for number in range(plan.rounds):
                # A B, then B A: neither side always comes second.
                for side in plan.sides if number % 2 == 0 else reversed(plan.sides):
                    tell(f"{scenario.name}, round {number + 1} of {plan.rounds}: {side}")
                    outcome.loads[scenario][side].append(_load(plan, scenario, *running[side]))
    return outcome


def _load(plan: Plan, scenario: Scenario, url: str, pid: int) -> Load:
    sizes = {"at_once": scenario.sessions, "conversations": scenario.conversations, "turns": scenario.turns}
    raw = _client(plan, "load", url, pid, **sizes)
    return Load(**raw | {"turns": [Turn(**turn) for turn in raw["turns"]]})


def _client(plan: Plan, mode: str, url: str, pid: int, **sizes: int) -> dict[str, Any]:
    """Run the load client in a process of its own and return what it measured."""
    command = [sys.executable, "-m", "bench.client", mode, "--url", url, "--pid", str(pid)]
    for name, value in sizes.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    with subprocess.Popen(command, cwd=ROOT, env=environment({}), stdout=subprocess.PIPE) as process:
        pin(process.pid, plan.cores.load)
        try:
            output, _ = process.communicate(timeout=CLIENT_SECONDS)
        finally:
            process.kill()
    if process.returncode:
        raise ClientFailed(f"The client ended with {process.returncode} while it measured {url}; see its words above.")
    measured: dict[str, Any] = json.loads(output)
    return measured


@contextmanager
def _model(plan: Plan) -> Iterator[int]:
    """Run the fake model; yields its port."""
    port = free_port()
    with serving([sys.executable, "-m", "bench.model", "--port", str(port)], port=port, env={}, cores=plan.cores.load):
        yield port


def _set_delay(model: int, delay_ms: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", model, timeout=10)
    try:
        connection.request("POST", f"/delay-ms/{delay_ms}")
        connection.getresponse().read()
    finally:
        connection.close()


@contextmanager
def _server(plan: Plan, side: str, model: int) -> Iterator[tuple[str, int]]:
    """Run one of the two servers with an empty data folder; yields its URL and process id."""
    port = free_port()
    env = {"OPENAI_BASE_URL": f"http://127.0.0.1:{model}/v1", "OPENAI_API_KEY": "x", "LLM_MODEL": "bench"}
    with TemporaryDirectory(prefix="myagent-bench-") as folder:
        if side == FLOOR:
            command = [sys.executable, "-m", "bench.floor", "--port", str(port)]
        else:
            env |= {"MYAGENT_DATA_DIR": folder, "MYAGENT_LANGUAGE": "en"}
            if plan.database:
                env["DATABASE_URL"] = plan.database
                migrate = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"]
                subprocess.run(migrate, cwd=ROOT, env=environment(env), check=True)
            command = shlex.split(plan.command.format(port=port))
            if plan.profile:
                command[1:1] = ["-m", "cProfile", "-o", str(plan.profile.resolve())]
        with serving(command, port=port, env=env, cores=plan.cores.server) as pid:
            yield f"ws://127.0.0.1:{port}/", pid
