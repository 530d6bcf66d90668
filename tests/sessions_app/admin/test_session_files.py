"""Files in the admin: for whoever may see their conversation, and never more than shown or saved."""

from __future__ import annotations

from django.contrib.auth.models import User

from tests.sessions_app.admin.test_permissions import VIEW, clerk
from tests.support.admin_pages import attach, list_path, make_run, make_session, page_path, say
from tests.support.entries import database
from tests.support.file_client import PNG

pytestmark = database


def content_path(row):
    return f"/admin/sessions_app/sessionfile/{row.file_id}/content/"


def test_the_bytes_are_for_whoever_may_see_the_conversation(boss, ann):
    row = attach(make_session(ann), "报告.html", b"<script>alert(1)</script>")
    reader = clerk(*VIEW)
    own = attach(make_session(User.objects.get(username="clerk")), "点.png", PNG)
    assert "报告.html" in boss.read(page_path(row)) and content_path(row) in boss.read(page_path(row))
    answer = boss.get(content_path(row))
    assert answer.content == b"<script>alert(1)</script>"
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert reader.get(content_path(own)).headers["Content-Disposition"].startswith("inline")
    assert reader.get(content_path(row)).status_code == 404
    assert clerk("view_session", name="other").get(content_path(own)).status_code == 403
    assert "报告.html" not in reader.read(list_path(type(row)))


def test_what_messages_name_is_shown_where_it_was_said(boss):
    session = make_session()
    dot, text = attach(session, "点.png", PNG), attach(session, "a.txt")
    told = {"file_id": str(dot.file_id), "name": "点.png", "type": "image/png"}
    picture = {"type": "image_url", "image_url": {"url": f"/api/files/{dot.file_id}", **told}}
    file = {"type": "file", "file": {"file_id": str(text.file_id), "name": "a.txt", "type": "text/plain"}}
    said = say(make_run(session), "user", "look", 1, parts=[{"type": "text", "text": "look"}, picture, file])
    for page in (boss.read(page_path(session)), boss.read(page_path(said))):
        assert f'<img src="{content_path(dot)}"' in page and f'href="{content_path(text)}">a.txt' in page
