"""`python -m myagent.conformance`: our server keeps every rule, and each defect that is planted before it is found."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace

import pytest

from myagent.conformance.__main__ import verdicts_of
from myagent.conformance.asked_server import Server
from myagent.conformance.checks import CHECKS
from tests.support.defective_server import (
    Defect,
    defective,
    dropped,
    event,
    every,
    having,
    late_by_one,
    next_number,
    only,
    telling,
    twice,
)
from tests.support.paths import ROOT

pytestmark = pytest.mark.database
SERVER = {
    "files": (str(ROOT / "examples/confirmation.py"),),
    "options": ("--llm", "demo", "--language", "en"),
}
CONFIRM = "Delete report.txt"
SILENCE_SECONDS = 2
"""How long what never comes is waited for."""


@pytest.fixture(scope="module")
def asked(running_server):
    ann, bob = (running_server.manage("createtoken", name, "--create-user").strip() for name in ("ann", "bob"))
    return Server(running_server.url, token=ann, other_token=bob, confirm=CONFIRM)


async def verdicts(server, *names):
    """What came of these checks, of all of them without names."""
    chosen = [check for check in CHECKS if not names or check.name in names]
    return [verdict async for verdict in verdicts_of(server, chosen)]


@pytest.mark.slow
async def test_our_server_keeps_every_rule(asked):
    found = await verdicts(asked)
    assert [(verdict.check.name, verdict.words) for verdict in found if verdict.outcome != "kept"] == []
    assert len(found) == len(CHECKS)


piece, answer = event("agent.partial_answer"), event("agent.final_answer")
refusal = event("system.error", "agent.error")


def is_replay(frame):
    return frame["metadata"].get("action") == "replay"


DEFECTS = {
    "no timestamp": ("runs", "'timestamp' is a required", lambda: Defect(only(piece, having(timestamp=None)))),
    "a text that is a number": ("runs", "7 is not of type", lambda: Defect(only(answer, having(content=7)))),
    "a piece that is lost": ("runs", "pieces in step", lambda: Defect(only(every(3, piece), dropped))),
    "a piece that comes twice": ("runs", "came after seq", lambda: Defect(only(every(3, piece), twice))),
    "pieces in another order": ("runs", "came after seq", lambda: Defect(late_by_one(piece))),
    "an answer that is not its pieces": ("runs", "not its answer", lambda: Defect(only(answer, having(content="x")))),
    "an event id of its own": ("runs", "has the event_id", lambda: Defect(only(piece, having(event_id="x-1")))),
    "a run without an end": ("runs", "did not come within", lambda: Defect(only(answer, dropped))),
    "a run with two ends": ("every_number", "after the end of its run", lambda: Defect(only(answer, next_number))),
    "a logged event without a number": (
        "runs", "it has no seq", lambda: Defect(only(piece, having(seq=None, event_id=None))),
    ),
    "no greeting": ("greeting", "did not come within", lambda: Defect(only(event("system.connected"), dropped))),
    "a refusal without its request id": (
        "bad_fields", "did not come within", lambda: Defect(only(refusal, telling(request_id=None))),
    ),
    "a refusal with another code": ("bad_fields", "was due", lambda: Defect(only(refusal, telling(code="wrong")))),
    "a refusal without a code": (
        "no_events", "'code' is a required", lambda: Defect(only(refusal, telling(code=None))),
    ),
    "a replay that changes": (
        "every_number", "replay from", lambda: Defect(only(every(3, answer), telling(duration_ms=1))),
    ),
    "a replay that lacks something": ("every_number", "replay from", lambda: Defect(only(every(3, answer), dropped))),
    "a wrong end of the log": (
        "every_number", "the log ends with", lambda: Defect(only(is_replay, telling(last_seq=1000))),
    ),
    "a cancel that is not heard": (
        "idle_cancels", "did not come within", lambda: Defect(received=only(event("user.cancel"), dropped)),
    ),
    "a run that goes on after a cancel": (
        "cancels", "not checked", lambda: Defect(received=only(event("user.cancel"), dropped)),
    ),
    "two runs for one message": (
        "repeated_messages", "has two runs",
        lambda: Defect(received=only(event("user.message"), telling(message_id=None))),
    ),
    "a yes of any kind": (
        "unclear", "did not come within", lambda: Defect(received=only(event("user.response"), having(content=True))),
    ),
    "a no that is a yes": (
        "no", "came to success", lambda: Defect(received=only(event("user.response"), having(content=True))),
    ),
    "an answer to an acknowledgement": (
        "acknowledgements", "was answered with",
        lambda: Defect(received=only(event("user.ack"), having(event="user.fly", metadata=None))),
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", DEFECTS)
async def test_a_defect_is_found(asked, name):
    check, words, plant = DEFECTS[name]
    async with defective(asked.url, plant) as url:
        patience = SILENCE_SECONDS if words == "did not come within" else asked.patience
        (verdict,) = await verdicts(replace(asked, url=url, patience=patience), check)
    assert words in f"{verdict.words} ({verdict.outcome})"
    assert verdict.outcome == ("not checked" if words == "not checked" else "broken")


@pytest.mark.parametrize("check", ["foreign_sessions", "foreign_lists"])
async def test_a_stranger_who_is_taken_for_the_owner_is_found(asked, check):
    async with defective(asked.url, lambda: Defect(token=asked.token)) as url:
        (verdict,) = await verdicts(replace(asked, url=url), check)
    assert verdict.outcome == "broken"


async def test_a_session_of_another_user_that_is_told_from_none_is_found(asked):
    seen = set()

    def forbidden(frame):
        """What a server says that looks first whether the session is there."""
        is_known = frame["event"] == "user.cancel" and frame["session_id"] in seen
        return [{**frame, "event": "user.close_session", "session_id": 7}] if is_known else [frame]

    def remembered(frame):
        seen.add(frame.get("session_id"))
        return [frame]

    plant = lambda: Defect(only(event("agent.session_created"), remembered), forbidden)  # noqa: E731
    async with defective(asked.url, plant) as url:
        (verdict,) = await verdicts(replace(asked, url=url), "foreign_sessions")
    assert verdict.outcome == "broken" and verdict.words.startswith("user.cancel of another's session")


async def command(*arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "myagent.conformance",
        "--language",
        "en",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_command_tells_what_it_found(asked):
    code, out, _err = await command(asked.url, "--token", asked.token, "--only", "idle*", "--only", "yes")
    assert code == 0
    assert "✓ idle_cancels: " in out and "– yes: " in out and "--confirm" in out
    assert out.endswith("1 kept, 0 broken, 1 not checked\n")
    async with defective(asked.url, lambda: Defect(only(answer, having(content="x")))) as url:
        code, out, _err = await command(url, "--token", asked.token, "--only", "runs", "--json")
    assert code == 1
    assert [(row["check"], row["outcome"]) for row in json.loads(out)] == [("runs", "broken")]


async def test_the_command_says_why_it_cannot_ask(asked):
    code, _out, err = await command("ws://127.0.0.1:9/")
    assert code == 2 and "ws://127.0.0.1:9/ cannot be asked" in err
    code, _out, err = await command("http://127.0.0.1:9/")
    assert code == 2 and "cannot be asked" in err
    code, _out, err = await command(asked.url, "--only", "nothing")
    assert code == 2 and "No check is called nothing" in err
    code, out, _err = await command(asked.url, "--list")
    assert code == 0 and len(out.splitlines()) == len(CHECKS)
