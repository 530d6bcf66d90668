"""`python -m bench`: measure this server against the floor and compare with the budgets.

Ends with 0 when all budgets are kept, 1 when one is missed, 2 when nothing could be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from bench import guessing, normalising
from bench.measuring import COMMAND, FLOOR, FULL, OURS, QUICK, ClientFailed, Plan, measure
from bench.processes import Cores, ServerFailed
from bench.report import Line, lines, table

OPEN_FILES = 8192
REPORT_WIDTH = 110  # of a report that goes into a file


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of each load: for a first look")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds per load (3; with --quick 1)")
    parser.add_argument("--idle", type=int, default=1000, metavar="N", help="idle sessions, 0 to leave it out (1000)")
    parser.add_argument("--sessions", type=int, action="append", metavar="N", help="only loads with N sessions")
    parser.add_argument("--delay-ms", type=int, action="append", metavar="MS", help="only loads with MS per token")
    parser.add_argument("--only", choices=(OURS, FLOOR), help="measure one side; there are no ratios then")
    parser.add_argument("--database", metavar="URL", help="our database, instead of SQLite in a temporary folder")
    parser.add_argument("--command", default=COMMAND, help="starts our server on {port} (%(default)s)")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="run our server, and it alone, under cProfile")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    parser.add_argument("--no-pin", dest="pin", action="store_false", help="leave the choice of cores to the system")
    options = parser.parse_args(argv)
    if "{port}" not in options.command:
        parser.error("--command must have {port} in it.")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be 1 or more.")
    return options


def plan_from(options: argparse.Namespace) -> Plan:
    """What the command line asks for."""
    return Plan(
        scenarios=[
            scenario
            for scenario in (QUICK if options.quick else FULL)
            if scenario.sessions in (options.sessions or [scenario.sessions])
            and scenario.delay_ms in (options.delay_ms or [scenario.delay_ms])
        ],
        rounds=options.rounds or (1 if options.quick else 3),
        # A profile is written when its server ends, so there must be one server only.
        idle_sessions=0 if options.profile else options.idle,
        cores=Cores.split(pin=options.pin),
        sides=[OURS] if options.profile else [options.only] if options.only else [OURS, FLOOR],
        command=options.command,
        database=options.database,
        profile=options.profile,
    )


def machine(plan: Plan) -> dict[str, object]:
    """Where and when the numbers come from."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "server_cores": sorted(plan.cores.server),
        "load_average": os.getloadavg(),
        "rounds": plan.rounds,
        "command": plan.command,
        "database": "given" if plan.database else "SQLite",
    }


def allow_open_files() -> None:
    """Raise the limit of open files for this process and those that it starts: every idle session is a connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def write_json(path: Path, plan: Plan, measured: list[Line]) -> None:
    """Keep the numbers for programs."""
    document = {"machine": machine(plan), "lines": [line.to_json() for line in measured]}
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> int:
    """Measure and report; returns the exit code."""
    options = arguments()
    console = Console(width=None if sys.stdout.isatty() else REPORT_WIDTH)
    plan = plan_from(options)
    allow_open_files()
    try:
        with console.status("starting") as status:
            measured = lines(measure(plan, status.update))
            if OURS in plan.sides and not plan.profile:
                measured += [normalising.line(), guessing.line(plan.command)]
    except (ServerFailed, ClientFailed, subprocess.CalledProcessError) as error:
        console.print("\n".join([str(error), *getattr(error, "__notes__", [])]), style="red", markup=False)
        return 2
    console.print(table(measured))
    if options.json:
        write_json(options.json, plan, measured)
    if plan.profile:
        console.print(f"The profile is in {plan.profile}; under a profiler times mean little and no budget counts.")
        return 0
    return int(any(line.kept is False for line in measured))


if __name__ == "__main__":
    sys.exit(main())
