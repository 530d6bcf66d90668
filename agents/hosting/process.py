"""One server process from its database to its last connection; what `runagent` does once the agents are loaded."""

from __future__ import annotations

import gc
import logging
import sqlite3
import sys
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import DatabaseError, connections

from agents.access.local_user import ensure_local_user, first_password, issue_banner_token
from agents.conf import Config
from agents.console.banner import Banner, show
from agents.database.migrate import bring_up_to_date
from agents.database.threads import in_thread
from agents.database.trouble import unusable
from agents.hosting.file_limit import allow_connections
from agents.loading.file_watcher import SourceWatcher
from agents.loading.hosted_rows import sync_hosted_agents
from agents.loading.registry import Registry

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LOGGER = "myagent"
"""The root of all our loggers; docs/operations.md lists them."""


def log_everything() -> None:
    """Let our own loggers tell all they know."""
    configured: dict[str, Any] = settings.LOGGING
    loggers = configured.setdefault("loggers", {})
    logging.getLogger(LOGGER).setLevel(logging.DEBUG)
    # Building the ASGI application sets Django up once more, and that reads the settings again.
    loggers.setdefault(LOGGER, {})["level"] = "DEBUG"


def prepare_database(registry: Registry) -> User:
    """Bring the database up to date; returns the user `local`.

    Raises `CommandError` when the database cannot be used as it is.
    """
    try:
        bring_up_to_date()
        user = ensure_local_user()
        sync_hosted_agents(registry)
    except (DatabaseError, sqlite3.Error) as error:
        raise unusable(error) from error
    finally:
        connections.close_all()  # this thread will run the server and must not touch the database again
    return user


def _spare_the_collector() -> None:
    """Keep the garbage collector from looking at what stays for good: modules, models, agents.

    Measured at 50 sessions whose model answers at once: a third of the server's CPU time. Closed connections and ended
    runs leave no cycles behind, so that looking less often costs no memory.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def serve(
    config: Config,
    registry: Registry,
    *,
    host: str,
    port: int,
    user: User,
    watcher: SourceWatcher | None,
) -> tuple[str | None, int]:
    """Serve until a signal or a changed file; returns why the start failed, if it did, and the port."""
    # Twisted and the consumers take most of a second, which an error in an agent file need not wait for.
    from channels.routing import get_default_application

    from agents.hosting.daphne_server import AgentServer

    real_port = port

    def announce() -> None:
        with first_password(user) as password:
            show(Banner(config=config, registry=registry, host=host, port=real_port, token=token, password=password))

    async def listening(addresses: list[tuple[str, int]]) -> None:
        nonlocal real_port
        real_port = addresses[0][1]
        _spare_the_collector()
        await in_thread(announce)

    allow_connections(config.max_connections)
    token = issue_banner_token(user)
    connections.close_all()
    server = AgentServer(
        get_default_application(),
        host=host,
        port=port,
        on_listening=listening,
        access_log=sys.stderr if config.debug else None,
        config=config,
    )
    if watcher is not None:
        watcher.start(server.stop)
    server.run()
    if watcher is not None:
        watcher.stop()  # what changes while the process ends must not start it again
    return server.failure, real_port
