"""Whose conversations staff may see, cancel and export in the admin, and what is written down of it."""

from __future__ import annotations

import json
import uuid

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.urls import reverse

from agents.models import GroupLead
from myagent import i18n
from sessions_app.journal.entries.sessions import CancelRuns
from sessions_app.models import Confirmation, Run, Session, Span, ToolCall
from tests.support.admin_pages import KINDS, Visitor, converse, list_path, make_session, page_path
from tests.support.entries import commit_one, database, events, new_session, post, run_of, running, statuses

pytestmark = database
KIND_NAMES = ("session", "run", "message", "toolcall", "confirmation", "event", "span", "summary", "sessionfile")
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
    found.append(session.files.first())
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


# --- leading ----------------------------------------------------------------------------------------------------------


def group_with(name: str, *members: str) -> Group:
    group = Group.objects.create(name=name)
    for member in members:
        User.objects.create_user(member).groups.add(group)
    return group


def test_a_lead_sees_the_members_of_their_own_groups_and_nobody_else():
    reader = clerk(*VIEW, "view_led_session")
    me = User.objects.get(username="clerk")
    led, other = group_with("led", "ann", "bob"), group_with("other", "eve")
    GroupLead.objects.create(user=me, group=led)
    GroupLead.objects.create(user=User.objects.get(username="ann"), group=other)
    User.objects.get(username="bob").groups.add(other)  # once, though in two groups
    ann, bob = (User.objects.get(username=name) for name in ("ann", "bob"))
    seen = [conversation(me, "mine"), conversation(ann, "of-ann"), conversation(bob, "of-bob")]
    hidden = [conversation(User.objects.get(username="eve"), "of-eve"), conversation(None, "veiled")]
    for session in seen:
        for row in rows_of(session):
            assert reader.get(page_path(row)).status_code == 200, row
    for session in hidden:
        for row in rows_of(session):
            assert reader.get(page_path(row)).status_code == 302, row
    for kind in KINDS:
        listed = reader.read(list_path(kind))
        assert "of-eve" not in listed and "veiled" not in listed and ">eve<" not in listed
    assert reader.read(list_path(Session)).count("about of-bob") == 1
    assert ">ann<" in reader.read(list_path(Session))


@pytest.mark.parametrize("missing", ["permission", "row", "group"])
def test_leading_takes_the_permission_and_the_row(missing):
    reader = clerk(*VIEW, *(() if missing == "permission" else ("view_led_session",)))
    group = group_with("led", "ann")
    if missing != "row":
        GroupLead.objects.create(user=User.objects.get(username="clerk"), group=group)
    theirs = conversation(User.objects.get(username="ann"), "secret")
    if missing == "group":
        group.delete()
    assert reader.get(page_path(theirs)).status_code == 302
    assert "secret" not in reader.read(list_path(Session))


def test_a_fork_names_no_conversation_of_somebody_else():
    """Whoever knows the id of an anonymous session may continue it in one of their own."""
    reader = clerk(*VIEW)
    own = User.objects.get(username="clerk")
    for owner, is_named in ((None, False), (own, True)):
        source = make_session(owner, title="Where it began")
        fork = make_session(own, title="Mine", forked_from={"session_id": str(source.pk), "seq": 1})
        page = reader.read(page_path(fork))
        assert ("Where it began" in page, page_path(source) in page) == (is_named, is_named)
        assert str(source.pk)[:8] in page


def test_forks_of_others_are_neither_shown_nor_counted():
    """Of an anonymous session that many continue, each one's own are all that there is."""
    reader = clerk(*VIEW)
    own, eve = User.objects.get(username="clerk"), User.objects.create_user("eve")
    source = make_session(None, title="Where it began")
    origin = {"forked_from": {"session_id": str(source.pk), "seq": 1}, "family_id": source.pk}
    mine, again = (make_session(own, title=title, **origin) for title in ("Mine", "Mine, too"))
    hers = make_session(eve, title="Hers", **origin)
    assert reader.titles(versions=mine.pk) == ["Mine", "Mine, too"]
    assert reader.titles(versions=hers.pk) == reader.titles(versions=source.pk) == []
    for page in (reader.read(list_path(Session, versions=again.pk)), reader.read(page_path(mine))):
        assert ">2</a>" in page and ">3</a>" not in page
        assert str(source.pk) not in page and str(hers.pk) not in page


def test_a_lead_cancels_what_they_see_only():
    lead = clerk(*VIEW, "view_led_session", "cancel_any_run")
    group = group_with("led", "ann")
    GroupLead.objects.create(user=User.objects.get(username="clerk"), group=group)
    for name, expected in (("ann", 302), ("eve", 404)):
        user, _ = User.objects.get_or_create(username=name)
        run = running(new_session(user_id=user.pk))
        answer = lead.post(reverse("admin:sessions_app_run_cancel", args=[run_of(run).pk]))
        assert answer.status_code == expected, name


def test_the_audit_has_no_key_to_an_anonymous_session():
    session_id = new_session()
    boss = clerk(*VIEW, "export_session", "view_any_session", "view_logentry")
    assert boss.get(reverse("admin:sessions_app_session_export", args=[session_id])).status_code == 200
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.object_repr) == ("", str(session_id)[:8])
    page = boss.get(reverse("admin:admin_logentry_changelist")).content.decode()
    assert str(session_id)[:8] in page and str(session_id) not in page
