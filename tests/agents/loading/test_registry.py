"""The agents of a process, and what the database learns of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agents.loading.agent_file_errors import (
    AgentFileMissing,
    AgentImportFailed,
    AgentNameInvalid,
    AgentRenamed,
    DuplicateAgent,
    FolderWithoutAgents,
    NoAgentLoaded,
)
from agents.loading.agent_folders import folders
from agents.loading.hosted_rows import learn_decisions, note_failed, note_loaded, sync_hosted_agents
from agents.loading.registry import AgentLimits, FailedAgent, LoadedAgent, Registry, get_registry, set_registry
from agents.models import HostedAgent
from myagent import create_react_agent, i18n, tool
from myagent.loop.run_limits import Ceilings


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


def loaded(name, source=None, **options):
    agent = create_react_agent(name=name, **options)
    return LoadedAgent(agent=agent, source=source or f"{name}.py", loaded_at=datetime.now(UTC))


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


# --- from files -------------------------------------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path):
    """Write an agent file; returns its path as text."""

    def writer(file, name=None, text=""):
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        made = f"from myagent import create_react_agent\nagent = create_react_agent(name={name!r})\n" if name else ""
        path.write_text(made + text)
        return str(path)

    yield writer
    folders.forget()


def test_agents_are_loaded_from_files(write):
    path = write("registry_agent.py", "from-file")
    registry = Registry.from_sources([path])
    assert registry.names == ("from-file",)
    assert registry.default is not None
    assert registry.default.source == path
    assert registry.default.loaded_at.tzinfo is not None


def test_what_is_broken_does_not_stop_the_others(write):
    files = [write("r_one.py", text="1 / 0"), write("r_two.py", "two"), "nowhere.py", write("r_three.py", "two")]
    registry = Registry.from_sources(files)
    assert registry.names == ("two",)
    assert [(failed.source, type(failed.error)) for failed in registry.failures] == [
        (files[0], AgentImportFailed),
        ("nowhere.py", AgentFileMissing),
        (files[3], DuplicateAgent),
    ]


def test_when_nothing_is_left_all_that_is_wrong_is_told(write):
    with pytest.raises(AgentFileMissing):
        Registry.from_sources(["nowhere.py"])
    with pytest.raises(NoAgentLoaded) as caught:
        Registry.from_sources(["nowhere.py", write("r_zero.py", text="1 / 0")])
    assert "nowhere.py" in str(caught.value)
    assert "ZeroDivisionError" in str(caught.value)


def test_a_file_named_before_its_folder_is_the_default_and_is_loaded_once(write, tmp_path):
    write("r_folder/r_a.py", "a")
    first = write("r_folder/r_b.py", "b")
    registry = Registry.from_sources([first, str(tmp_path / "r_folder")])
    assert (registry.names, registry.failures) == (("b", "a"), ())


def test_what_only_seems_to_define_an_agent_is_skipped_in_a_folder(write, tmp_path):
    write("r_seems/r_tool.py", text="if __name__ == '__main__':\n    agent = 1\n")
    with pytest.raises(FolderWithoutAgents):
        Registry.from_sources([str(tmp_path / "r_seems")])
    write("r_seems/r_real.py", "real")
    registry = Registry.from_sources([str(tmp_path / "r_seems")])
    assert (registry.names, registry.failures) == (("real",), ())


# --- in place of what was there ---------------------------------------------------------------------------------------


def failure(source):
    return FailedAgent(source=source, error=AgentFileMissing(source), failed_at=datetime.now(UTC))


def test_a_newer_version_takes_the_place_of_the_old_one():
    old, other, new = loaded("a"), loaded("b"), loaded("a")
    registry = Registry([old, other])
    assert registry.add(new) is old
    assert list(registry) == [new, other]


def test_what_failed_first_and_is_mended_is_the_default_after_all():
    registry = Registry()
    registry.add_failure(failure("first.py"))
    registry.add(loaded("b"))
    assert registry.default.name == "b"
    assert registry.add(loaded("a", "first.py")) is None
    assert (registry.names, registry.failures) == (("a", "b"), ())


def test_a_newer_version_has_the_name_of_the_old_one_and_nobody_elses():
    registry = Registry([loaded("a"), loaded("b")])
    with pytest.raises(AgentRenamed):
        registry.add(loaded("c", "a.py"))
    with pytest.raises(DuplicateAgent):
        registry.add(loaded("b", "a.py"))
    assert registry.names == ("a", "b")


# --- in the database --------------------------------------------------------------------------------------------------


@pytest.mark.database
@pytest.mark.django_db
def test_the_database_learns_what_is_served():
    registry = Registry([loaded("a", "one.py", description="Does things", tools=[dice])])
    sync_hosted_agents(registry)
    row = HostedAgent.objects.get(name="a")
    assert (row.source, row.description, row.enabled) == ("one.py", "Does things", True)
    (described,) = row.tools
    assert (described["name"], described["description"]) == ("dice", "Throw dice.")
    assert described["parameters"]["properties"] == {"sides": {"type": "integer"}}
    assert row.loaded_at is not None


@pytest.mark.database
@pytest.mark.django_db
def test_the_model_is_named_also_when_the_environment_chooses_it(monkeypatch):
    monkeypatch.setenv("LLM_MODEL", "some-model")
    sync_hosted_agents(Registry([loaded("a")]))
    assert HostedAgent.objects.get(name="a").model == "some-model"


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
        learn_decisions(registry)
    assert registry.names == ()


@pytest.mark.database
@pytest.mark.django_db
def test_limits_and_requests_are_learnt_as_well():
    registry = Registry([loaded("a"), loaded("b")])
    registry.add_failure(failure("broken.py"))
    sync_hosted_agents(registry)
    assert (registry.limits("a"), learn_decisions(registry)) == (AgentLimits(), {})
    HostedAgent.objects.filter(name="a").update(max_runs=2, max_steps=7, max_tokens=900)
    assert HostedAgent.objects.exclude(name="b").request_reload() == 2
    requests = learn_decisions(registry)
    assert registry.limits("a") == AgentLimits(max_runs=2, of_run=Ceilings(max_steps=7, max_tokens=900))
    assert requests.keys() == {"a.py", "broken.py"}


@pytest.mark.database
@pytest.mark.django_db
def test_what_never_could_be_loaded_has_a_row_that_gets_the_name_when_it_can():
    registry = Registry([loaded("broken.py", "elsewhere.py"), loaded("good")])
    registry.add_failure(failure("bots/broken.py"))
    registry.add_failure(failure("bots.broken"))
    for _ in range(2):
        sync_hosted_agents(registry)
    rows = {row.source: row for row in HostedAgent.objects.exclude(error="")}
    assert {source: row.name for source, row in rows.items()} == {
        "bots/broken.py": "broken.py (2)",
        "bots.broken": "bots.broken",
    }
    assert {row.state for row in rows.values()} == {HostedAgent.State.FAILED}
    HostedAgent.objects.filter(source="bots/broken.py").update(enabled=False)
    note_loaded(loaded("mended", "bots/broken.py"))
    note_loaded(loaded("good", "bots.broken"))
    mended = HostedAgent.objects.get(name="mended")
    assert (mended.pk, mended.enabled, mended.error) == (rows["bots/broken.py"].pk, False, "")
    assert sorted(HostedAgent.objects.values_list("name", flat=True)) == ["broken.py", "good", "mended"]


@pytest.mark.database
@pytest.mark.django_db
def test_what_was_served_and_is_broken_keeps_its_row():
    registry = Registry([loaded("a")])
    sync_hosted_agents(registry)
    note_failed(failure("a.py"), goes_on=True)
    row = HostedAgent.objects.get()
    assert (row.name, row.state, row.loaded_at) == ("a", "failed", registry.default.loaded_at)
    assert "Agent file not found: a.py" in row.error
    assert row.error.endswith("The version loaded before stays in use.")


@pytest.mark.database
@pytest.mark.django_db
def test_a_row_that_was_deleted_comes_back_switched_off(caplog):
    """What had been decided went with it: perhaps who may use the agent, or that nobody may."""
    registry = Registry([loaded("a"), loaded("b")])
    sync_hosted_agents(registry)
    assert caplog.text == ""
    HostedAgent.objects.filter(name="a").delete()
    learn_decisions(registry)
    row = HostedAgent.objects.get(name="a")
    assert (row.source, row.enabled, registry.names) == ("a.py", False, ("b",))
    assert "manage.py agents enable a" in caplog.text
    caplog.clear()
    learn_decisions(registry)
    sync_hosted_agents(Registry([loaded("a"), loaded("b")]))
    assert (HostedAgent.objects.get(name="a").enabled, caplog.text) == (False, "")
    HostedAgent.objects.update(enabled=True)
    learn_decisions(registry)
    assert registry.names == ("a", "b")


@pytest.mark.database
@pytest.mark.django_db
def test_a_row_that_was_deleted_during_a_reload_comes_back_switched_off(caplog):
    note_loaded(loaded("a"), answers=datetime.now(UTC))
    note_failed(failure("broken.py"))
    assert dict(HostedAgent.objects.values_list("name", "enabled")) == {"a": False, "broken.py": False}
    assert "agents enable a" in caplog.text and "agents enable broken.py" in caplog.text


@pytest.mark.database
@pytest.mark.django_db
def test_what_was_mended_is_not_taken_for_deleted(caplog):
    registry = Registry([loaded("good")])
    registry.add_failure(failure("broken.py"))
    sync_hosted_agents(registry)
    registry.add(loaded("mended", "broken.py"))  # and is not noted yet
    learn_decisions(registry)
    assert (registry.names, HostedAgent.objects.get(name="mended").enabled) == (("good", "mended"), True)
    assert caplog.text == ""


@pytest.mark.database
@pytest.mark.django_db
def test_of_two_processes_the_one_that_fails_is_heard():
    request = datetime.now(UTC)
    registry = Registry([loaded("a")])
    sync_hosted_agents(registry)
    note_failed(failure("a.py"))
    note_loaded(loaded("a"), answers=request)
    assert HostedAgent.objects.get().error != ""
    note_loaded(loaded("a"), answers=datetime.now(UTC))
    assert HostedAgent.objects.get().error == ""


@pytest.mark.database
@pytest.mark.django_db
def test_the_default_is_known_of_each_server():
    here, there = Registry([loaded("a"), loaded("b")]), Registry([loaded("c"), loaded("d")])
    for registry in (here, there):
        sync_hosted_agents(registry)
    assert set(HostedAgent.objects.filter(is_default=True).values_list("name", flat=True)) == {"a", "c"}
    sync_hosted_agents(Registry([loaded("b"), loaded("a")]))
    assert set(HostedAgent.objects.filter(is_default=True).values_list("name", flat=True)) == {"b", "c"}


@pytest.mark.database
@pytest.mark.django_db
def test_what_no_database_can_hold_is_stored_all_the_same():
    registry = Registry([loaded("a", "x" * 2_000 + "\0", description="bad \0 text")])
    registry.add_failure(failure("y" * 2_000 + "\udcff.py"))
    for _ in range(2):
        sync_hosted_agents(registry)
    assert HostedAgent.objects.count() == 2
    HostedAgent.objects.all().request_reload()
    assert len(learn_decisions(registry)) == 2
