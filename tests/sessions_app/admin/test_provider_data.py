"""What an endpoint added to a message is for that endpoint: no page and no document of the admin has it."""

from __future__ import annotations

from sessions_app.models import Message
from tests.support.admin_pages import converse, list_path, make_session, page_path
from tests.support.entries import database

pytestmark = database

DATA = {
    "endpoint": "https://e",
    "model": "m",
    "message": {"reasoning_content": "never-said"},
    "calls": [{"seal": "never-said"}],
    "size": 60,
}


def test_nothing_of_the_admin_shows_it(boss):
    session = make_session()
    converse(session)
    assert Message.objects.filter(session=session, role="assistant").update(provider_data=DATA) == 2
    message = Message.objects.filter(session=session, role="assistant").first()
    export = f"/admin/sessions_app/session/{session.pk}/export/"
    for page in (page_path(session), page_path(message), list_path(Message), export):
        answer = boss.get(page)
        assert answer.status_code == 200, page
        assert "never-said" not in answer.content.decode(), page
        assert "provider_data" not in answer.content.decode(), page
