"""Who did what: tokens, agents, budgets, cancels, answers. By people through connections, and on the command line."""

from __future__ import annotations

import getpass
from io import StringIO

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import User
from django.core.management import call_command

from agents.access.system_user import SYSTEM_USERNAME, operator, system_user
from agents.audit import note_command
from agents.models import AccessToken, HostedAgent
from myagent import i18n
from sessions_app.journal.entries.sessions import AnswerConfirmation, CancelRuns, CloseSession
from sessions_app.models import Confirmation, Run
from tests.support.entries import (
    call_of,
    commit,
    commit_one,
    database,
    new_session,
    post,
    question,
    refusals,
    reply,
    running,
    statuses,
)

pytestmark = database


@pytest.fixture(autouse=True)
def in_english(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")


@pytest.fixture
def ann():
    return User.objects.create_user("ann")


def entries(model) -> list[tuple[str, str, int, str]]:
    """Who did what to objects of this kind: name, key, kind of change, words."""
    rows = LogEntry.objects.filter(
        content_type__app_label=model._meta.app_label, content_type__model=model._meta.model_name
    )
    return [
        (row.user.username, row.object_id, row.action_flag, row.get_change_message()) for row in rows.order_by("pk")
    ]


# --- on the command line ----------------------------------------------------------------------------------------------


def test_a_token_is_made_by_somebody(ann):
    call_command("createtoken", "ann", "--name", "ci", stdout=StringIO())
    token = AccessToken.objects.get()
    words = f"Made for ann. On the command line, by {getpass.getuser()}."
    assert entries(AccessToken) == [("manage.py", str(token.pk), ADDITION, words)]
    (row,) = LogEntry.objects.all()
    assert row.object_repr == str(token)


def test_agents_are_switched_by_somebody():
    for name in ("a", "b"):
        HostedAgent.objects.create(name=name)
    for arguments in (("disable", "a", "b"), ("enable", "b"), ("reload", "a")):
        call_command("agents", *arguments, stdout=StringIO())
    assert [(user, flag, words.partition(" On the")[0]) for user, _, flag, words in entries(HostedAgent)] == [
        ("manage.py", CHANGE, "a is switched off."),
        ("manage.py", CHANGE, "b is switched off."),
        ("manage.py", CHANGE, "b is switched on."),
        ("manage.py", CHANGE, "Requested a reload."),
    ]


def test_nobody_can_be_the_user_of_the_command_line():
    user = system_user()
    assert system_user() == user
    assert (user.username, user.is_active, user.is_staff, user.has_usable_password()) == (
        SYSTEM_USERNAME,
        False,
        False,
        False,
    )


def test_whoever_has_no_name_has_a_number(monkeypatch):
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert operator().startswith("uid ")
    note_command(HostedAgent.objects.create(name="a"), "Done.")
    assert operator() in LogEntry.objects.get().change_message


# --- by people --------------------------------------------------------------------------------------------------------


def test_a_cancel_names_each_run_and_who_wanted_it(ann):
    session_id = new_session(user_id=ann.pk)
    first, second = running(session_id), post(session_id)
    commit_one(CancelRuns(session_id=session_id, by=ann.pk))
    assert entries(Run) == [
        ("ann", str(first.run_id), CHANGE, "Cancelled (user)."),
        ("ann", str(second.run_id), CHANGE, "Cancelled (user)."),
    ]


def test_closing_a_session_cancels_too(ann):
    ref = running(new_session(user_id=ann.pk))
    commit_one(CloseSession(session_id=ref.session_id, by=ann.pk))
    assert entries(Run) == [("ann", str(ref.run_id), CHANGE, "Cancelled (session_closed).")]


def test_one_run_can_be_cancelled_alone(ann):
    session_id = new_session(user_id=ann.pk)
    running(session_id)
    second = post(session_id)
    post(session_id)
    commit_one(CancelRuns(session_id=session_id, by=ann.pk, only=second.run_id, reason="staff"))
    assert statuses(session_id) == ["running", "cancelled", "queued"]
    assert [key for _, key, *_ in entries(Run)] == [str(second.run_id)]


def test_nothing_is_noted_of_nobody_and_of_nothing(ann):
    ref = running(new_session())
    commit_one(CancelRuns(session_id=ref.session_id))
    commit_one(CancelRuns(session_id=ref.session_id, by=ann.pk))
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(("confirmed", "words"), [(True, "Answered with yes."), (False, "Answered with no.")])
def test_an_answer_names_its_question_and_who_gave_it(ann, confirmed, words):
    ref = running(new_session(user_id=ann.pk))
    commit_one(reply(ref, call := call_of(waits=True)))
    commit_one(asked := question(ref, call))
    answer = AnswerConfirmation(
        session_id=ref.session_id,
        step_id=asked.step_id,
        answer={"confirmed": confirmed},
        by="ann",
        by_user=ann.pk,
        origin="c",
    )
    assert refusals(commit(answer, answer)) == [None, "no_pending_confirmation"]
    assert entries(Confirmation) == [("ann", asked.step_id, CHANGE, words)]
