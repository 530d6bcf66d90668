"""Reloads agents when an operator asks for it, while the server keeps running."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any

from agents.conf import Config
from agents.database.threads import in_thread, in_thread_patiently
from agents.loading.agent_file_errors import AgentFileError, AgentLoadsTooLong
from agents.loading.hosted_rows import learn_decisions, note_default, note_failed, note_loaded
from agents.loading.hot_reload import reload_agent
from agents.loading.model_choice import close_models
from agents.loading.registry import FailedAgent, LoadedAgent, get_registry
from agents.tool_runner.tool_runner import ToolRunner
from myagent.agent import Agent
from myagent.daemon_threads import DaemonPool
from sessions_app.runs.runner import Runner

logger = logging.getLogger("myagent.agents")

LOAD_SECONDS = 60.0
"""After which reloading an agent is given up; its loaded version stays in use."""


class Reloader:
    """Lives on the event loop. A run keeps the version that it started with; the next run gets the new one."""

    def __init__(self, *, runner: Runner, tool_runner: ToolRunner, config: Config) -> None:
        self._runner = runner
        self._tool_runner = tool_runner
        self._config = config
        # Agent files are loaded outside an event loop, and may take long.
        self._pool = DaemonPool(1, name="reload")
        self._one_at_a_time = asyncio.Lock()
        self._answered: dict[str, datetime] = {}
        self._reloads: set[asyncio.Task[None]] = set()
        self._closings: set[asyncio.Task[None]] = set()
        self._old: list[LoadedAgent] = []

    async def check_reload_requests(self) -> None:
        """Read what operators decided about agents, and start the reloads they asked for, without waiting for them."""
        for source, requested_at in (await in_thread(learn_decisions, get_registry())).items():
            if self._is_new(source, requested_at):
                self._answered[source] = requested_at
                _own(self._reloads, self._reload(source, requested_at))

    def _is_new(self, source: str, requested_at: datetime) -> bool:
        if source in self._answered:
            return requested_at != self._answered[source]  # the clocks of machines differ
        loaded = get_registry().of_source(source)
        failed = next((failed for failed in get_registry().failures if failed.source == source), None)
        at = loaded.loaded_at if loaded is not None else failed.failed_at if failed is not None else None
        return at is not None and requested_at > at

    async def stop(self) -> None:
        """Cancel reloads, and wait for connections of models that are being closed."""
        for task in self._reloads:
            task.cancel()
        await asyncio.gather(*self._reloads, *self._closings, return_exceptions=True)

    async def _reload(self, source: str, requested_at: datetime) -> None:
        async with self._one_at_a_time:
            before, now = get_registry().of_source(source), datetime.now(UTC)
            try:
                agent = await self._load(source)
            except AgentFileError as error:
                await self._failed(FailedAgent(source=source, error=error, failed_at=now), before)
                return
            if before is None:
                loaded = LoadedAgent(agent=agent, source=source, loaded_at=now)
            else:
                loaded = before.renewed(agent, now)
            get_registry().add(loaded)
        logger.info("Reloaded the agent %s from %s.", loaded.name, source)
        if before is not None:
            self._old.append(before)
            self._runner.when_unused(before.agent, partial(self._release, before))
        await in_thread_patiently(note_loaded, loaded, answers=requested_at)
        await in_thread_patiently(note_default, get_registry())

    async def _load(self, source: str) -> Agent:
        registry = get_registry()
        others = [loaded.source for loaded in registry if loaded.source != source]
        call = partial(reload_agent, source, others=others, accept=partial(registry.check, source=source))
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                return await self._pool.run(call, label=f"Loading {source}")
        except TimeoutError:
            raise AgentLoadsTooLong(source) from None

    async def _failed(self, failed: FailedAgent, before: LoadedAgent | None) -> None:
        if before is None:
            get_registry().add_failure(failed)
        logger.error("The agent in %s cannot be reloaded: %s", failed.source, failed.error)
        logger.debug("This is where it failed.", exc_info=failed.error)
        await in_thread_patiently(note_failed, failed, goes_on=before is not None)

    def _release(self, old: LoadedAgent) -> None:
        """Nothing uses the old version any more: end its tools' threads and close its model's connections."""
        self._old.remove(old)
        in_use = [*get_registry(), *self._old]
        if not any((other.name, other.version) == (old.name, old.version) for other in in_use):
            self._tool_runner.end(old.name, old.version)
        if not any(other.agent.llm is old.agent.llm for other in in_use):
            _own(self._closings, close_models([old.agent], self._config))


def _own(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(partial(_done, tasks))


def _done(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
    tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("A task of a reload failed.", exc_info=error)
