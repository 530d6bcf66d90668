"""Disturb real servers for a while and check that nothing is lost, doubled or stuck.

    python -m tests.faults --seconds 600 --seed 7 --database sqlite
    python -m tests.faults --database postgres --redis yes --servers 1 --workers 3 --clients 60
    python -m tests.faults --database postgres://postgres@127.0.0.1:5432/postgres

The data folder and the logs are kept when something is wrong; PostgreSQL's tables are written there, too.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from tests.faults.report import Report
from tests.faults.supervisor import OWN_POSTGRES, SQLITE, Round, Supervisor
from tests.support.services import is_postgres

REDIS_SHARE = 0.7
"""Of the rounds; in the others the servers look for news by themselves, more often."""


def main() -> int:
    """The command; returns its exit code."""
    wanted = _arguments()
    if wanted.database not in (SQLITE, OWN_POSTGRES):
        os.environ["DATABASE_URL"] = wanted.database  # in this server a database of the round's own is made
    # Whoever asks the model is killed in the middle of its replies; its server has much to say about that.
    logging.getLogger("aiohttp.server").disabled = True
    folder = Path(tempfile.mkdtemp(prefix="myagent-faults-"))
    repeat = f"python -m tests.faults --seconds {wanted.seconds:g} --seed {wanted.seed}"
    repeat += f" --kills {wanted.kills} --cuts {wanted.cuts} --runs {wanted.runs}"
    repeat += f" --clients {wanted.clients} --servers {wanted.servers} --database {wanted.database}"
    repeat += f" --workers {wanted.workers}" if wanted.workers else ""
    repeat += f" --redis {'yes' if wanted.redis else 'no'}"
    sys.stdout.write(f"{repeat}\n")
    sys.stdout.flush()
    report = Report(repeat, folder)
    Supervisor(wanted, folder, report).run()
    sys.stdout.write(f"{report}\n")
    if not report.problems:
        shutil.rmtree(folder)
    return 1 if report.problems else 0


def _arguments() -> Round:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600, help="how long to disturb (%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="chooses what happens (by chance)")
    parser.add_argument("--kills", type=int, default=0, help="go on until a server was killed so often (%(default)s)")
    parser.add_argument("--cuts", type=int, default=0, help="and so many connections were cut (%(default)s)")
    parser.add_argument("--runs", type=int, default=0, help="and a client saw the end of so many runs (%(default)s)")
    parser.add_argument("--clients", type=int, default=12, help="how many talk at the same time (%(default)s)")
    parser.add_argument("--servers", type=int, default=2, help="how many share the database (%(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="of each server, under a supervisor (a single process)")
    parser.add_argument(
        "--database",
        default=SQLITE,
        help="'sqlite' (default), 'postgres' for a server of the round's own, which is restarted too, or the"
        " postgres:// URL of one",
    )
    parser.add_argument(
        "--redis",
        choices=("yes", "no"),
        help="let a Redis of the round's own wake the servers up, and kill it now and then (by chance, if installed)",
    )
    given = parser.parse_args()
    if given.database not in (SQLITE, OWN_POSTGRES) and not is_postgres(given.database):
        parser.error(f"--database {given.database!r} is neither 'sqlite', 'postgres' nor the URL of a PostgreSQL.")
    program = shutil.which("redis-server")
    if given.redis == "yes" and program is None:
        parser.error("--redis yes: redis-server is not installed.")
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    has_redis = random.Random(f"{seed}/redis").random() < REDIS_SHARE if given.redis is None else given.redis == "yes"
    return Round(
        seconds=given.seconds,
        seed=seed,
        clients=given.clients,
        servers=given.servers,
        workers=given.workers,
        database=given.database,
        redis=program if has_redis else None,
        kills=given.kills,
        cuts=given.cuts,
        runs=given.runs,
    )


if __name__ == "__main__":
    sys.exit(main())
