from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command

from agents.models import GroupLead
from myagent import i18n
from sessions_app.models import Session
from tests.sessions_app.admin.test_permissions import conversation
from tests.support.admin_pages import Visitor, list_path, page_path
from tests.support.entries import database

pytestmark = database


@pytest.fixture(autouse=True)
def roles(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")
    out = StringIO()
    call_command("setuproles", stdout=out)
    return out.getvalue()


def member(role: str) -> Visitor:
    user = User.objects.create_user(role.lower(), is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    visitor = Visitor(headers={"accept-language": "en"})
    visitor.force_login(user)
    return visitor


def test_three_groups_are_made_and_noted(roles):
    assert [line.partition(":")[0] for line in roles.splitlines()] == ["Viewer", "Operator", "Lead"]
    assert set(LogEntry.objects.values_list("object_repr", flat=True)) == {"Viewer", "Operator", "Lead"}


def test_a_second_time_adds_what_is_lacking_and_takes_nothing():
    viewer = Group.objects.get(name="Viewer")
    lacking, extra = Permission.objects.get(codename="view_run"), Permission.objects.get(codename="view_user")
    viewer.permissions.remove(lacking)
    viewer.permissions.add(extra)
    out = StringIO()
    call_command("setuproles", stdout=out)
    assert out.getvalue().splitlines() == [
        "Viewer: there already, 1 added",
        "Operator: there already, 0 added",
        "Lead: there already, 0 added",
    ]
    assert {lacking, extra} <= set(viewer.permissions.all())


@pytest.mark.parametrize("role", ["Viewer", "Operator", "Lead"])
def test_each_role_reads_what_is_theirs(role):
    ann, eve = (User.objects.create_user(name) for name in ("ann", "eve"))
    team = Group.objects.create(name="team")
    ann.groups.add(team)
    reader = member(role)
    if role == "Lead":
        GroupLead.objects.create(user=User.objects.get(username="lead"), group=team)
    of_ann, of_eve = conversation(ann, "of-ann"), conversation(eve, "of-eve")
    assert reader.get(page_path(of_ann)).status_code == 200
    assert (reader.get(page_path(of_eve)).status_code == 200) is (role != "Lead")
    assert "about of-ann" in reader.read(list_path(Session))


@pytest.mark.parametrize("role", ["Viewer", "Operator", "Lead"])
def test_no_role_may_change_people_or_tokens(role):
    rights = set(Group.objects.get(name=role).permissions.values_list("codename", flat=True))
    assert not {name for name in rights if name.split("_")[-1] in ("user", "group", "accesstoken")} - {
        "view_user",
        "view_group",
    }
