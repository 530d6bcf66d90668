"""Runs that are found by their id, or by what was said."""

import uuid

import orjson
import pytest
from django.contrib.auth import get_user_model

from sessions_app.models import Message, Run
from sessions_app.web.mcp_door import run_lookup
from tests.support import entries as e

pytestmark = e.database


@pytest.fixture
def ann():
    return get_user_model().objects.create_user("ann")


def test_a_run_is_of_its_user(session, ann):
    own = e.running(e.new_session(user_id=ann.pk))
    facts = run_lookup.run_facts(own.run_id, ann.pk)
    assert (facts.id, facts.session_id, facts.agent, facts.is_over) == (own.run_id, own.session_id, "tester", False)
    assert facts.queued_at <= facts.changed_at
    assert run_lookup.run_facts(own.run_id, None) is None
    assert run_lookup.run_facts(uuid.uuid4(), ann.pk) is None
    assert run_lookup.run_facts(e.running(session).run_id, ann.pk) is not None, "an anonymous one is found by its id"


def test_questions_as_long_as_they_are_open(session):
    ref = e.running(session)
    assert run_lookup.open_questions(ref.run_id) == []
    call = e.call_of()
    e.commit_one(e.reply(ref, call))
    asked = e.question(ref, call)
    e.commit_one(asked)
    step_id = asked.step_id
    assert run_lookup.open_questions(ref.run_id) == [step_id]
    (frame,) = run_lookup.newest_frames(session, ref.run_id, {"agent.user_confirm"}, 1)
    assert orjson.loads(frame)["step_id"] == step_id
    assert run_lookup.newest_frames(session, uuid.uuid4(), {"agent.user_confirm"}, 1) == []
    assert run_lookup.run_facts(ref.run_id, None).changed_at >= run_lookup.run_facts(ref.run_id, None).queued_at


def test_what_was_said_before_is_found_while_its_run_has_not_ended(ann):
    session = e.new_session(user_id=ann.pk)
    ref = e.running(session)
    Message.objects.filter(run_id=ref.run_id).update(client_id="mcp-print-1")
    found = run_lookup.Said("mcp-print-1", session)
    assert run_lookup.said_before("mcp-print-", "tester", ann.pk, None) == found
    assert run_lookup.said_before("mcp-print-", "tester", ann.pk, session) == found
    for other in (
        ("mcp-other-", "tester", ann.pk, None),
        ("mcp-print-", "another", ann.pk, None),
        ("mcp-print-", "tester", None, None),
        ("mcp-print-", "tester", ann.pk, e.new_session(user_id=ann.pk)),
    ):
        assert run_lookup.said_before(*other) is None
    Run.objects.filter(pk=ref.run_id).update(status=Run.Status.SUCCEEDED, finished_at=ref_time(ref))
    assert run_lookup.said_before("mcp-print-", "tester", ann.pk, None) is None


def ref_time(ref):
    return Run.objects.get(pk=ref.run_id).queued_at
