"""Requests that a view hands over to an ASGI application."""

from __future__ import annotations

import asyncio

import pytest
from django.http import HttpRequest

from agents.web.live_answers import LiveAnswers, hand_over


class Application:
    """Answers with what it was given; the test says how it goes on."""

    body = b"what was asked"

    def __init__(self, *rest):
        self.rest = rest
        self.received = []
        self.is_closed = False

    async def __call__(self, scope, receive, send):
        self.received.append(await receive())
        headers = [(b"Content-Type", b"text/plain"), (b"cache-control", b"public"), (b"connection", b"keep-alive")]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        for step in self.rest:
            if step == "leaves":
                self.received.append(await receive())
                self.received.append(await receive())
            else:
                await send({"type": "http.response.body", **step})

    def close(self):
        self.is_closed = True


async def asked(answer, *, has_left=False):
    """What is sent to a client, which leaves after its request."""
    sent = []
    scope = {"type": "http"}

    async def django(scope, receive, send):
        request = HttpRequest()
        request.scope = scope
        if has_left:
            await receive()
        hand_over(request, answer)
        headers = [(b"Cache-Control", b"no-store"), (b"Content-Type", b"text/html"), (b"Content-Length", b"3")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"old", "more_body": False})

    leaving = [{"type": "http.disconnect"}]

    async def receive():
        if not leaving:
            await asyncio.Event().wait()
        return leaving.pop()

    async def send(message):
        sent.append(message)

    await LiveAnswers(django)(scope, receive, send)
    return sent


LAST = {"body": b"said", "more_body": False}


async def test_it_answers_with_the_headers_of_the_view_before_its_own():
    answer = Application(LAST)
    start, body = await asked(answer)
    assert (start["status"], body["body"], body["more_body"]) == (202, b"said", False)
    assert start["headers"] == [(b"Cache-Control", b"no-store"), (b"Content-Type", b"text/plain")]
    assert answer.received == [{"type": "http.request", "body": b"what was asked", "more_body": False}]
    assert answer.is_closed


async def test_it_is_told_when_the_client_leaves_as_often_as_it_asks():
    answer = Application("leaves", LAST)
    await asked(answer)
    assert [message["type"] for message in answer.received[1:]] == ["http.disconnect"] * 2


async def test_what_was_asked_is_done_also_where_the_client_has_left():
    answer = Application("leaves", LAST)
    sent = await asked(answer, has_left=True)
    assert [message["type"] for message in answer.received] == ["http.request", *["http.disconnect"] * 2]
    assert sent[-1]["body"] == b"said" and answer.is_closed


async def test_where_it_does_not_end_nothing_ends_its_answer():
    sent = await asked(Application({"body": b"half", "more_body": True}))
    assert [message.get("more_body") for message in sent] == [None, True]


async def test_its_failure_is_that_of_the_request():
    answer = Application()
    answer.rest = [1]
    with pytest.raises(TypeError):
        await asked(answer)
    assert answer.is_closed
