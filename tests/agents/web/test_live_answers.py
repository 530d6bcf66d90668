"""Answers that go on: written beside Django, whole or broken, and over when the client leaves."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from agents.web.live_answers import LiveAnswers, answer_live


class Answer:
    """Writes these pieces, and then waits for ever or ends so."""

    def __init__(self, *pieces, end=None):
        self.pieces, self.end, self.happened = pieces, end, []

    async def run(self, write):
        try:
            for piece in self.pieces:
                await write(piece)
            if self.end is None:
                await asyncio.Event().wait()
            return self.end
        finally:
            self.happened.append("ran")

    def close(self):
        self.happened.append("closed")


async def exchange(answer, *, leaves=False, fails=False, told=False):
    """What was sent, when the client leaves after the first piece, Django fails, or was told that the client left."""
    sent, wrote = [], asyncio.Event()

    async def django(scope, receive, send):
        answer_live(SimpleNamespace(scope=scope), answer)
        if fails:
            raise RuntimeError("the view failed")
        headers = [(b"Content-Type", b"text/event-stream"), (b"Content-Length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        if told:
            assert (await receive())["type"] == "http.disconnect"

    async def receive():
        if not told:
            await wrote.wait()
        if not (leaves or told):
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if message["type"] == "http.response.body":
            wrote.set()

    await LiveAnswers(django)({"type": "http"}, receive, send)
    return sent


async def test_what_has_an_end_is_complete():
    answer = Answer(b"a", b"b", end=True)
    start, *body = await exchange(answer)
    assert start["headers"] == [(b"Content-Type", b"text/event-stream")], "nobody knows how long it will be"
    assert [(part["body"], part["more_body"]) for part in body] == [(b"a", True), (b"b", True), (b"", False)]
    assert answer.happened == ["ran", "closed"]


async def test_what_has_none_is_left_incomplete():
    answer = Answer(b"a", end=False)
    assert [part.get("more_body") for part in await exchange(answer)] == [None, True]
    assert answer.happened == ["ran", "closed"]


async def test_it_is_over_when_the_client_leaves():
    answer = Answer(b"a")
    assert len(await exchange(answer, leaves=True)) == 2
    assert answer.happened == ["ran", "closed"]


async def test_nothing_is_written_for_a_client_that_left_before():
    answer = Answer(b"a")
    assert len(await exchange(answer, told=True)) == 1
    assert answer.happened == ["closed"]


async def test_what_never_began_is_closed():
    answer = Answer(b"a")
    with pytest.raises(RuntimeError):
        await exchange(answer, fails=True)
    assert answer.happened == ["closed"]


async def test_other_answers_pass():
    sent = []

    async def django(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        await send({"type": "http.response.body", "body": b"x"})

    async def send(message):
        sent.append(message)

    await LiveAnswers(django)({"type": "http"}, None, send)
    assert [len(message) for message in sent] == [3, 2]
