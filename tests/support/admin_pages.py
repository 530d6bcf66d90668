"""Stored conversations for tests of the admin, made by hand, and somebody who reads the pages."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from sessions_app.files import file_store
from sessions_app.files.file_kinds import kind_of
from sessions_app.models import Confirmation, Event, Message, Run, Session, SessionFile, Span, Summary, ToolCall

KINDS = [Session, Run, Message, ToolCall, Confirmation, Event, Span, SessionFile]
EVIL = "<script>alert('evil')</script>"


def list_path(kind, **parameters):
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return f"{reverse(f'admin:sessions_app_{kind._meta.model_name}_changelist')}?{query}"


def page_path(row):
    return reverse(f"admin:sessions_app_{type(row)._meta.model_name}_change", args=[row.pk])


class Visitor(Client):
    """Somebody who reads English pages."""

    def read(self, path):
        response = self.get(path, headers={"accept-language": "en"})
        assert response.status_code == 200, (path, response.status_code)
        return response.content.decode()

    def titles(self, **parameters):
        """The titles of the sessions that the list shows."""
        response = self.get(list_path(Session, **parameters), headers={"accept-language": "en"})
        assert response.status_code == 200
        return sorted(session.title for session in response.context["cl"].result_list)


@pytest.fixture
def ann():
    return User.objects.create_user("ann")


@pytest.fixture
def boss():
    visitor = Visitor()
    visitor.force_login(User.objects.create_superuser("boss"))
    return visitor


def make_session(user=None, *, agent="weather", title="Weather", **columns):
    now = timezone.now()
    return Session.objects.create(
        **{"agent": agent, "user": user, "title": title, "created_at": now, "active_at": now, **columns}
    )


def make_run(session, **columns):
    now = timezone.now()
    times = {"queued_at": now, "started_at": now, "finished_at": now + timedelta(milliseconds=2500)}
    return Run.objects.create(session=session, **{"status": "succeeded", **times, **columns})


def say(run, role, content, position, **columns):
    return Message.objects.create(
        session=run.session,
        run=run,
        role=role,
        content=content,
        position=position,
        created_at=timezone.now(),
        **columns,
    )


def call(run, position, **columns):
    given = {"tool": "get_weather", "arguments": {"city": "Paris"}, "result": "sunny", "outcome": "success"}
    return ToolCall.objects.create(
        run=run,
        step=1,
        index=position,
        call_id=f"call{position}",
        step_id=uuid.uuid4().hex,
        position=position,
        status="done",
        duration_ms=12,
        asked_at=timezone.now(),
        **{**given, **columns},
    )


def log(session, name="agent.thinking", content="thinking", **metadata):
    session.last_seq += 1
    frame = {"event": name, "session_id": str(session.pk), "content": content, "metadata": metadata}
    return Event.objects.create(
        session=session,
        seq=session.last_seq,
        name=name,
        step_id=f"step{session.last_seq}",
        frame=json.dumps(frame, ensure_ascii=False),
        created_at=timezone.now(),
    )


def confirm(run, tool_call=None, **columns):
    now = timezone.now()
    times = {"asked_at": now, "expires_at": now + timedelta(seconds=300)}
    return Confirmation.objects.create(
        run=run, tool_call=tool_call, step_id=uuid.uuid4().hex, **{"question": "May I?", **times, **columns}
    )


def span(run, kind="reply", at=0.0, **columns):
    """A traced call that begins `at` seconds after its run."""
    given = {"name": "gpt-4o", "epoch": 1, "step": 1, "outcome": "ok", "duration_ms": 500}
    started = run.started_at + timedelta(seconds=at)
    return Span.objects.create(run=run, kind=kind, started_at=started, **{**given, **columns})


def converse(session, text="How is the weather?", position=1):
    """A whole run: question, call with its confirmation, result, answer, and something in the log."""
    run = make_run(session, input_tokens=111, output_tokens=22, llm_calls=2)
    say(run, "user", text, position)
    asks = [{"id": f"call{position + 2}", "name": "get_weather", "arguments": '{"city": "Paris"}'}]
    say(run, "assistant", "", position + 1, tool_calls=asks)
    tool_call = call(run, position + 2)
    say(run, "tool", "sunny", position + 2, tool_call_id=f"call{position + 2}")
    confirm(run, tool_call, answer={"confirmed": True}, answered_by="ann", answered_at=timezone.now())
    say(run, "assistant", "It is fine.", position + 3)
    log(session, "agent.final_answer", "It is fine.", run_id=str(run.pk))
    span(run, first_token_ms=100, input_tokens=100, output_tokens=20)
    span(run, "tool", 0.5, name="get_weather", step_id=tool_call.step_id)
    attach(session)
    Summary.objects.create(session=session, upto_position=position, content="They met.", created_at=timezone.now())
    return run


def attach(session, name="报告.txt", content=b"what was attached"):
    """A file of the session."""
    file = ContentFile(content)
    row = file_store.store(file, kind_of(file, name))
    return SessionFile.objects.create(session=session, file=row, name=name, created_at=timezone.now())


def in_order(page, *texts):
    places = [page.index(text) for text in texts]
    assert places == sorted(places), dict(zip(texts, places, strict=True))
    return True


def queries(visitor, path):
    visitor.read(path)  # content types are kept from the first time on
    with CaptureQueriesContext(connection) as captured:
        visitor.read(path)
    return [query["sql"] for query in captured.captured_queries]


def staff(*permissions):
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    visitor = Visitor()
    visitor.force_login(user)
    return visitor
