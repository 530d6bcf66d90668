"""Conversations in the admin: found, read in order, linked, and changed by nobody."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from html import unescape
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from sessions_app.admin.conversation import SHOWN
from sessions_app.admin.sessions import RUNS_PER_PAGE
from sessions_app.models import Confirmation, Event, Message, Run, Session, Span, Summary, ToolCall
from tests.support.admin_pages import (
    EVIL,
    KINDS,
    attach,
    call,
    confirm,
    converse,
    in_order,
    list_path,
    log,
    make_run,
    make_session,
    page_path,
    queries,
    say,
    span,
    staff,
)
from tests.support.entries import database

pytestmark = database


# --- finding ----------------------------------------------------------------------------------------------------------


def test_the_list_of_sessions(boss, ann):
    session = make_session(ann, title="Rain in Paris")
    make_run(session)
    make_run(session, status="failed")
    make_run(session, status="running", finished_at=None)
    make_session(agent="maths", title="", status="closed")
    page = boss.read(list_path(Session))
    for text in ("Rain in Paris", "weather", "ann", "maths", "closed", "2 sessions"):
        assert text in page
    runs = list_path(Run, session=session.pk)
    assert f'<a href="{runs}">3</a> <span class="badge badge-running">running</span>' in page
    assert '<span class="badge badge-failed">failed</span>' in page
    assert list_path(Session, user=ann.pk) in page
    assert list_path(Run, session=Session.objects.get(agent="maths").pk) + '">0</a>' in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("rain", ["Rain"]),
        ("ANN", ["Rain", "Snow"]),
        ("umbrella", ["Rain"]),
        ("snow+ann", ["Snow"]),
        ("rain+bob", []),
        ("北京", ["天气"]),
        ("nothing", []),
        ("++", ["Rain", "Snow", "天气"]),
    ],
)
def test_search(boss, ann, query, found):
    rain, _, china = make_session(ann, title="Rain"), make_session(ann, title="Snow"), make_session(title="天气")
    run = make_run(rain)
    say(run, "assistant", "Take an umbrella, and another umbrella.", 1)
    say(run, "user", "umbrella?", 2)
    say(make_run(china), "user", "北京今天天气怎么样？", 1)
    assert boss.titles(q=query) == found


def test_search_by_id(boss):
    session = make_session(title="one")
    make_session(title="two")
    run = make_run(session)
    make_run(session, status="failed", error_code="llm_unauthorized")
    assert boss.titles(q=session.pk) == ["one"]
    assert "1 run\n" in boss.read(list_path(Run, q=run.pk))
    assert "2 runs\n" in boss.read(list_path(Run, q=session.pk))
    assert "1 run\n" in boss.read(list_path(Run, q="unauthorized"))


def test_filters(boss, ann):
    make_session(ann, title="mine")
    make_session(title="closed", status="closed")
    make_session(title="maths", agent="maths")
    make_session(title="old", active_at=timezone.now() - timedelta(days=40))
    assert boss.titles(agent="maths") == ["maths"]
    assert boss.titles(status__exact="closed") == ["closed"]
    assert boss.titles(user=ann.pk) == ["mine"]
    since = timezone.now() - timedelta(days=7)
    assert boss.titles(active_at__gte=quote(str(since))) == ["closed", "maths", "mine"]


@pytest.mark.parametrize("kind", KINDS)
def test_lists_can_be_narrowed_to_one_session(boss, kind):
    session, other = make_session(title="this one"), make_session(title="the other")
    converse(session)
    converse(other)
    parameter = {"user": "x"} if kind is Session else {"session": session.pk}
    response = boss.get(list_path(kind, **parameter), headers={"accept-language": "en"})
    rows = list(response.context["cl"].result_list)
    if kind is Session:
        assert rows == []
        return
    assert rows
    assert all((row.session if hasattr(row, "session") else row.run.session) == session for row in rows)
    page = response.content.decode()
    assert "By session" in page
    assert "this one" in page
    assert "the other" not in page
    assert "By session" not in boss.read(list_path(kind))


@pytest.mark.parametrize("kind", [Message, ToolCall, Confirmation, Span])
def test_lists_can_be_narrowed_to_one_run(boss, kind):
    session = make_session()
    run = converse(session)
    converse(session, position=5)
    response = boss.get(list_path(kind, run=run.pk))
    assert {row.run_id for row in response.context["cl"].result_list} == {run.pk}


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("value", ["nonsense", "%00", "1'--", uuid.uuid4()])
def test_a_narrowing_to_nothing_shows_nothing(boss, kind, value):
    converse(make_session())
    response = boss.get(list_path(kind, session=value))
    assert response.status_code == 200
    assert response.context["cl"].result_count == 0


def test_a_session_is_read_in_order_also_while_a_message_waits(boss):
    session = make_session()
    waiting = make_run(session, status="queued", started_at=None, finished_at=None)
    say(waiting, "user", "and then?", None)
    run = make_run(session)
    say(run, "assistant", "answer", 2)
    say(run, "user", "question", 1)
    rows = boss.get(list_path(Message, session=session.pk)).context["cl"].result_list
    assert [row.position for row in rows] == [1, 2, None]


# --- what it costs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_queries_of_a_list_do_not_grow_with_it(boss, ann, kind):
    converse(make_session(ann))
    few = queries(boss, list_path(kind))
    for number in range(8):
        converse(make_session(User.objects.create_user(f"user{number}"), agent=f"agent{number}"))
    assert len(queries(boss, list_path(kind))) == len(few)
    assert len(few) <= 8  # with login, filters and count


@pytest.mark.parametrize("kind", KINDS)
def test_the_queries_of_a_page_do_not_grow_with_what_is_stored(boss, ann, kind):
    session = make_session(ann)
    run = converse(session)
    row = {Session: session, Run: run}.get(kind) or kind.objects.last()
    few = queries(boss, page_path(row))
    for number in range(1, 9):
        converse(session, position=number * 10)
        say(run, "assistant", "And so on.", 100 + number)
        called = call(run, 200 + number)
        for _ in range(3):
            confirm(run, called, answer={"confirmed": True})
            span(run, "tool", number)
    assert len(queries(boss, page_path(row))) == len(few)
    assert len(few) <= 14  # with login, permissions and the conversation


def test_the_queries_of_a_search_do_not_grow_with_what_is_found(boss, ann):
    converse(make_session(ann))
    few = queries(boss, list_path(Session, q="weather+Paris"))
    for number in range(8):
        converse(make_session(ann, title=f"Weather {number}"))
    assert len(queries(boss, list_path(Session, q="weather+Paris"))) == len(few)


def test_counting_joins_nothing_and_happens_once(boss, ann):
    converse(make_session(ann))
    for parameters in ({}, {"q": "weather+ann"}, {"agent": "weather"}, {"user": ann.pk}):
        counts = [sql for sql in queries(boss, list_path(Session, **parameters)) if "COUNT(*)" in sql]
        assert len(counts) == 1, parameters
        assert "JOIN" not in counts[0], parameters


@pytest.mark.parametrize(("kind", "column"), [(Message, "content"), (ToolCall, "result"), (Event, "frame")])
def test_long_columns_stay_in_the_database(boss, kind, column):
    converse(make_session())
    table = kind._meta.db_table
    selects = [sql for sql in queries(boss, list_path(kind)) if sql.startswith(f'SELECT "{table}"')]
    assert selects
    for sql in selects:
        assert f'"{column}"' not in re.sub(r"SUBSTR(ING)?\([^)]*\)", "", sql)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_conversation(boss, ann):
    session = make_session(ann)
    run = converse(session)
    page = unescape(boss.read(page_path(session)))
    conversation = page[page.index("conversation") :]
    assert in_order(
        conversation,
        "2.5 s · model calls: 2 · tokens: 111 in, 22 out",
        "How is the weather?",
        "They met.",
        "get_weather",
        "city: Paris",
        "success",
        "12 ms",
        "Arguments",
        '"city": "Paris"',
        "May I?",
        "approved",
        "Result",
        "sunny",
        "It is fine.",
        "Timeline",
        "gpt-4o",
    )
    assert conversation.count("sunny") == 1  # the tool's message is not shown beside the call
    assert page_path(run) in page
    assert page_path(run.tool_calls.get()) in page
    for kind in KINDS[1:]:
        assert list_path(kind, session=session.pk) in page


def test_what_went_wrong_is_told(boss):
    session = make_session()
    run = make_run(session, status="failed", error_code="llm_unauthorized")
    say(run, "user", "hello", 1)
    call(run, 2, outcome="failed", result="", error="no such city")
    log(session, "agent.error", "The key is wrong.", run_id=str(run.pk), code="llm_unauthorized")
    log(session, "agent.error", "Another run's words.", run_id=str(uuid.uuid4()), code="x")
    for row in (session, run):
        page = boss.read(page_path(row))
        assert in_order(page[page.index('"turn"') :], "hello", "no such city", "llm_unauthorized", "The key is wrong.")
        assert "Another run" not in page


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("success", "succeeded"),
        ("failed", "failed"),
        ("declined", "declined"),
        ("cancelled", "cancelled"),
        ("unknown", "unknown"),
    ],
)
def test_what_became_of_a_call_is_told_in_words_and_can_be_chosen(boss, outcome, words):
    session = make_session()
    run = make_run(session)
    call(run, 1, outcome=outcome, tool="chosen")
    call(run, 2, outcome="another", tool="left_out")
    badge = f'<span class="badge badge-{outcome}">{words}</span>'
    listed = boss.read(list_path(ToolCall, outcome=outcome))
    rows = listed[listed.index('id="result_list"') :].partition("</table>")[0]
    assert badge in rows and "chosen" in rows and "left_out" not in rows
    assert badge in boss.read(page_path(session))


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (None, "not answered yet"),
        ({"confirmed": True}, "approved"),
        ({"confirmed": False, "reason": "no"}, "declined"),
        ({"confirmed": "yes"}, "declined"),
        ({"confirmed": False, "answered": False}, "no answer"),
    ],
)
def test_confirmations(boss, answer, verdict):
    run = make_run(make_session())
    tool_call = call(run, 1, arguments={"amount": 1}, arguments_run={"amount": 2})
    of_call, of_run = confirm(run, tool_call, answer=answer), confirm(run, answer=answer, question="Is the plan good?")
    page = boss.read(page_path(run))
    assert page.count(f"<strong>{verdict}</strong>") == 2
    assert in_order(page, "May I?", "Is the plan good?")
    for confirmation in (of_call, of_run):
        assert verdict in boss.read(page_path(confirmation))
    assert verdict in boss.read(list_path(Confirmation))


def folded_line(page):
    """What is seen of a call before it is unfolded."""
    return page[page.index('<details class="called">') :].partition("</summary>")[0]


def test_the_line_of_a_call_has_the_arguments_that_ran(boss):
    run = make_run(make_session())
    tool_call = call(run, 1, arguments={"path": "/etc"}, arguments_run={"path": 5})
    confirm(run, tool_call, answer={"confirmed": True, "args": {"path": 5}})
    page = boss.read(page_path(run))
    assert "(path: 5)" in folded_line(page)
    assert "/etc" not in folded_line(page)
    assert "changed by the user" in folded_line(page)
    assert in_order(page, "Arguments", "/etc", "Arguments as the user changed them", "&quot;path&quot;: 5", "May I?")


def test_arguments_that_the_tool_read_in_its_own_way_were_changed_by_nobody(boss):
    run = make_run(make_session())
    tool_call = call(run, 1, arguments={"days": "5"}, arguments_run={"days": 5})
    confirm(run, tool_call, answer={"confirmed": True})
    page = boss.read(page_path(run))
    assert "(days: 5)" in folded_line(page)
    assert "changed" not in folded_line(page)
    assert "as the user changed them" not in page
    assert in_order(page, "&quot;days&quot;: &quot;5&quot;", "Arguments that ran", "&quot;days&quot;: 5")


def test_the_line_of_a_call_that_did_not_run_has_what_was_asked_for(boss):
    run = make_run(make_session())
    tool_call = call(run, 1, arguments={"path": "/etc"}, outcome="declined")
    confirm(run, tool_call, answer={"confirmed": False})
    page = boss.read(page_path(run))
    assert "(path: /etc)" in folded_line(page)
    assert "changed" not in folded_line(page)
    assert page.count("<h3>Arguments") == 1


def test_messages_that_are_out_of_the_ordinary(boss):
    session = make_session()
    run = make_run(session)
    say(run, "user", "look at this", 1, parts=[{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}])
    say(run, "tool", "a result from elsewhere", 2, tool_call_id="imported")
    waiting = make_run(session, status="queued", started_at=None, finished_at=None)
    say(waiting, "user", "later", None)
    page = boss.read(page_path(session))
    assert in_order(page, "/picture/0/", "a result from elsewhere", "later")
    assert "waits for its turn" in page
    assert "data:image" in boss.read(page_path(run.messages.get(position=1)))


def test_what_is_long_is_shortened_and_linked(boss):
    session = make_session()
    run = make_run(session)
    long = say(run, "user", "x" * SHOWN + "THE END", 1)
    result = call(run, 2, result="y" * SHOWN + "THE END")
    page = boss.read(page_path(session))
    assert "THE END" not in page
    assert page.count("All of it") == 2
    for row in (long, result):
        assert page_path(row) in page
        assert "THE END" in boss.read(page_path(row))


def test_a_long_conversation_opens_at_its_end(boss):
    session = make_session()
    start = timezone.now()
    for number in range(RUNS_PER_PAGE + 2):
        say(make_run(session, queued_at=start + timedelta(seconds=number)), "user", f"message {number}.", number)
    page = boss.read(page_path(session))
    assert f"message {RUNS_PER_PAGE}." in page
    assert "message 0." not in page
    older = boss.read(page_path(session) + "?page=1")
    assert in_order(older, "message 0.", "message 1.", f"message {RUNS_PER_PAGE - 1}.")
    assert older.count("Newer") == 2
    assert f"message {RUNS_PER_PAGE}." not in older
    assert "message 0." in boss.read(page_path(session) + "?page=nonsense%00")


def test_a_session_without_a_word(boss):
    assert "Nothing was said yet." in boss.read(page_path(make_session(title="")))


def test_a_summary_stands_where_it_begins_to_stand_for_what_was_said(boss):
    session = make_session()
    run = make_run(session)
    for position in range(1, 5):
        say(run, "user" if position % 2 else "assistant", f"message {position}.", position)
    other = make_run(session, queued_at=timezone.now() + timedelta(minutes=1))
    say(other, "user", "message 5.", 5)
    summary = Summary(session=session, upto_position=2, content="They <b>met</b>.", created_at=timezone.now())
    summary.save()
    for row in (session, run):
        page = boss.read(page_path(row))
        assert in_order(page, "message 2.", "a summary stands for what came before", "They &lt;b&gt;met", "message 3.")
    assert "They" not in boss.read(page_path(other))
    kinds = ("session", "run", "message", "toolcall", "confirmation")
    clerk = staff("view_any_session", *(f"view_{kind}" for kind in kinds))
    page = clerk.read(page_path(session))
    assert "message 2." in page and "They" not in page


def test_only_what_the_model_said_is_rendered(boss):
    run = make_run(make_session())
    say(run, "user", "**from a user**", 1)
    say(run, "assistant", "**from the model**", 2)
    page = boss.read(page_path(run))
    assert "<strong>from the model</strong>" in page
    assert "**from a user**" in page


def test_an_error_is_told_once(boss):
    run = make_run(make_session())
    call(run, 1, outcome="failed", error="no such city", result="Error: no such city")
    call(run, 2, outcome="failed", error="half of it", result="Error: half of it, and more")
    page = boss.read(page_path(run))
    assert page.count("no such city") == 1
    assert page.count("half of it") == 2


def test_a_run_s_events_are_one_click_away(boss):
    run = make_run(make_session())
    assert list_path(Event, session=run.session_id, q=run.pk) in unescape(boss.read(page_path(run)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_page_shows_its_row(boss, kind):
    session = make_session(state={"step": ["世界"]})
    run = converse(session)
    row = {Session: session, Run: run}.get(kind) or kind.objects.last()
    page = unescape(boss.read(page_path(row)))
    assert "View " in page
    assert "sessions_app/admin.css" in page
    if kind is not Session:
        assert page_path(session) in page
    else:
        assert '"世界"' in page


def test_an_event_is_shown_as_it_was_sent_but_indented(boss):
    event = log(make_session(), content="你好", step=1)
    page = unescape(boss.read(page_path(event)))
    assert '\n  "content": "你好",\n  "metadata": {\n    "step": 1\n  }\n}' in page


@pytest.mark.parametrize(
    ("content", "shown"),
    [("short", "short"), ("long " * 500, "long long"), ({"confirmed": True}, '"confirmed": true'), (None, "event")],
)
def test_the_list_of_events_shows_their_content(boss, content, shown):
    log(make_session(), content=content)
    page = unescape(boss.read(list_path(Event)))
    assert shown in page
    assert len(page) < 50_000


def test_search_in_the_log(boss):
    session = make_session()
    log(session, content="needle")
    log(session, content="hay")
    log(make_session(), content="needle")
    assert "1 event\n" in boss.read(list_path(Event, session=session.pk, q="needle"))
    assert "0 events\n" in boss.read(list_path(Event, q="needle"))
    assert "1 event\n" in boss.read(list_path(Event, q="step2"))
    assert "3 events\n" in boss.read(list_path(Event, q="+"))
    assert "3 events\n" in boss.read(list_path(Event, name="agent.thinking"))
    assert "0 events\n" in boss.read(list_path(Event, name="agent.error"))


# --- who may do what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_can_be_changed_by_hand(boss, kind):
    converse(make_session())
    row = kind.objects.last()
    before = kind.objects.values().get(pk=row.pk)
    name = f"admin:sessions_app_{kind._meta.model_name}"
    assert boss.get(reverse(f"{name}_add")).status_code == 403
    assert boss.post(reverse(f"{name}_add"), {}).status_code == 403
    assert boss.post(page_path(row), {"title": "changed", "content": "changed"}).status_code == 403
    assert boss.get(reverse(f"{name}_delete", args=[row.pk])).status_code == 403
    assert boss.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    boss.post(list_path(kind), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert kind.objects.values().get(pk=row.pk) == before
    page = boss.read(page_path(row)) + boss.read(list_path(kind))
    for word in ('name="_save"', "deletelink", reverse(f"{name}_add"), "delete_selected"):
        assert word not in page
    assert ('name="action"' in page) is (kind is Run), "runs can be cancelled"


def test_a_user_is_not_deleted_together_with_conversations(boss, ann):
    make_session(ann)
    boss.post(reverse("admin:auth_user_delete", args=[ann.pk]), {"post": "yes"})
    assert Session.objects.filter(user=ann).exists()


@pytest.mark.parametrize("kind", KINDS)
def test_pages_need_the_view_permission(kind):
    converse(make_session())
    row = kind.objects.last()
    clerk = staff()
    assert clerk.get(list_path(kind)).status_code == 403
    assert clerk.get(page_path(row)).status_code == 403
    assert Client().get(page_path(row)).status_code == 302


def test_whoever_may_see_sessions_only_reads_no_messages():
    session = make_session(title="Weather")
    run = converse(session, "a secret")
    clerk = staff("view_session", "view_run", "view_any_session")
    for row in (session, run):
        page = clerk.read(page_path(row))
        assert "You have no permission to read messages and tool calls." in page
        for text in ("a secret", "sunny", "It is fine.", list_path(Message), list_path(Event)):
            assert text not in page
    assert clerk.titles(q="secret") == []
    assert clerk.titles(q="weather") == ["Weather"]


# --- what users and tools say is text ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_markup_is_shown_and_not_obeyed(boss, kind):
    user = User.objects.create_user(f"ann{EVIL}")
    session = make_session(user, agent=EVIL, title=EVIL, state={EVIL: EVIL}, metadata={EVIL: EVIL})
    run = make_run(session, error_code=EVIL, status="failed")
    parts, calls = [{"type": "text", "text": EVIL}], [{"id": EVIL, "name": EVIL, "arguments": EVIL}]
    say(run, "user", EVIL, 1, parts=parts, tool_calls=calls, client_id=EVIL)
    say(run, "tool", EVIL, 2, tool_call_id=EVIL)
    evil = {EVIL: EVIL}
    tool_call = call(run, 3, tool=EVIL, arguments=evil, arguments_run={}, result=EVIL, error=EVIL, outcome="<b>")
    confirm(run, tool_call, question=EVIL, answer={"confirmed": True, **evil}, answered_by=EVIL)
    log(session, "agent.error", EVIL, run_id=str(run.pk), evil=EVIL)
    say(run, "assistant", EVIL, 4, parts=[{"type": EVIL}, {"type": "image_url", "image_url": {"url": EVIL}}])
    span(run, "tool", name=EVIL, step_id=EVIL[:64], finish=EVIL[:64], error=EVIL, outcome="failed")
    Summary.objects.create(session=session, upto_position=1, content=EVIL, created_at=timezone.now())
    attach(session, EVIL)
    row = kind.objects.last()
    narrowed = {"user": user.pk} if kind is Session else {"session": session.pk}
    paths = [page_path(row), list_path(kind), list_path(kind, **narrowed), list_path(kind, q=EVIL)]
    for path in paths:
        page = boss.read(path)
        assert "<script>alert" not in page
        assert "<b>" not in page
        assert "&lt;script&gt;" in page
