"""The life of one server process: what `runagent` does once the agents are loaded."""

from __future__ import annotations

import gc
import logging
import os
import sqlite3
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import DatabaseError, connections

from agents.access.local_user import ensure_local_user, first_password, issue_banner_token
from agents.access.peer_owner import system_tells
from agents.caretaker import caretaker
from agents.conf import Config
from agents.console.banner import Banner, show
from agents.database.limits import limit_waiting
from agents.database.migrate import bring_up_to_date
from agents.database.threads import in_thread
from agents.database.trouble import unusable
from agents.hosting.file_limit import allow_connections
from agents.hosting.forked_children import keep_from_forks
from agents.hosting.sockets import outward_addresses
from agents.loading.file_watcher import SourceWatcher
from agents.loading.hosted_rows import sync_hosted_agents
from agents.loading.registry import Registry
from agents.supervisor.supervisor_link import SupervisorLink

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LOGGER = "myagent"
"""The root of all our loggers; docs/operations.md lists them."""


def enable_debug_logging() -> None:
    """Set our own loggers to DEBUG."""
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
        limit_waiting()
        bring_up_to_date()
        user = ensure_local_user()
        sync_hosted_agents(registry)
    except (DatabaseError, sqlite3.Error) as error:
        raise unusable(error) from error
    finally:
        connections.close_all()  # this thread will run the server and must not touch the database again
    return user


def _tune_garbage_collector() -> None:
    """Exclude from garbage collection what stays for good: modules, models, agents; and collect less often.

    This saves a third of the server's CPU time, measured with 50 sessions whose model answers at once. Closed
    connections and ended runs leave no reference cycles, so that it costs no memory.
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
    link: SupervisorLink | None = None,
) -> tuple[str | None, int]:
    """Serve until a signal or a changed file; returns why the start failed, or None, and the port.

    A worker of a supervisor has a `link` to it, with the sockets to serve on.
    """
    # Importing Twisted and the consumers takes most of a second; an error in an agent file is reported before that.
    from channels.routing import get_default_application

    from agents.hosting.daphne_server import DaphneServer

    real_port = port

    def announce() -> None:
        with first_password(user) as password:
            show(
                Banner(
                    config=config,
                    registry=registry,
                    host=host,
                    port=real_port,
                    token=token,
                    password=password,
                    outward=tuple(outward_addresses(host)),
                    has_layer=bool(settings.CHANNEL_LAYERS),
                    knows_owners=system_tells(),
                    is_root=os.geteuid() == 0,
                )
            )

    async def on_listening(addresses: list[tuple[str, int]]) -> None:
        nonlocal real_port
        real_port = addresses[0][1]
        keep_from_forks(real_port)
        _tune_garbage_collector()
        if link is not None:
            link.ready(lambda: [failed.source for failed in registry.failures])
        if announces:
            await in_thread(announce)

    announces = link is None or link.is_first
    allow_connections(config.max_connections)
    token = issue_banner_token(user) if announces else ""
    connections.close_all()
    application = get_default_application()
    caretaker.begin()  # that has set up the log once more
    server = DaphneServer(
        application,
        host=host,
        port=port,
        on_listening=on_listening,
        access_log=caretaker.stderr if config.debug else None,
        config=config,
        shared=link,
    )
    if link is not None:
        link.open(server.loop, server.stop)
    if watcher is not None:
        watcher.start(server.stop)
    server.run()
    if watcher is not None:
        watcher.stop()  # a change while the process ends must not restart it
    return server.failure, real_port
