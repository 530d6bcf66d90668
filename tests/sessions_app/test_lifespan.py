"""What the lifespan of the application says when it cannot begin."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from myagent import i18n
from sessions_app import lifespan

REFUSED = "connection to server at 127.0.0.1 failed: Connection refused"


@pytest.mark.parametrize(
    ("error", "said", "has_traceback"),
    [
        # It went away between the first look of the command and the start.
        (OperationalError(REFUSED), f"The database cannot be used: {REFUSED}\n   Check that PostgreSQL runs", False),
        (RuntimeError("a mistake of ours"), "a mistake of ours", True),
    ],
)
async def test_a_database_that_is_away_is_no_mistake_of_ours(error, said, has_traceback, monkeypatch, caplog):
    async def fails(_config):
        raise error

    async def startup():
        return {"type": "lifespan.startup"}

    answers = []

    async def send(message):
        answers.append(message)

    monkeypatch.setattr(lifespan, "_start", fails)
    monkeypatch.setattr(i18n, "_language", "en")
    monkeypatch.setattr("agents.database.trouble.require_answer", lambda: None)
    await lifespan.lifespan({}, startup, send)
    (answer,) = answers
    assert answer["type"] == "lifespan.startup.failed" and answer["message"].startswith(said)
    assert ("Traceback" in caplog.text) is has_traceback
