"""The agents of this process, by name."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agents.loading.agent_file_errors import (
    AgentFileError,
    AgentNameInvalid,
    AgentRenamed,
    AgentVariableMissing,
    DuplicateAgent,
    FolderWithoutAgents,
    NoAgentLoaded,
)
from agents.loading.loader import is_module_name, load_agent
from agents.loading.sources import agent_files, is_folder
from myagent.agent import Agent
from myagent.loop.run_limits import NO_CEILINGS, Ceilings

logger = logging.getLogger("myagent.agents")

_NAME = re.compile(r"[^\W_][\w.-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class LoadedAgent:
    """An agent, the file or module it came from as the operator named it, and when that was read (UTC).

    `version` counts the reloads in this process that brought tools of their own.
    """

    agent: Agent
    source: str
    loaded_at: datetime
    version: int = 1

    @property
    def name(self) -> str:
        """The agent's name."""
        return self.agent.name

    @property
    def repeatable(self) -> frozenset[str] | None:
        """The tools that may run again when it is unknown whether they did; None where each run chooses its tools."""
        tools = self.agent.tools
        return None if tools.function is not None else frozenset(tool.name for tool in tools if tool.idempotent)

    def renewed(self, agent: Agent, loaded_at: datetime) -> LoadedAgent:
        """What takes this one's place.

        It is the same version where they share a tool: clients that a tool keeps open belong to the version's loop.
        """
        mine = {id(tool) for tool in self.agent.tools}
        shared = any(id(tool) in mine for tool in agent.tools)
        version = self.version if shared else self.version + 1
        return LoadedAgent(agent=agent, source=self.source, loaded_at=loaded_at, version=version)


@dataclass(frozen=True, kw_only=True)
class FailedAgent:
    """A file, folder or module that could not be loaded, why, and when that was tried (UTC)."""

    source: str
    error: AgentFileError
    failed_at: datetime


@dataclass(frozen=True, kw_only=True)
class AgentLimits:
    """What an operator allows an agent; None is no limit. `max_runs` counts all processes together."""

    max_runs: int | None = None
    of_run: Ceilings = NO_CEILINGS


_NO_LIMITS = AgentLimits()


