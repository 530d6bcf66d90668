"""Two server processes that share their data, in the ways in which that is possible."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.support.agent_server import AgentServer
from tests.support.model_server import ModelServer
from tests.support.services import answering_redis, give_sqlite_tables, postgres_database

SQLITE = "one SQLite folder"
POSTGRES = "PostgreSQL"
POSTGRES_REDIS = "PostgreSQL and Redis"
KINDS = (SQLITE, POSTGRES, POSTGRES_REDIS)

SECRET = "the-secret-that-both-servers-of-a-pair-are-given"

Pair = tuple[AgentServer, AgentServer]


@contextmanager
def two_servers(
    kind: str,
    folder: Path,
    model: ModelServer,
    *,
    files: tuple[str, ...] = ("tools.py",),
    settings: dict[str, Any] | None = None,
    environments: tuple[dict[str, str], dict[str, str]] = ({}, {}),
) -> Iterator[Pair]:
    """Two servers of `files`; `environments` are what each of them is told beside where the data is."""
    with ExitStack() as stack:
        shared = _shared(kind, stack)
        if kind == SQLITE:
            give_sqlite_tables(folder / "data")
        servers = tuple(
            AgentServer(
                # Machines that share a database share no folder.
                folder if kind == SQLITE else folder / str(number),
                *files,
                model=model,
                settings=settings,
                environment=shared | environment,
            )
            for number, environment in enumerate(environments)
        )
        for server in servers:
            server.folder.mkdir(exist_ok=True)
            stack.push(server)
        with ThreadPoolExecutor() as pool:
            list(pool.map(AgentServer.start, servers))
        yield servers[0], servers[1]


NEVER = 3600
"""A lease in seconds that ends with `lapse` only, however busy the machine is on which the tests run."""


def lapse(server: AgentServer) -> None:
    """Let the leases of all runs that share their data with `server` end a minute ago."""
    server.manage(
        "shell",
        "-c",
        "from datetime import timedelta; from django.utils import timezone; from sessions_app.models import Run;"
        "Run.objects.active().update(lease_until=timezone.now() - timedelta(minutes=1))",
    )


def _shared(kind: str, stack: ExitStack) -> dict[str, str]:
    if kind == SQLITE:
        return {"DATABASE_URL": ""}
    # Servers that share a database and no folder have to be given one secret: they warn of two.
    shared = {"DATABASE_URL": stack.enter_context(postgres_database()), "MYAGENT_SECRET_KEY": SECRET}
    return shared | {"REDIS_URL": answering_redis()} if kind == POSTGRES_REDIS else shared
