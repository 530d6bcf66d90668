"""What `myagent-ws check` says of an agent whose tools nobody can list beforehand."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from agents.conf import Config
from agents.console.banner import MANY, Banner
from agents.console.check_report import Report
from agents.console.check_view import show
from agents.loading.hosted_rows import tool_facts
from agents.loading.registry import LoadedAgent, Registry
from myagent import create_react_agent, tool

pytestmark = pytest.mark.usefixtures("in_english")


@tool(idempotent=True)
def look(city: str) -> str:
    """Looks."""
    return city


def loaded(name="chooser", tools=lambda run: [look]):
    return LoadedAgent(
        agent=create_react_agent(name=name, tools=tools), source=f"{name}.py", loaded_at=datetime.now(UTC)
    )


def test_the_check_says_that_they_are_not_checked():
    report, config = Report(agents=(loaded(), loaded("idle", [])), findings=()), Config(llm="demo")
    written = io.StringIO()
    show(report, config, Console(file=written, width=200))
    assert written.getvalue().count("The tools are chosen by each run, so they are not checked.") == 1
    assert written.getvalue().count("no tools") == 1
    chooser, idle = report.as_json(config)["agents"]
    assert (chooser["tools"], chooser["dynamic_tools"], idle["dynamic_tools"]) == ([], True, False)


@pytest.mark.parametrize("count", [1, MANY + 1])
def test_the_banner_says_who_chooses_them(tmp_path, count):
    registry = Registry([loaded(f"chooser-{number}") for number in range(count)])
    banner = Banner(
        registry=registry,
        config=Config(llm="demo", data_dir=tmp_path),
        host="localhost",
        port=8080,
        token=None,
        password=None,
    )
    said = "\n".join(row.value for row in banner._agents())
    assert said.count("chosen by each run") == count


def test_what_may_run_again_is_known_of_fixed_tools_alone():
    assert loaded().repeatable is None and loaded(tools=[look]).repeatable == {"look"}
    assert tool_facts(loaded().agent) == []
    assert loaded().renewed(loaded().agent, datetime.now(UTC)).version == 2
