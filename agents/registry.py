"""The agents of this process, by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from agents.exceptions import AgentNameInvalid, DuplicateAgent
from agents.loading import load_agent
from myagent.agent import Agent

_NAME = re.compile(r"[^\W_][\w.-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class LoadedAgent:
    """An agent, the file or module it came from as the operator named it, and when it was loaded (UTC)."""

    agent: Agent
    source: str
    loaded_at: datetime

    @property
    def name(self) -> str:
        """The agent's name."""
        return self.agent.name


class Registry:
    """Agents in the order they were given; the first is the default.

    An agent that an operator switched off stays here and is not `available`.
    """

    def __init__(self, loaded: Iterable[LoadedAgent] = ()) -> None:
        self._agents: dict[str, LoadedAgent] = {}
        self._disabled: frozenset[str] = frozenset()
        for item in loaded:
            self.add(item)

    @classmethod
    def from_sources(cls, sources: Iterable[str]) -> Registry:
        """Load files and modules. Raises `AgentFileError`."""
        registry = cls()
        for source in sources:
            registry.add(LoadedAgent(agent=load_agent(source), source=source, loaded_at=datetime.now(UTC)))
        return registry

    def add(self, loaded: LoadedAgent) -> None:
        """Serve one more agent. Raises `AgentNameInvalid`, `DuplicateAgent`."""
        if not _NAME.fullmatch(loaded.name) or ".." in loaded.name:
            raise AgentNameInvalid(loaded.name, file=loaded.source)
        if (other := self._agents.get(loaded.name)) is not None:
            raise DuplicateAgent(loaded.name, other.source, loaded.source)
        self._agents[loaded.name] = loaded

    def get(self, name: str) -> LoadedAgent | None:
        """The agent of that name, switched off or not."""
        return self._agents.get(name)

    def available(self, name: str) -> LoadedAgent | None:
        """The agent of that name, unless it is switched off."""
        return None if name in self._disabled else self._agents.get(name)

    @property
    def default(self) -> LoadedAgent | None:
        """The first agent, switched off or not; None when there is none at all."""
        return next(iter(self._agents.values()), None)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the available agents, the default one first."""
        return tuple(name for name in self._agents if name not in self._disabled)

    def set_disabled(self, names: Iterable[str]) -> None:
        """Say which agents are switched off; all others are available."""
        self._disabled = frozenset(names)

    def __iter__(self) -> Iterator[LoadedAgent]:
        return iter(self._agents.values())

    def __len__(self) -> int:
        return len(self._agents)


_registry = Registry()


def get_registry() -> Registry:
    """The agents of this process."""
    return _registry


def set_registry(registry: Registry) -> Registry:
    """Replace the agents of this process; returns those before."""
    global _registry
    before, _registry = _registry, registry
    return before
