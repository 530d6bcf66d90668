"""Answers that are sent late: so many seconds, with the connection to the database handed back, and others at once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agents.web import late_answers
from agents.web.late_answers import LateAnswers, send_late


@pytest.fixture
def slept(monkeypatch):
    happened = []

    async def sleep(seconds):
        happened.append(seconds)

    monkeypatch.setattr(late_answers.asyncio, "sleep", sleep)
    monkeypatch.setattr("channels.db.close_old_connections", lambda: happened.append("connection handed back"))
    return happened


async def answer(seconds):
    sent = []

    async def application(scope, receive, send):
        send_late(SimpleNamespace(scope=scope), seconds)
        await send({"type": "http.response.start"})
        await send({"type": "http.response.body"})

    async def send(message):
        sent.append(message["type"])

    await LateAnswers(application)({"type": "http"}, None, send)
    return sent


async def test_an_answer_is_late_once(slept):
    assert await answer(1.5) == ["http.response.start", "http.response.body"]
    assert slept == ["connection handed back", "connection handed back", 1.5]


async def test_others_are_not(slept):
    assert await answer(0) == ["http.response.start", "http.response.body"]
    assert slept == []


def test_without_an_asgi_server_nothing_is_late(rf):
    send_late(rf.get("/"), 1.5)
