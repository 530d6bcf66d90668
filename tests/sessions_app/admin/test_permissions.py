"""Whose conversations staff may see, cancel and export in the admin, and what is written down of it."""

from __future__ import annotations

import json
import uuid

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from myagent import i18n
from sessions_app.journal.entries.sessions import CancelRuns
from sessions_app.models import Confirmation, Run, Session, Span, ToolCall
from tests.support.admin_pages import KINDS, Visitor, converse, list_path, make_session, page_path
from tests.support.entries import commit_one, database, events, new_session, post, run_of, running, statuses

pytestmark = database
KIND_NAMES = ("session", "run", "message", "toolcall", "confirmation", "event", "span", "summary")
VIEW = [f"view_{kind}" for kind in KIND_NAMES]


@pytest.fixture(autouse=True)
def in_english(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")


def clerk(*permissions: str, name: str = "clerk") -> Visitor:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    assert user.user_permissions.count() >= len(permissions)
    visitor = Visitor(headers={"accept-language": "en"})
    visitor.force_login(user)
    return visitor


def conversation(user: User | None, agent: str) -> Session:
    """A session in which there is a row of each kind."""
    session = make_session(user, agent=agent, title=f"about {agent}")
    converse(session, f"hi {agent}")
    return session


def rows_of(session: Session) -> list:
    """One row of each kind of a session's."""
    found = [session, session.runs.first(), session.messages.first(), session.events.first()]
    return [*found, *(kind.objects.filter(run__session=session).first() for kind in (ToolCall, Confirmation, Span))]


# --- seeing -----------------------------------------------------------------------------------------------------------


def test_without_the_permission_staff_see_their_own_and_nothing_else():
    reader = clerk(*VIEW)
    me = User.objects.get(username="clerk")
    mine, theirs = conversation(me, "mine"), conversation(User.objects.create_user("eve"), "secret")
    nobodys = conversation(None, "veiled")
    assert {type(row) for row in rows_of(mine)} == set(KINDS)
    for row in rows_of(mine):
        assert reader.get(page_path(row)).status_code == 200
    for row in [*rows_of(theirs), *rows_of(nobodys)]:
        # As what is not there: Django leads to the index, and says that there is none.
        assert reader.get(page_path(row)).status_code == 302, row
        listed = reader.read(list_path(type(row)))
        for word in ("secret", "veiled", ">eve<"):
            assert word not in listed, (type(row), word)
    assert reader.get(page_path(Session(pk=uuid.uuid4()))).status_code == 302


@pytest.mark.parametrize("kind", KINDS)
def test_a_narrowing_names_nothing_that_may_not_be_seen(kind):
    reader = clerk(*VIEW)
    theirs = conversation(User.objects.create_user("eve"), "secret")
    for parameters in ({"session": theirs.pk}, {"run": theirs.runs.first().pk}, {"user": theirs.user_id}):
        page = reader.get(list_path(kind, **parameters), follow=True).content.decode()
        assert "about secret" not in page and ">eve<" not in page


def test_with_the_permission_staff_see_all():
    reader = clerk(*VIEW, "view_any_session")
    for session in (conversation(User.objects.create_user("ann"), "a"), conversation(None, "b")):
        for row in rows_of(session):
            assert reader.get(page_path(row)).status_code == 200
    assert reader.titles() == ["about a", "about b"]
    # It opens no page by itself.
    assert clerk("view_any_session", name="other").get(list_path(Session)).status_code == 403


# --- cancelling -------------------------------------------------------------------------------------------------------


def cancel_path(run) -> str:
    return reverse("admin:sessions_app_run_cancel", args=[run.pk])


def test_a_run_is_cancelled_on_its_page():
    ann = User.objects.create_user("ann")
    session_id = new_session(user_id=ann.pk)
    run, waiting = run_of(running(session_id)), run_of(post(session_id))
    operator = clerk(*VIEW, "view_any_session", "cancel_any_run")
    page = operator.read(page_path(run))
    assert cancel_path(run) in page
    assert operator.get(cancel_path(run)).status_code == 405
    answered = operator.post(cancel_path(run), follow=True).content.decode()
    assert "1 run was cancelled." in answered
    assert statuses(session_id) == ["cancelled", "queued"]
    (end,) = [frame for frame in events(session_id) if frame["event"] == "agent.interrupted"]
    assert end["metadata"] == {"run_id": str(run.pk), "reason": "staff"}
    (entry,) = LogEntry.objects.all()
    assert (entry.user.username, entry.object_id, entry.change_message) == ("clerk", str(run.pk), "Cancelled (staff).")
    assert cancel_path(run) not in operator.read(page_path(run))
    assert "ended already" in operator.post(cancel_path(run), follow=True).content.decode()
    assert LogEntry.objects.count() == 1
    assert operator.post(cancel_path(Run(pk=uuid.uuid4()))).status_code == 404
    assert waiting.status == "queued"


def test_several_are_cancelled_in_the_list():
    runs = [run_of(running(new_session())) for _ in range(3)]
    commit_one(CancelRuns(session_id=runs[2].session_id))
    operator = clerk("view_run", "view_any_session", "cancel_any_run")
    chosen = {"action": "cancel", "_selected_action": [run.pk for run in runs]}
    assert "2 runs were cancelled." in operator.post(list_path(Run), chosen, follow=True).content.decode()
    assert sorted(Run.objects.values_list("status", flat=True)) == ["cancelled"] * 3


@pytest.mark.parametrize(
    ("permissions", "status"),
    [
        ((*VIEW, "view_any_session"), 403),
        ((*VIEW, "cancel_any_run"), 404),  # it may not be seen
        (("view_any_session", "cancel_any_run"), 403),
        ((), 403),
    ],
)
def test_others_cancel_nothing(permissions, status):
    run = run_of(running(new_session()))
    other = clerk(*permissions)
    assert other.post(cancel_path(run)).status_code == status
    other.post(list_path(Run), {"action": "cancel", "_selected_action": [run.pk]})
    assert statuses(run.session_id) == ["running"]
    if status == 403 and permissions == (*VIEW, "view_any_session"):
        page = other.read(page_path(run)) + other.read(list_path(Run))
        assert cancel_path(run) not in page and 'name="action"' not in page


# --- exporting --------------------------------------------------------------------------------------------------------


def test_what_is_exported_may_be_seen_and_is_noted():
    theirs = conversation(User.objects.create_user("eve"), "secret")
    path = reverse("admin:sessions_app_session_export", args=[theirs.pk])
    assert clerk(*VIEW, "export_session").get(path).status_code == 404
    exporter = clerk(*VIEW, "export_session", "view_any_session", name="exporter")
    assert json.loads(exporter.get(path).content)["session"]["title"] == "about secret"
    (entry,) = LogEntry.objects.all()
    assert (entry.user.username, entry.object_id, entry.change_message) == ("exporter", str(theirs.pk), "Exported.")