class Registry:
    """Agents in the order they were given; the first is the default.

    An agent that an operator switched off stays here and is not `available`.
    """

    def __init__(self, loaded: Iterable[LoadedAgent] = ()) -> None:
        self._agents: dict[str, LoadedAgent] = {}
        self._failures: dict[str, FailedAgent] = {}
        self._order: list[str] = []
        self._disabled: frozenset[str] = frozenset()
        self._limits: Mapping[str, AgentLimits] = {}
        for item in loaded:
            self.add(item)

    @classmethod
    def from_sources(cls, sources: Iterable[str], *, may_be_empty: bool = False) -> Registry:
        """Load files, the agent files in folders, and modules. What fails is among the `failures`.

        Raises `AgentFileError` when nothing is left to be served, unless it `may_be_empty`.
        """
        registry = cls()
        for source in sources:
            if is_folder(source):
                registry._load_folder(source)
            else:
                registry._load(source)
        errors = [failed.error for failed in registry.failures]
        if errors and not registry and not may_be_empty:
            raise errors[0] if len(errors) == 1 else NoAgentLoaded(errors)
        for error in errors:
            logger.debug("%s is not served.", error.file, exc_info=error)
        return registry

    def _load_folder(self, folder: str) -> None:
        try:
            files = agent_files(folder)
        except AgentFileError as error:
            self.add_failure(FailedAgent(source=folder, error=error, failed_at=datetime.now(UTC)))
            return
        known = {_path(source) for source in self._order}
        for file in files:
            # One that was named before the folder, to be the default, is not loaded twice.
            if _path(file) not in known:
                self._load(file, is_named=False)
        if not any(file in self._order or _path(file) in known for file in files):
            self.add_failure(FailedAgent(source=folder, error=FolderWithoutAgents(folder), failed_at=datetime.now(UTC)))

    def _load(self, source: str, *, is_named: bool = True) -> None:
        now = datetime.now(UTC)
        try:
            self.add(LoadedAgent(agent=load_agent(source), source=source, loaded_at=now))
        except AgentFileError as error:
            if is_named or not isinstance(error, AgentVariableMissing):
                self.add_failure(FailedAgent(source=source, error=error, failed_at=now))
            else:
                logger.debug("%s defines no 'agent' after all and is skipped.", source)

    # --- what is served ---

    def add(self, loaded: LoadedAgent) -> LoadedAgent | None:
        """Serve `loaded`, in place of what its source gave before; returns that. Raises what `check` does."""
        self.check(loaded.agent, loaded.source)
        before = self.of_source(loaded.source)
        self._remember(loaded.source)
        self._failures.pop(loaded.source, None)
        agents = [*(item for item in self if item is not before), loaded]
        agents.sort(key=lambda item: self._order.index(item.source))
        self._agents = {item.name: item for item in agents}
        return before

    def check(self, agent: Agent, source: str) -> None:
        """Whether `agent` may be served as what `source` gives.

        Raises `AgentNameInvalid`, `DuplicateAgent`, `AgentRenamed`.
        """
        if not _NAME.fullmatch(agent.name) or ".." in agent.name:
            raise AgentNameInvalid(agent.name, file=source)
        before = self.of_source(source)
        if (other := self._agents.get(agent.name)) is not None and other is not before:
            raise DuplicateAgent(agent.name, other.source, source)
        if before is not None and before.name != agent.name:
            raise AgentRenamed(source, before.name, agent.name)

    def add_failure(self, failed: FailedAgent) -> None:
        """Remember that a source could not be loaded."""
        self._remember(failed.source)
        self._failures[failed.source] = failed

    def _remember(self, source: str) -> None:
        if source not in self._order:
            self._order.append(source)

    def get(self, name: str) -> LoadedAgent | None:
        """The agent of that name, switched off or not."""
        return self._agents.get(name)

    def available(self, name: str) -> LoadedAgent | None:
        """The agent of that name, unless it is switched off."""
        return None if name in self._disabled else self._agents.get(name)

    def of_source(self, source: str) -> LoadedAgent | None:
        """The agent that came from this source, as the operator named it."""
        return next((loaded for loaded in self if loaded.source == source), None)

    @property
    def default(self) -> LoadedAgent | None:
        """The first agent, switched off or not; None when there is none at all."""
        return next(iter(self._agents.values()), None)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the available agents, the default one first."""
        return tuple(name for name in self._agents if name not in self._disabled)

    def usable(self, allows: Callable[[str], bool]) -> list[LoadedAgent]:
        """The available agents whose names are allowed, in the same order."""
        return [loaded for name in self.names if allows(name) and (loaded := self.get(name)) is not None]

    @property
    def all_names(self) -> tuple[str, ...]:
        """The names of all agents, the default one first, and those that are switched off where they were given."""
        return tuple(self._agents)

    @property
    def failures(self) -> tuple[FailedAgent, ...]:
        """What could not be loaded, as it was given."""
        return tuple(sorted(self._failures.values(), key=lambda failed: self._order.index(failed.source)))

    # --- what operators decided ---

    def set_disabled(self, names: Iterable[str]) -> None:
        """Say which agents are switched off; all others are available."""
        self._disabled = frozenset(names)

    def set_limits(self, limits: Mapping[str, AgentLimits]) -> None:
        """Say what agents are limited to, by name; all others are not."""
        self._limits = limits

    def limits(self, name: str) -> AgentLimits:
        """What the agent of that name is limited to."""
        return self._limits.get(name, _NO_LIMITS)

    def __iter__(self) -> Iterator[LoadedAgent]:
        return iter(tuple(self._agents.values()))

    def __len__(self) -> int:
        return len(self._agents)


def _path(source: str) -> Path | None:
    """The file that a source is; None for modules."""
    return None if is_module_name(source) else Path(source).expanduser().resolve()


_registry = Registry()


def get_registry() -> Registry:
    """The agents of this process."""
    return _registry


def set_registry(registry: Registry) -> Registry:
    """Replace the agents of this process; returns those before."""
    global _registry
    before, _registry = _registry, registry
    return before
