"""Lists and pages of conversations say words where rows have only ids, and a question shows what it is about."""

from __future__ import annotations

from django.utils.translation import override

from agents.models import HostedAgent
from sessions_app.models import Confirmation, Message, Run, Session
from tests.support.admin_pages import call, confirm, converse, list_path, make_run, make_session, page_path, say, staff
from tests.support.entries import database

pytestmark = database
ARGUMENTS = {"account": "DE89 3704", "amount": 125000.5, "reason": "付款说明 💶"}


def waiting():
    """A question that waits for an answer."""
    run = make_run(make_session(), status="waiting", finished_at=None)
    say(run, "user", "Pay the invoice", 1)
    asked = call(run, 2, tool="transfer", arguments=ARGUMENTS, result="", outcome="")
    return confirm(run, asked)


def test_a_run_is_called_what_was_said(boss):
    run = converse(make_session(), "How is the weather in 上海?")
    assert ">How is the weather in 上海?</a>" in boss.read(list_path(Run))
    page = boss.read(page_path(run))
    assert "<h2>How is the weather in 上海?</h2>" in page


def test_who_may_not_read_messages_is_not_told_them():
    run = converse(make_session(), "My secret")
    visitor = staff("view_run", "view_any_session")
    assert "My secret" not in visitor.read(list_path(Run)) + visitor.read(page_path(run))
    assert visitor.read(list_path(Run)).count('<th class="field-badge') == 1


def test_a_session_without_a_title_says_so(boss):
    session = make_session(title="")
    assert f"without a title ({str(session.pk)[:8]})" in boss.read(list_path(Session))


def test_a_waiting_question_shows_its_arguments(boss):
    question = waiting()
    listed = boss.read(list_path(Confirmation))
    # PostgreSQL has an order of its own for the keys of JSON.
    for words in ("transfer(", "account: DE89 3704", "amount: 125000.5", "reason: 付款说明 💶"):
        assert words in listed
    page = boss.read(page_path(question))
    assert "&quot;amount&quot;: 125000.5" in page and "付款说明 💶" in page


def test_a_call_that_waits_for_a_person_is_open_in_its_conversation(boss):
    question = waiting()
    assert '<details class="called" open>' in boss.read(page_path(question.run.session))
    Confirmation.objects.update(answer={"confirmed": True})
    assert '<details class="called">' in boss.read(page_path(question.run.session))


def test_a_question_of_no_call_has_no_arguments(boss):
    question = confirm(make_run(make_session()))
    assert boss.read(page_path(question)) and boss.read(list_path(Confirmation))


def test_titles_that_are_cut_say_so():
    run = make_run(make_session())
    with override("en"):
        assert str(Message(run=run, role="user", content="x" * 100)).endswith("x…")
        assert str(Confirmation(question="y" * 100)).endswith("y…")


def test_an_agents_model_is_in_the_list(boss):
    HostedAgent.objects.create(name="clock", model="some-model")
    assert ">some-model</td>" in boss.read("/admin/agents/hostedagent/")
