"""Agent files looked at without serving them: what they define, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from agents.conf import Config
from agents.console.agent_terms import terms
from agents.loading.agent_file_errors import AgentFileError, NoAgentLoaded
from agents.loading.model_choice import model_name
from agents.loading.registry import LoadedAgent, Registry
from myagent.inspection.agent_checks import inspect_agent
from myagent.inspection.finding import Finding, Severity, place_of
from myagent.tool.base_tool import BaseTool, asks
from myagent.tool.source_location import SourceLocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The agents that could be loaded, and what was found in all the files."""

    agents: tuple[LoadedAgent, ...]
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """How many findings are of that severity."""
        return sum(finding.severity is severity for finding in self.findings)

    def passes(self, *, strict: bool) -> bool:
        """Whether nothing is wrong; with `strict` warnings count, too."""
        return not (self.findings if strict else self.count(Severity.ERROR))

    def as_json(self, config: Config) -> dict[str, Any]:
        """The report for programs."""
        return {
            "agents": [_agent(loaded, config) for loaded in self.agents],
            "findings": [finding.as_json() for finding in self.findings],
        }


NOTHING = Report(agents=(), findings=())
"""The report on no files."""


def check_sources(sources: Iterable[str], *, ignore: Collection[str] = ()) -> Report:
    """Load files, folders and modules, and look at what they define; warnings with the codes in `ignore` are left out.

    What cannot be loaded is a finding itself.
    """
    loaded: tuple[LoadedAgent, ...] = ()
    try:
        registry = Registry.from_sources(sources)
    except NoAgentLoaded as error:
        failures = error.errors
    except AgentFileError as error:
        failures = (error,)
    else:
        loaded = tuple(registry)
        failures = tuple(failed.error for failed in registry.failures)
    findings = [_failure(error) for error in failures]
    for item in loaded:
        findings += inspect_agent(item.agent, item.source)
    kept = [item for item in findings if item.severity is Severity.ERROR or item.code not in ignore]
    return Report(agents=loaded, findings=tuple(kept))


def _failure(error: AgentFileError) -> Finding:
    place = SourceLocation(error.file, error.line)
    return Finding(code=error.code, severity=Severity.ERROR, problem=error.problem, cure=error.cure, place=place)


def _agent(loaded: LoadedAgent, config: Config) -> dict[str, Any]:
    agent = loaded.agent
    return {
        "name": agent.name,
        "description": agent.description,
        "source": loaded.source,
        "model": model_name(agent, config),
        "system_prompt": None if callable(agent.system_prompt) else agent.system_prompt,
        **terms(agent, config),
        "tools": [_tool(tool) for tool in agent.tools],
        "dynamic_tools": agent.tools.function is not None,
    }


def _tool(tool: BaseTool) -> dict[str, Any]:
    place = place_of(tool)
    return {
        **tool.schema()["function"],
        "async": tool.is_async,
        "timeout": tool.timeout,
        "asks": "depends" if (settled := asks(tool)) is None else settled,
        "file": place.file,
        "line": place.line,
    }
