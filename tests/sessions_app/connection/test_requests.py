"""Requests of clients, without a socket and a database."""

from __future__ import annotations

import uuid
from types import SimpleNamespace

import pytest

from myagent.protocol.client_events import UserAck
from sessions_app.connection.requests import acknowledge
from sessions_app.delivery.attachment import Attachment

S = str(uuid.uuid4())


@pytest.mark.parametrize(("seq", "noted"), [(0, [0]), (5, [5]), (6, []), (2**60, [])])
async def test_what_a_client_cannot_have_is_not_acknowledged(seq, noted):
    attachment = Attachment()
    attachment.follow("weather", 5)
    requester = SimpleNamespace(pump=SimpleNamespace(attachment=lambda session_id: attachment))
    heard = []
    engine = SimpleNamespace(acknowledge=lambda session_id, seq: heard.append(seq))
    await acknowledge(engine, requester, UserAck.model_validate({"event": "user.ack", "session_id": S, "seq": seq}))
    assert heard == noted


async def test_an_acknowledgement_that_names_nothing_asks_nobody():
    await acknowledge(None, None, UserAck.model_validate({"event": "user.ack", "last_seq": 5}))
