"""Agents in the admin: what is shown of them, what operators can do, and who may."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agents.access.agent_permissions import denied_to
from agents.loading.registry import LoadedAgent, Registry, set_registry
from agents.models import HostedAgent
from agents.models.budgets import Usage
from myagent import create_react_agent
from myagent.llm import Usage as Tokens
from sessions_app.models import Run
from tests.support.entries import database, new_session, post

pytestmark = database
EVIL = "<script>alert('evil')</script>"
LIST = reverse("admin:agents_hostedagent_changelist")


def page_of(agent):
    return reverse("admin:agents_hostedagent_change", args=[agent.pk])


def visitor(user):
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


@pytest.fixture
def boss():
    return visitor(User.objects.create_superuser("boss"))


def clerk(*permissions):
    """Somebody of the staff with these permissions."""
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    assert user.user_permissions.count() == len(permissions)
    return visitor(user)


@pytest.fixture
def agent():
    tool = {"name": "dice", "description": "Throws", "parameters": {"type": "object", "properties": {"sides": {}}}}
    return HostedAgent.objects.create(
        name="clock", source="bots/clock.py", tools=[tool], is_default=True, loaded_at=timezone.now()
    )


def read(client, path):
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def text_of(page, field):
    """What a page of the list shows in that column, row by row."""
    cells = re.findall(rf'<t[dh] class="field-{field}[^"]*">(.*?)</t[dh]>', page, re.DOTALL)
    return [" ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in cells]


def text_of_page(client, agent, field):
    """What the page of an agent shows in a field that is only read."""
    (row,) = re.findall(
        rf'<div class="form-row field-{field}">(.*?)<div class="form-row', read(client, page_of(agent)), re.DOTALL
    )
    (shown,) = re.findall(r'<div class="readonly">(.*?)</div>', row, re.DOTALL)
    return unescape(shown)


def act(client, action, *agents):
    data = {"action": action, "_selected_action": [agent.pk for agent in agents]}
    return client.post(LIST, data, follow=True)


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_the_list_tells_how_agents_are(boss, agent):
    HostedAgent.objects.create(name="broken.py", source="bots/broken.py", error="Syntax error in bots/broken.py")
    HostedAgent.objects.create(name="rest", enabled=False)
    for status in ("running", "running", "waiting", "queued"):
        posted = post(new_session(agent="clock"))
        Run.objects.filter(pk=posted.run_id).update(status=status)
    Run.objects.filter(pk=post(new_session(agent="clock")).run_id).update(
        status="succeeded", finished_at=timezone.now()
    )
    Usage.objects.add(timezone.localdate(), {(None, "clock"): Tokens(1200, 34, 1)})
    Usage.objects.add(timezone.localdate() - timezone.timedelta(days=1), {(None, "clock"): Tokens(9999, 9999, 1)})
    page = read(boss, LIST)
    assert text_of(page, "name") == ["broken.py", "clock", "rest"]
    assert text_of(page, "badge") == ["failed", "on default", "off"]
    assert text_of(page, "tool_count") == ["0", "1", "0"]
    assert text_of(page, "runs") == ["-", "2 running waiting for a person queued", "-"]
    assert text_of(page, "used_today") == ["0", "1,234", "0"]
    assert text_of(page, "last_error") == ["Syntax error in bots/broken.py", "-", "-"]
    (link,) = re.findall(r'<td class="field-runs[^"]*"><a href="([^"]+)"', page)
    assert read(boss, unescape(link)).count('<th class="field-words') == 5


def test_tools_that_each_run_chooses_are_not_counted(boss, agent):
    HostedAgent.objects.update(tools=[], dynamic_tools=True)
    for path in (LIST, page_of(agent)):
        assert "chosen by each run" in boss.get(path).content.decode()


def test_the_list_asks_as_often_for_many_agents_as_for_one(boss, agent):
    def count():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            read(boss, LIST)
        return len(queries)

    count()
    before = count()
    for number in range(5):
        HostedAgent.objects.create(name=f"a{number}")
        post(new_session(agent=f"a{number}"))
    assert count() == before


def test_the_page_tells_all_and_can_be_saved(boss, agent):
    HostedAgent.objects.filter(pk=agent.pk).update(error="line 1\nline 2", failed_at=timezone.now())
    page = read(boss, page_of(agent))
    for words in (
        "bots/clock.py",
        "dice",
        "Throws",
        "&quot;sides&quot;: {}",
        "line 1\nline 2",
        ">Reload</button>",
        "Switch off",
    ):
        assert words in page
    saved = boss.post(page_of(agent), {"enabled": "on", "max_runs": "2", "max_steps": "5", "tokens_per_day": ""})
    assert saved.status_code == 302
    agent.refresh_from_db()
    assert (agent.name, agent.enabled, agent.max_runs, agent.max_steps) == ("clock", True, 2, 5)
    assert "greater than or equal to 1" in boss.post(page_of(agent), {"max_runs": "0"}).content.decode()


@pytest.mark.parametrize("path", ["list", "page"])
def test_nothing_of_an_agent_is_markup(boss, agent, path):
    tools = [{"name": EVIL, "description": EVIL, "parameters": {EVIL: EVIL}}]
    columns = {"name": EVIL, "description": EVIL, "source": EVIL, "model": EVIL, "error": EVIL, "tools": tools}
    HostedAgent.objects.filter(pk=agent.pk).update(**columns)
    page = read(boss, LIST if path == "list" else page_of(agent))
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert EVIL not in act(boss, "reload", agent).content.decode()


# --- what operators do ------------------------------------------------------------------------------------------------


def entries():
    """What the audit says, the oldest first."""
    rows = LogEntry.objects.order_by("pk")
    return [(row.user.username, row.object_repr, row.get_change_message()) for row in rows]


def test_agents_are_switched_and_it_is_written_down(boss, agent):
    other = HostedAgent.objects.create(name="other", enabled=False)
    assert "1 agent was switched off: " in act(boss, "disable", agent, other).content.decode()
    assert "2 agents were switched on." in act(boss, "enable", agent, other).content.decode()
    assert set(HostedAgent.objects.values_list("enabled", flat=True)) == {True}
    assert entries() == [
        ("boss", "clock", "Switched off."),
        ("boss", "clock", "Switched on."),
        ("boss", "other", "Switched on."),
    ]


def test_the_groups_of_an_agent_are_chosen_on_its_page(boss, agent):
    team = Group.objects.create(name="team")
    assert "open to" in read(boss, page_of(agent)).lower()
    assert text_of_page(boss, agent, "open_to") == "everybody"
    boss.post(page_of(agent), {"enabled": "on", "groups": [team.pk]})
    assert denied_to(None) == {"clock"}
    assert text_of_page(boss, agent, "open_to") == "the members of its groups"
    boss.post(page_of(agent), {"enabled": "on"})
    assert denied_to(None) == frozenset()


def test_an_agent_whose_groups_are_gone_says_so_and_is_opened_by_a_button(boss, agent):
    HostedAgent.objects.create(name="other")
    team = Group.objects.create(name="team")
    agent.groups.add(team)
    team.delete()
    assert text_of(read(boss, LIST), "badge") == ["on default no group left", "on"]
    assert "its groups were deleted" in text_of_page(boss, agent, "open_to").lower()
    # A form that is saved for something else opens nothing.
    assert boss.post(page_of(agent), {"enabled": "on", "max_steps": "5"}).status_code == 302
    assert denied_to(None) == {"clock"}
    assert "Open to everybody" in read(boss, page_of(agent))
    assert "1 agent was opened to everybody." in act(boss, "open_up", agent).content.decode()
    assert denied_to(None) == frozenset()
    assert entries()[-1] == ("boss", "clock", "Opened to everybody.")
    assert text_of(read(boss, LIST), "badge") == ["on default", "on"]
    assert "Open to everybody" not in read(boss, page_of(agent))


def test_only_what_is_limited_is_opened(boss, agent):
    team = Group.objects.create(name="team")
    other = HostedAgent.objects.create(name="other")
    other.groups.add(team)
    assert "1 agent was opened to everybody." in act(boss, "open_up", agent, other).content.decode()
    assert entries() == [("boss", "other", "Opened to everybody.")]
    assert not other.groups.exists()


def test_a_reload_is_asked_for_and_written_down(boss, agent):
    assert "will be reloaded within seconds" in act(boss, "reload", agent).content.decode()
    first = HostedAgent.objects.get().reload_requested_at
    act(boss, "reload", agent)
    assert HostedAgent.objects.get().reload_requested_at > first
    assert entries() == [("boss", "clock", "Requested a reload.")] * 2


def test_the_buttons_of_a_page_are_the_actions_of_the_list(boss, agent):
    page = read(boss, page_of(agent))
    found = re.findall(r'<form method="post" action="([^"]+)">(.*?)</form>', page, re.DOTALL)
    sent = [dict(re.findall(r'name="(\w+)" value="([^"]*)"', form)) for url, form in found if url == LIST]
    assert [fields["action"] for fields in sent] == ["disable", "reload"]
    strict = Client(enforce_csrf_checks=True, headers={"accept-language": "en"})
    strict.force_login(User.objects.get(username="boss"))
    form = re.findall(r'name="(\w+)" value="([^"]*)"', read(strict, page_of(agent)))
    token = dict(form)["csrfmiddlewaretoken"]
    assert strict.post(LIST, {**sent[0], "csrfmiddlewaretoken": "wrong"}).status_code == 403
    assert strict.post(LIST, {**sent[0], "csrfmiddlewaretoken": token}).status_code == 302
    assert not HostedAgent.objects.get().enabled


# --- deleting ---------------------------------------------------------------------------------------------------------


def delete(client, way, agent):
    """What the page says that asks whether to delete, and then the one that comes after a yes."""
    if way == "list":
        asked = act(client, "delete_selected", agent)
        data = {"action": "delete_selected", "_selected_action": [agent.pk], "post": "yes"}
        return asked.content.decode(), client.post(LIST, data, follow=True).content.decode()
    path = reverse("admin:agents_hostedagent_delete", args=[agent.pk])
    return read(client, path), client.post(path, {"post": "yes"}, follow=True).content.decode()


@pytest.mark.parametrize("way", ["list", "page"])
def test_the_row_of_an_agent_that_is_served_is_not_deleted(boss, agent, way):
    loaded = LoadedAgent(agent=create_react_agent(name="clock"), source="bots/clock.py", loaded_at=timezone.now())
    before = set_registry(Registry([loaded]))
    try:
        for page in delete(boss, way, agent):
            assert "clock: this server has loaded it." in page
        assert HostedAgent.objects.get().enabled
    finally:
        set_registry(before)


@pytest.mark.parametrize("way", ["list", "page"])
def test_before_a_row_is_deleted_it_is_said_what_comes_of_it(boss, agent, way):
    asked, done = delete(boss, way, agent)
    assert "as a new one" in asked
    assert "uccessfully" in done
    assert not HostedAgent.objects.exists()


# --- who may ----------------------------------------------------------------------------------------------------------


def test_who_may_only_look_changes_nothing(agent):
    client = clerk("view_hostedagent")
    page = read(client, page_of(agent))
    assert "bots/clock.py" in page
    assert ">Reload</button>" not in page
    agent.groups.add(Group.objects.create(name="team"))
    for action in ("enable", "disable", "open_up", "reload"):
        act(client, action, agent)
    assert denied_to(None) == {"clock"}
    client.post(page_of(agent), {"max_runs": "1"})
    row = HostedAgent.objects.get()
    assert (row.enabled, row.max_runs, row.reload_requested_at) == (True, None, None)
    assert entries() == []


def test_runs_are_for_those_who_may_see_runs(agent):
    post(new_session(agent="clock"))
    client = clerk("change_hostedagent")
    for path in (LIST, page_of(agent)):
        assert "field-runs" not in read(client, path)
    assert ">Reload</button>" in read(client, page_of(agent))
    client = visitor(User.objects.create_superuser("boss"))
    for path in (LIST, page_of(agent)):
        assert "field-runs" in read(client, path)


def test_who_may_nothing_sees_nothing(agent):
    client = clerk()
    assert client.get(LIST).status_code == 403
    assert client.get(page_of(agent)).status_code == 403
    assert client.post(LIST, {"action": "disable", "_selected_action": [agent.pk]}).status_code == 403
    assert HostedAgent.objects.get().enabled
