"""When an agent is loaded again, and what happens to the old version; whole reloads: `tests/server/test_reload.py`."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from agents.conf import Config
from agents.loading.agent_file_errors import AgentFileMissing
from agents.loading.registry import FailedAgent, LoadedAgent, Registry, set_registry
from myagent import create_react_agent, tool
from sessions_app.upkeep import reloader as module
from sessions_app.upkeep.reloader import Reloader
from tests.support.patience import WAIT_SECONDS

NOW = datetime.now(UTC)
LATER, LATEST = NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)


@tool
def dice() -> str:
    """Throw dice."""
    return "6"


class Model:
    """Counts how often it was closed."""

    def __init__(self):
        self.model, self.closed = "m", 0

    def stream(self, messages, tools=()):
        raise AssertionError("nobody asks it")

    async def aclose(self):
        self.closed += 1


class Runner:
    """Says that agents are unused when the test says so."""

    def __init__(self):
        self.waiting = []

    def when_unused(self, agent, then):
        self.waiting.append((agent, then))

    def end_all(self):
        for _, then in self.waiting:
            then()
        self.waiting.clear()


class ToolRunner:
    def __init__(self):
        self.ended = []

    def end(self, name, version):
        self.ended.append((name, version))


def make_agent(name="a", **options):
    return create_react_agent(name=name, **options)


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def registry(model):
    """`a` is loaded and `broken.py` could not be."""
    loaded = LoadedAgent(agent=make_agent(llm=model), source="a.py", loaded_at=NOW)
    registry = Registry([loaded])
    registry.add_failure(FailedAgent(source="broken.py", error=AgentFileMissing("broken.py"), failed_at=NOW))
    before = set_registry(registry)
    yield registry
    set_registry(before)


@pytest.fixture
def noted(monkeypatch):
    """What was written to the database; `requests` is what is read there, `load` what loading gives."""
    noted = {"requests": {}, "loaded": [], "failed": [], "load": lambda source: make_agent()}

    async def in_thread(function, *args, **options):
        await asyncio.sleep(0)
        return function(*args, **options)

    monkeypatch.setattr(module, "in_thread", in_thread)
    monkeypatch.setattr(module, "in_thread_patiently", in_thread)
    monkeypatch.setattr(module, "learn_decisions", lambda registry: dict(noted["requests"]))
    monkeypatch.setattr(module, "note_loaded", lambda loaded, answers: noted["loaded"].append((loaded, answers)))
    monkeypatch.setattr(module, "note_failed", lambda failed, goes_on: noted["failed"].append((failed, goes_on)))
    monkeypatch.setattr(module, "note_default", lambda registry: None)
    monkeypatch.setattr(module, "reload_agent", lambda source, **options: noted["load"](source))
    return noted


@pytest.fixture
def reloader():
    return Reloader(runner=Runner(), tool_runner=ToolRunner(), config=Config())


async def look(reloader):
    """Look, and wait for what was begun."""
    await reloader.check_reload_requests()
    await asyncio.gather(*reloader._reloads)


async def test_a_request_is_answered_once(reloader, registry, noted):
    noted["requests"] = {"a.py": NOW - timedelta(minutes=1)}  # from before it was loaded
    await look(reloader)
    assert noted["loaded"] == []
    noted["requests"] = {"a.py": LATER}
    for _ in range(2):
        await look(reloader)
    ((loaded, answers),) = noted["loaded"]
    assert (registry.get("a"), loaded.version, answers) == (loaded, 2, LATER)
    noted["requests"] = {"a.py": LATEST}
    await look(reloader)
    assert registry.get("a").version == 3


async def test_the_clock_of_another_machine_may_be_slow(reloader, registry, noted):
    for at in (LATEST, LATER):
        noted["requests"] = {"a.py": at}
        await look(reloader)
    assert registry.get("a").version == 3


async def test_the_old_version_goes_with_its_last_run(reloader, registry, noted, model):
    noted["requests"] = {"a.py": LATER}
    await look(reloader)
    assert (reloader._tool_runner.ended, model.closed) == ([], 0)
    reloader._runner.end_all()
    await reloader.stop()
    assert (reloader._tool_runner.ended, model.closed) == ([("a", 1)], 1)


async def test_what_the_new_version_shares_with_the_old_one_stays(reloader, registry, noted, model):
    """A client that a tool keeps open belongs to the loop on which the tool has run."""
    registry.add(LoadedAgent(agent=make_agent(llm=model, tools=[dice]), source="a.py", loaded_at=NOW))
    noted["load"] = lambda source: make_agent(llm=model, tools=[dice], description="new")
    noted["requests"] = {"a.py": LATER}
    await look(reloader)
    reloader._runner.end_all()
    await reloader.stop()
    assert (registry.get("a").agent.description, registry.get("a").version) == ("new", 1)
    assert (reloader._tool_runner.ended, model.closed) == ([], 0)


async def test_of_three_versions_none_takes_the_model_from_the_others(reloader, registry, noted, model):
    noted["load"] = lambda source: make_agent(llm=model)
    noted["requests"] = {"a.py": LATER}
    await look(reloader)
    noted["load"] = lambda source: make_agent()
    noted["requests"] = {"a.py": LATEST}
    await look(reloader)
    first, second = reloader._runner.waiting
    first[1]()
    await reloader.stop()
    assert model.closed == 0
    second[1]()
    await reloader.stop()
    assert (reloader._tool_runner.ended, model.closed) == ([("a", 1), ("a", 2)], 1)


async def test_what_failed_at_the_start_is_tried_again(reloader, registry, noted):
    noted["requests"] = {"broken.py": LATER}
    noted["load"] = fails
    await look(reloader)
    ((failed, goes_on),) = noted["failed"]
    assert (failed.source, goes_on, registry.failures) == ("broken.py", False, (failed,))
    noted["load"] = lambda source: make_agent("mended")
    noted["requests"] = {"broken.py": LATEST}
    await look(reloader)
    assert (registry.names, registry.failures) == (("a", "mended"), ())


def fails(source):
    raise AgentFileMissing(source)


async def test_what_does_not_come_to_an_end_is_told_and_holds_up_nothing(reloader, registry, noted, monkeypatch):
    opened = threading.Event()
    monkeypatch.setattr(module, "LOAD_SECONDS", 0.05)
    noted["load"] = lambda source: opened.wait(60)
    noted["requests"] = {"a.py": LATER}
    before = registry.get("a")
    try:
        await look(reloader)
        ((failed, goes_on),) = noted["failed"]
        assert (failed.error.code, goes_on, registry.get("a")) == ("agent_loads_too_long", True, before)
        monkeypatch.setattr(module, "LOAD_SECONDS", 60.0)
        noted["load"] = lambda source: make_agent()
        noted["requests"] = {"a.py": LATEST}
        await look(reloader)
        assert registry.get("a").version == 2
    finally:
        opened.set()


async def test_a_stop_waits_for_no_agent_file(reloader, registry, noted):
    opened = threading.Event()
    noted["load"] = lambda source: opened.wait(60)
    noted["requests"] = {"a.py": LATER}
    try:
        await reloader.check_reload_requests()
        async with asyncio.timeout(WAIT_SECONDS):
            await reloader.stop()
    finally:
        opened.set()
