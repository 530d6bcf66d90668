"""Finding conversations: by whose they are, what goes on in them, and the words that were said."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.db import connection

from sessions_app.admin import search
from sessions_app.models import Message, Run, Session, Span, ToolCall
from tests.support.admin_pages import (
    converse,
    in_order,
    list_path,
    make_run,
    make_session,
    page_path,
    queries,
    say,
)
from tests.support.entries import database

pytestmark = database


def test_by_whose_they_are(boss, ann):
    bob = User.objects.create_user("bob")
    User.objects.create_user("carol")
    make_session(ann, title="Ann's")
    make_session(bob, title="Bob's")
    make_session(title="Nobody's")
    page = boss.read(list_path(Session))
    sidebar = page[page.index('id="changelist-filter"') :]
    assert in_order(sidebar, "By user", f"?user={ann.pk}", f"?user={bob.pk}", "?user=nobody")
    assert "carol" not in sidebar
    assert boss.titles(user=bob.pk) == ["Bob's"]
    assert boss.titles(user="nobody") == ["Nobody's"]
    assert boss.titles(user="x") == []


def test_what_a_list_is_narrowed_to_stands_above_it(boss):
    session = make_session(title="The weather in Paris")
    converse(session)
    above = boss.read(list_path(Run, session=session.pk)).split('id="changelist-form"')[0]
    assert re.search(r'class="chosen">Session: <strong>The weather in Paris</strong>', above)
    assert 'class="chosen"' not in boss.read(list_path(Run))


def test_many_people_are_not_all_offered(boss, monkeypatch):
    monkeypatch.setattr("sessions_app.admin.filters.OwnerFilter.OFFERED", 2)
    for name in ("u1", "u2", "u3"):
        make_session(User.objects.create_user(name), title=name)
    page = boss.read(list_path(Session))
    sidebar = page[page.index('id="changelist-filter"') : page.index('id="changelist-form"')]
    assert "u2" in sidebar and "u3" not in sidebar
    assert boss.titles(q="u3") == ["u3"]


def test_by_what_goes_on_in_them(boss):
    fine, failed, both = make_session(title="fine"), make_session(title="failed"), make_session(title="both")
    make_session(title="empty")
    make_run(fine)
    make_run(failed, status="failed")
    make_run(both, status="failed")
    make_run(both)
    assert boss.titles(runs="failed") == ["both", "failed"]
    assert boss.titles(runs="succeeded") == ["both", "fine"]
    assert boss.titles(runs="running") == []


def test_what_sessions_took_is_in_the_list(boss):
    session = make_session()
    make_run(session, input_tokens=1_000, output_tokens=200)
    make_run(session, input_tokens=34, status="failed")
    make_session(title="empty")
    page = boss.read(list_path(Session))
    assert '<td class="field-tokens">1,234</td>' in page
    assert '<td class="field-tokens">0</td>' in page


@pytest.mark.parametrize(
    "query", ["100%", "a_b", "c.d", "(x", "back\\slash", "q'uote", "Ünïcode", "退款", "[ab]", "$5"]
)
def test_words_are_looked_for_as_they_stand(boss, query):
    say(make_run(make_session(title="found")), "user", f"before {query} after", 1)
    say(make_run(make_session(title="other")), "user", "100 aab acd x backslash quote unicode b 5", 1)
    assert boss.titles(q=query.replace("%", "%25")) == ["found"]


def test_the_messages_are_read_once_for_each_word(boss):
    converse(make_session())
    for path in (list_path(Session, q="sunny+fine"), list_path(Message, q="sunny+weather")):
        passes = [sql for sql in queries(boss, path) if "content" in re.sub(r"^SELECT.*?FROM", "", sql)]
        assert len([sql for sql in passes if "sunny" in sql]) == 1, path


def test_a_word_that_is_found_very_often_is_found_all_the_same(boss, monkeypatch):
    monkeypatch.setattr(search, "MANY", 2)
    for number in range(4):
        say(make_run(make_session(title=f"s{number}")), "user", f"often, and number{number}", 1)
    assert boss.titles(q="often") == ["s0", "s1", "s2", "s3"]
    assert boss.titles(q="often+number2") == ["s2"]
    assert "4 messages\n" in boss.read(list_path(Message, q="often"))


def test_a_search_for_very_many_words_is_bounded(boss):
    say(make_run(make_session(title="found")), "user", "a b c d e f g h", 1)
    words = "a+b+c+d+e+f+g+h"
    assert boss.titles(q=words) == ["found"], "the last ones as they stand"
    assert boss.titles(q="a+b+c+d+e+h+g") == []
    passes = [sql for sql in queries(boss, list_path(Session, q=words)) if "sessions_app_message" in sql]
    assert len(passes) <= search.WORDS_AT_MOST


def test_the_newest_need_no_sorting(boss):
    converse(make_session())
    for kind in (Run, ToolCall, Span):
        table = f'"{kind._meta.db_table}"'
        (listed,) = [sql for sql in queries(boss, list_path(kind)) if f"ORDER BY {table}" in sql]
        order = re.search(rf"ORDER BY {table}.\"(\w+)\" DESC, {table}.\"(\w+)\" DESC", listed).groups()
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, kind._meta.db_table).values()
        assert [item for item in found if item["index"] and tuple(item["columns"]) == order], kind


def family(owner, **columns):
    """A session with a fork, and one of that; of the same owner."""
    root = make_session(owner, title="Root", **columns)
    origin = {"session_id": str(root.pk), "seq": 1}
    fork = make_session(owner, title="Fork", forked_from=origin, family_id=root.pk)
    again = {"session_id": str(fork.pk), "seq": 1}
    return root, fork, make_session(owner, title="Fork of it", forked_from=again, family_id=root.pk)


def test_by_what_they_were_forked_from(boss, ann):
    members = family(ann)
    make_session(ann, title="Another")
    for member in members:
        assert boss.titles(versions=member.pk) == ["Fork", "Fork of it", "Root"]
        url = list_path(Session, versions=member.pk)
        assert f'href="{url}">3</a>' in boss.read(list_path(Session))
        assert f'href="{url}">3</a>' in boss.read(page_path(member))
    assert re.search(
        r'class="chosen">Versions of: <strong>Root</strong>', boss.read(list_path(Session, versions=members[0].pk))
    )
    for unknown in ("x", "00000000-0000-4000-8000-000000000000"):
        assert boss.titles(versions=unknown) == []
    members[0].delete()
    assert boss.titles(versions=members[1].pk) == ["Fork", "Fork of it"]
