"""Feedback in the admin: found, read by those who may read what was said, and exported by those who may export."""

from __future__ import annotations

import json

from django.contrib.auth.models import Permission, User
from django.utils import timezone

from sessions_app.admin import rated_runs
from sessions_app.models import Run
from tests.support.admin_pages import EVIL, Visitor, converse, list_path, make_session, page_path
from tests.support.entries import database

pytestmark = database


def rated(session, rating="down", comment="It is wrong.", text="How is it?", position=1):
    converse(session, text, position)
    run = Run.objects.filter(session=session).order_by("-queued_at").first()
    Run.objects.filter(pk=run.pk).update(rating=rating, comment=comment, rated_at=timezone.now())
    return run


def export(visitor, *runs):
    """What the action answers for these runs of the list."""
    chosen = {"action": "export_feedback", "_selected_action": [run.pk for run in runs]}
    return visitor.post(list_path(Run), chosen, headers={"accept-language": "en"})


def clerk(*names):
    visitor = Visitor()
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    visitor.force_login(user)
    return visitor


KINDS = ("session", "run", "message", "toolcall", "confirmation", "summary", "span")
VIEWS = [f"view_{kind}" for kind in KINDS]


def test_rated_runs_are_found_and_read(boss, ann):
    session = make_session(ann)
    bad, good = rated(session, comment=EVIL), rated(session, "up", "", "Thanks", 10)
    page = boss.read(list_path(Run, rating="down"))
    assert "👎" in page and "👍" not in page
    assert "👍" in boss.read(list_path(Run, rating="any"))
    assert "👍" not in boss.read(list_path(Run, rating="commented"))
    for path in (page_path(bad), page_path(session)):
        page = boss.read(path)
        assert "👎" in page and "&lt;script&gt;alert" in page and EVIL not in page
    assert "👍" in boss.read(page_path(good))
    reader = clerk("view_any_session", "view_run")
    assert "alert" not in reader.read(page_path(bad))


def test_feedback_is_exported_as_json_lines(boss, ann, monkeypatch):
    runs = [rated(make_session(ann), comment=f"No {number}") for number in range(3)]
    unrated = make_session(ann)
    converse(unrated)
    lines = export(boss, *runs, unrated.runs.get()).content.decode().splitlines()
    assert [json.loads(line)["comment"] for line in lines] == ["No 0", "No 1", "No 2"]
    first = json.loads(lines[0])
    assert (first["user"], first["rating"], first["question"], first["answer"]) == (
        "ann", "down", "How is it?", "It is fine.",
    )  # fmt: skip
    monkeypatch.setattr(rated_runs, "RUNS_AT_MOST", 2)
    assert export(boss, *runs).status_code == 302


def test_only_what_may_be_viewed_is_exported_by_those_who_may(ann):
    run = rated(make_session(ann))
    reader = clerk("view_any_session", *VIEWS)
    assert "export_feedback" not in reader.read(list_path(Run))
    assert "No " not in export(reader, run).content.decode()
    User.objects.filter(username="clerk").delete()
    exporter = clerk("export_session", *VIEWS)
    answer = export(exporter, run)
    assert b"It is wrong." not in answer.content
