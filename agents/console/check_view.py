"""A report on agent files, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from agents.conf import Config
from agents.console.agent_terms import terms_in_words
from agents.console.check_report import Report
from agents.loading.model_choice import missing_setting, model_name
from agents.loading.registry import LoadedAgent
from myagent.i18n import gettext as _
from myagent.inspection.finding import Finding, Severity
from myagent.tool.base_tool import BaseTool, asks

_MARKS = {Severity.ERROR: ("❌ ", "red"), Severity.WARNING: ("⚠️  ", "yellow")}
_SHOWN_VALUES = 8


def show(report: Report, config: Config, console: Console) -> None:
    """Print the agents with their tools, then what is wrong, then the sum."""
    for loaded in report.agents:
        console.print(_agent(loaded, config))
        console.print()
    for finding in report.findings:
        console.print(_finding(finding), soft_wrap=True)
    for note in dict.fromkeys(missing_setting(loaded.agent, config) for loaded in report.agents):
        if note:
            console.print(Text(f"ℹ️  {note}", style="dim"), soft_wrap=True)
    console.print(_sum(report), soft_wrap=True)


def _agent(loaded: LoadedAgent, config: Config) -> RenderableType:
    agent = loaded.agent
    tree = Tree(Text.assemble((agent.name, "bold"), f"  ({loaded.source})"), guide_style="dim")
    if agent.description:
        tree.add(Text(agent.description))
    tree.add(Text(_("model: %(model)s") % {"model": model_name(agent, config)}, style="dim"))
    for line in terms_in_words(agent, config):
        tree.add(Text(line, style="dim"))
    for tool in agent.tools:
        tree.add(_tool(tool))
    if agent.tools.function is not None:
        tree.add(Text(_("The tools are chosen by each run, so they are not checked."), style="dim"))
    elif not len(agent.tools):
        tree.add(Text(_("no tools"), style="dim"))
    return tree


def _tool(tool: BaseTool) -> RenderableType:
    function = tool.schema()["function"]
    lines: list[RenderableType] = [
        Text.assemble((tool.name, "bold cyan"), (f"  {' · '.join(_ways(tool))}", "dim")),
    ]
    if function["description"]:
        lines.append(Text(function["description"]))
    if function["parameters"].get("properties"):
        lines.append(Padding(_parameters(function["parameters"]), (0, 0, 0, 2)))
    return Group(*lines)


def _ways(tool: BaseTool) -> Iterator[str]:
    yield _("async") if tool.is_async else _("in a thread")
    yield _("%(seconds)g s") % {"seconds": tool.timeout} if tool.timeout is not None else _("no time limit")
    if (settled := asks(tool)) is None:
        yield _("may ask first")
    elif settled:
        yield _("asks first")


def _parameters(schema: Mapping[str, Any]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    required = schema.get("required", ())
    for name, about in schema["properties"].items():
        about = about if isinstance(about, Mapping) else {}
        needed = _("required") if name in required else _("optional")
        # Text, because brackets in what authors write are no markup.
        table.add_row(
            Text(name, style="cyan"), Text(kind_of(about, schema)), Text(needed), Text(about.get("description", ""))
        )
    return table


def kind_of(about: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """What a parameter takes, for people: its type or its values."""
    if isinstance(reference := about.get("$ref"), str):
        name = reference.rpartition("/")[2]
        target = root.get("$defs", {}).get(name)
        return kind_of(target, root) if isinstance(target, Mapping) and "enum" in target else name
    if "enum" in about or "const" in about:
        return _values(about["enum"] if "enum" in about else [about["const"]])
    if choices := about.get("anyOf") or about.get("oneOf"):
        return " | ".join(kind_of(choice, root) for choice in choices if isinstance(choice, Mapping))
    kind = about.get("type", "")
    if kind == "array" and isinstance(about.get("items"), Mapping):
        return _("list of %(kind)s") % {"kind": kind_of(about["items"], root) or "?"}
    return " | ".join(kind) if isinstance(kind, list) else str(kind)


def _values(values: Iterable[Any]) -> str:
    shown = [str(value) for value in values]
    more = ["…"] if len(shown) > _SHOWN_VALUES else []
    return " | ".join(shown[:_SHOWN_VALUES] + more)


def _finding(finding: Finding) -> Text:
    mark, style = _MARKS[finding.severity]
    place = f"{finding.place}: " if finding.agent else ""  # a file that cannot be loaded is in the sentence
    # A syntax error comes with its line below.
    problem, *more = finding.problem.splitlines()
    lines = [Text.assemble(mark, (place, "bold"), (problem, style), (f"  [{finding.code}]", "dim")), *map(Text, more)]
    if finding.cure:
        lines.append(Text(f"   {finding.cure}"))
    return Text("\n").join(lines)


def _sum(report: Report) -> Text:
    counts = {
        "agents": len(report.agents),
        "tools": sum(len(loaded.agent.tools) for loaded in report.agents),
        "errors": report.count(Severity.ERROR),
        "warnings": report.count(Severity.WARNING),
    }
    words = _("Agents: %(agents)d · tools: %(tools)d · errors: %(errors)d · warnings: %(warnings)d") % counts
    mark = "❌" if counts["errors"] else "⚠️ " if counts["warnings"] else "✅"
    return Text(f"{mark} {words}", style="bold")
