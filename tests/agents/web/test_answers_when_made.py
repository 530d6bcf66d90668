"""Answers that are made as a whole after their view has returned."""

from __future__ import annotations

import asyncio

import pytest
from django.http import HttpRequest, HttpResponse

from agents.web.live_answers import LiveAnswers, answer_when_made


class Waiting:
    """An answer that is made once the test says so."""

    def __init__(self):
        self.may_be_made = asyncio.Event()
        self.is_closed = False

    async def made(self):
        await self.may_be_made.wait()
        return HttpResponse(b"made", status=502, content_type="text/plain", headers={"X-Own": "made"})

    def close(self):
        self.is_closed = True


async def asked(answer, leave):
    """What is sent to a client, which leaves when `leave` is set."""
    sent = []

    async def application(scope, receive, send):
        request = HttpRequest()
        request.scope = scope
        answer_when_made(request, answer)
        headers = [(b"X-Own", b"of the view"), (b"X-Request-Id", b"1"), (b"Content-Length", b"3")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"old", "more_body": False})

    async def receive():
        await leave.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await LiveAnswers(application)({"type": "http"}, receive, send)
    return sent


async def test_status_headers_and_body_are_those_of_the_answer():
    answer = Waiting()
    asking = asyncio.create_task(asked(answer, asyncio.Event()))
    await asyncio.sleep(0)
    answer.may_be_made.set()
    start, *bodies = await asking
    assert start["status"] == 502
    assert sorted(start["headers"]) == [
        (b"X-Request-Id", b"1"),
        (b"content-length", b"4"),
        (b"content-type", b"text/plain"),
        (b"x-own", b"made"),
    ]
    assert b"".join(body["body"] for body in bodies) == b"made" and not bodies[-1]["more_body"]
    assert answer.is_closed


async def test_who_leaves_before_is_sent_nothing():
    answer, leave = Waiting(), asyncio.Event()
    asking = asyncio.create_task(asked(answer, leave))
    await asyncio.sleep(0)
    leave.set()
    assert await asking == []
    assert answer.is_closed


async def test_an_answer_that_fails_is_the_fault_of_the_application():
    answer = Waiting()
    answer.made = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        await asked(answer, asyncio.Event())
    assert answer.is_closed
