"""The ASGI lifespan: starts and stops the engine with any ASGI server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from agents.access.shared_secret import note_secret
from agents.conf import Config, get_config
from agents.database.database_file import never_create
from agents.database.limits import limit_waiting
from agents.database.threads import in_thread
from agents.database.trouble import words_about
from agents.loading.hosted_rows import sync_hosted_agents
from agents.loading.registry import Registry, get_registry, set_registry
from agents.telemetry_export import start_telemetry, stop_telemetry
from myagent.exceptions import MyAgentError
from myagent.i18n import use_language
from sessions_app.engine import Engine

logger = logging.getLogger("myagent.server")

Message = dict[str, Any]


async def lifespan(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """The ASGI application for scopes of type `lifespan`; the engine is handed on as `scope["state"]["engine"]`."""
    engine: Engine | None = None
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                engine = await _start(get_config())
            except MyAgentError as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            except Exception as error:
                words = await in_thread(words_about, error)
                if words is None:
                    logger.exception("The engine could not be started.")
                await send({"type": "lifespan.startup.failed", "message": words or str(error)})
                return
            scope.setdefault("state", {})["engine"] = engine
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            if engine is not None:
                await engine.stop()
                await stop_telemetry(engine.config)
            await send({"type": "lifespan.shutdown.complete"})
            return


async def _start(config: Config) -> Engine:
    use_language(config.language)
    limit_waiting()
    never_create()
    if len(get_registry()) == 0:
        # Not started by `runagent`, which loads the agents: the settings name them.
        # In a thread, as agent files must be loaded outside an event loop.
        registry = await asyncio.to_thread(Registry.from_sources, config.agents)
        for failed in registry.failures:
            logger.error("%s is not served: %s", failed.source, failed.error)
        set_registry(registry)
        await in_thread(sync_hosted_agents, registry)
    await in_thread(note_secret, config)
    start_telemetry(config)
    engine = Engine(config)
    await engine.start()
    return engine
