"""The agents of a process, and what the database learns of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agents.exceptions import AgentNameInvalid, DuplicateAgent
from agents.hosted import refresh_disabled, sync_hosted_agents
from agents.models import HostedAgent
from agents.registry import LoadedAgent, Registry, get_registry, set_registry
from myagent import create_react_agent, i18n, tool


@pytest.fixture(autouse=True)
def english():
    language = i18n._language
    i18n.use_language("en")
    yield
    i18n.use_language(language)


@tool
def dice(sides: int) -> int:
    """Throw dice."""
    return sides


def loaded(name, source="agent.py", **options):
    return LoadedAgent(agent=create_react_agent(name=name, **options), source=source, loaded_at=datetime.now(UTC))


def test_the_first_agent_is_the_default():
    registry = Registry([loaded("b"), loaded("a")])
    assert registry.default is not None
    assert registry.default.name == "b"
    assert registry.names == ("b", "a")
    assert len(registry) == 2


def test_an_empty_registry_has_no_default():
    assert Registry().default is None


def test_unknown_names_are_none():
    registry = Registry([loaded("a")])
    assert registry.get("x") is None
    assert registry.available("x") is None


def test_two_agents_of_one_name_are_refused_with_both_files():
    registry = Registry([loaded("a", "one.py")])
    with pytest.raises(DuplicateAgent) as caught:
        registry.add(loaded("a", "two.py"))
    assert caught.value.files == ("one.py", "two.py")
    assert "one.py" in str(caught.value)
    assert "two.py" in str(caught.value)


@pytest.mark.parametrize("name", ["a", "hello-assistant", "v1.2", "天气助手", "A_b", "9lives", "x" * 64])
def test_good_names(name):
    assert Registry([loaded(name)]).get(name) is not None


@pytest.mark.parametrize(
    "name", ["a b", "a/b", ".", "..", ".hidden", "-x", "a..b", "x" * 65, "a?b", "a%2f", "_x", "a\n"]
)
def test_names_that_no_url_can_hold(name):
    with pytest.raises(AgentNameInvalid):
        Registry([loaded(name)])


def test_a_disabled_agent_stays_but_is_not_available():
    registry = Registry([loaded("a"), loaded("b")])
    registry.set_disabled(["a", "elsewhere"])
    assert registry.available("a") is None
    assert registry.get("a") is not None
    assert registry.names == ("b",)
    registry.set_disabled([])
    assert registry.names == ("a", "b")


def test_the_registry_of_the_process_can_be_replaced():
    registry = Registry()
    before = set_registry(registry)
    try:
        assert get_registry() is registry
    finally:
        set_registry(before)


def test_agents_are_loaded_from_files(tmp_path):
    from agents.module_names import folders

    path = tmp_path / "registry_agent.py"
    path.write_text("from myagent import create_react_agent\nagent = create_react_agent(name='from-file')\n")
    try:
        registry = Registry.from_sources([str(path)])
    finally:
        folders.forget()
    assert registry.names == ("from-file",)
    assert registry.default is not None
    assert registry.default.source == str(path)
    assert registry.default.loaded_at.tzinfo is not None


@pytest.mark.database
@pytest.mark.django_db
def test_the_database_learns_what_is_served():
    registry = Registry([loaded("a", "one.py", description="Does things", tools=[dice])])
    sync_hosted_agents(registry)
    row = HostedAgent.objects.get(name="a")
    assert (row.source, row.description, row.enabled) == ("one.py", "Does things", True)
    assert row.tools == [{"name": "dice", "description": "Throw dice."}]
    assert row.loaded_at is not None


@pytest.mark.database
@pytest.mark.django_db
def test_what_an_operator_decided_survives_the_next_start():
    registry = Registry([loaded("a"), loaded("b")])
    sync_hosted_agents(registry)
    HostedAgent.objects.filter(name="a").update(enabled=False, max_runs=3, error="old")
    again = Registry([loaded("a"), loaded("b")])
    sync_hosted_agents(again)
    row = HostedAgent.objects.get(name="a")
    assert (row.enabled, row.max_runs, row.error) == (False, 3, "")
    assert again.names == ("b",)


@pytest.mark.database
@pytest.mark.django_db
def test_switching_is_learnt_in_one_query(django_assert_num_queries):
    registry = Registry([loaded("a")])
    sync_hosted_agents(registry)
    HostedAgent.objects.update(enabled=False)
    with django_assert_num_queries(1):
        refresh_disabled(registry)
    assert registry.names == ()
