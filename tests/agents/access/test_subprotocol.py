"""What is made of the subprotocols that a client offers."""

from __future__ import annotations

import pytest

from agents.access.handshake import Handshake
from agents.access.subprotocol import acceptance, offered_token
from agents.conf import Config

TOKEN = "mya_abcdefghijklmnop"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2ln"


def scope(*offered, query=b"", headers=()):
    return {"subprotocols": list(offered), "query_string": query, "headers": list(headers), "client": ("::1", 1)}


@pytest.mark.parametrize(
    ("offered", "token", "answer"),
    [
        ([], None, None),
        (["bearer", TOKEN], TOKEN, "bearer"),
        (["bearer", JWT], JWT, "bearer"),
        (["chat.v1", "bearer", "not-one-of-ours"], "not-one-of-ours", "bearer"),
        (["bearer", TOKEN, "chat.v1"], TOKEN, "bearer"),
        (["bearer"], None, "bearer"),
        (["chat.v1", "chat.v2"], None, "chat.v1"),
        ([TOKEN], None, None),
        ([JWT, "chat.v1"], None, "chat.v1"),
    ],
)
def test_one_is_chosen_that_is_no_token(offered, token, answer):
    assert offered_token(scope(*offered)) == token
    assert acceptance(scope(*offered)).get("subprotocol") == answer


def test_a_token_elsewhere_comes_first():
    def token(*offered, **options):
        return Handshake.from_scope(scope(*offered, **options), Config()).token

    assert token("bearer", TOKEN) == TOKEN
    assert token("bearer", TOKEN, query=b"token=other") == "other"
    assert token("bearer", TOKEN, headers=[(b"authorization", b"Bearer other")]) == "other"
    assert token("bearer", TOKEN, headers=[(b"authorization", b"Basic other")]) == TOKEN
