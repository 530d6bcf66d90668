"""The export of a conversation: all of it, of nothing else, and only for whoever may have it."""

from __future__ import annotations

import json

from django.contrib.auth.models import User

from sessions_app.models import Session
from tests.support.admin_pages import (
    converse,
    make_run,
    make_session,
    page_path,
    queries,
    say,
    staff,
)
from tests.support.entries import database

pytestmark = database


def export_path(session):
    return f"/admin/sessions_app/session/{session.pk}/export/"


def test_it_holds_the_whole_conversation(boss, ann):
    session = make_session(ann, state={"cart": ["苹果"]})
    run = converse(session)
    converse(session, position=10)
    say(make_run(make_session()), "user", "somebody else's", 1)
    assert export_path(session) in boss.read(page_path(session))
    answer = boss.get(export_path(session))
    assert answer.headers["content-disposition"] == f'attachment; filename="session-{session.pk}.json"'
    found = json.loads(answer.content)
    assert (found["format"], found["version"]) == ("myagent.conversation", 1)
    assert (found["session"]["user"], found["session"]["state"]) == ("ann", {"cart": ["苹果"]})
    assert [item["id"] for item in found["runs"]][0] == str(run.pk)
    assert [len(item["messages"]) for item in found["runs"]] == [4, 4]
    first = found["runs"][0]
    assert [message["content"] for message in first["messages"]] == ["How is the weather?", "", "sunny", "It is fine."]
    assert (first["tool_calls"][0]["result"], first["confirmations"][0]["answered_by"]) == ("sunny", "ann")
    assert [item["kind"] for item in first["spans"]] == ["reply", "tool"]
    assert [item["content"] for item in found["summaries"]] == ["They met.", "They met."]
    assert "somebody else" not in answer.content.decode()


def test_its_queries_do_not_grow_with_the_conversation(boss):
    session = make_session()
    converse(session)
    few = len(queries(boss, export_path(session)))
    for number in range(1, 5):
        converse(session, position=number * 10)
    assert len(queries(boss, export_path(session))) == few


def test_it_needs_its_permission():
    session = make_session()
    converse(session)
    kinds = ("session", "run", "message", "toolcall", "confirmation", "summary", "span")
    clerk = staff("view_any_session", *(f"view_{kind}" for kind in kinds))
    assert clerk.get(export_path(session)).status_code == 403
    assert export_path(session) not in clerk.read(page_path(session))
    User.objects.all().delete()
    clerk = staff("view_any_session", "export_session", *(f"view_{kind}" for kind in kinds if kind != "message"))
    assert clerk.get(export_path(session)).status_code == 403


def test_of_nothing_there_is_none(boss):
    assert boss.get(export_path(Session())).status_code == 404
    assert boss.get("/admin/sessions_app/session/nonsense/export/").status_code == 404
