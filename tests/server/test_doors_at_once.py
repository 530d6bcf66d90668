"""The same request at one door several times at the same moment, as by a double click or by clients that try again."""

from __future__ import annotations

import asyncio
import json

import httpx2
import pytest

from tests.support.patience import WAIT_SECONDS
from tests.support.program_door import NativeDoor
from tests.support.program_doors import DOORS

AGENT = "recovering"
SERVER = {"files": (f"{AGENT}.py",)}
ANSWERING = [kind for kind in DOORS if kind.answers_questions and kind is not NativeDoor]
"""Those by which the same answer may be given again; our own tells who comes second."""


@pytest.mark.database
@pytest.mark.parametrize("kind", ANSWERING, ids=lambda kind: kind.name)
async def test_the_same_answer_at_once_does_no_harm(server, tmp_path, kind):
    base = f"http://127.0.0.1:{server.port}"
    async with httpx2.AsyncClient(base_url=base, timeout=WAIT_SECONDS, trust_env=False) as client:
        session = (await client.post("/api/sessions/", json={"agent": AGENT})).json()["session_id"]
        door, path = kind(client, AGENT, session), tmp_path / "written"
        words = "call:write " + json.dumps({"path": str(path), "text": "once"})
        async with door.say(words, "m") as heard:
            question = (await heard.whole()).question

        async def approve() -> None:
            async with door.approve(question, words, "m") as heard:
                await heard.whole()

        await asyncio.gather(*(approve() for _ in range(8)))
    assert path.read_text() == "once"
