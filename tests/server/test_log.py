"""What a real server writes to its log while it works: a line for each run, and with `--debug` everything."""

from __future__ import annotations

import re

import pytest

from tests.conftest import connected
from tests.support.conversation import ended, turn
from tests.support.model_replies import Status, text

pytestmark = pytest.mark.database
SERVER = {"options": ("--debug",)}


def run_lines(server, run_id):
    return [line for line in server.log.splitlines() if "Run ended:" in line and run_id in line]


async def test_a_run_is_one_line_of_the_log(server, client):
    session_id = await client.create_session()
    final = (await turn(client, session_id, 'call:add {"a": 1, "b": 2}'))[-1]
    server.wait_log(f"run={final.run_id}")
    (line,) = run_lines(server, final.run_id)
    usage = final.metadata["usage"]
    for words in (
        "INFO myagent.runs: Run ended: outcome=answer agent=tools model=",
        f" user=local session={session_id[:8]} run={final.run_id} steps={final.metadata['steps']} tool_calls=1 ",
        f" model_calls={usage['llm_calls']} tokens_in={usage['input_tokens']} tokens_out={usage['output_tokens']} ",
    ):
        assert words in line
    assert re.search(r" seconds=\d+\.\d\d$", line)


async def test_cancelled_runs_have_their_lines_too(server, client, model):
    model.script(text("never", hang=0))
    session_id = await client.create_session()
    going = await client.say(session_id, "hi")
    waiting = await client.say(session_id, "and then?")
    await client.cancel(session_id)
    await client.until(ended(waiting.run_id))
    for run_id in (going.run_id, waiting.run_id):
        server.wait_log(f"run={run_id}")
        (line,) = run_lines(server, run_id)
        assert "outcome=cancelled reason=user agent=tools" in line


async def test_a_failed_run_says_why(server, client, model):
    model.script(Status(401))
    session_id = await client.create_session()
    failed = (await turn(client, session_id, "hi"))[-1]
    server.wait_log(f"run={failed.run_id}")
    (line,) = run_lines(server, failed.run_id)
    assert "outcome=error reason=llm_auth" in line


async def test_everything_is_logged_and_nothing_that_is_secret(server):
    token = re.search(r"token=(mya_\S+)", server.banner)[1]
    async with connected(server, token=token) as client:
        session_id = await client.create_session()
        final = (await turn(client, session_id, f"my token is {token}, and this is long: {'x' * 5000}"))[-1]
    run, session = final.run_id[:8], session_id[:8]
    log = server.wait_log('"WSDISCONNECT /')
    for words in (
        '"WSCONNECT /" 101',
        f"{client.connection_id[:8]} -> system.connected ",
        f"{client.connection_id[:8]} <- user.message session={session} ",
        f"{client.connection_id[:8]} -> agent.thinking session={session} run={run} #",
        f"run={run} step 1: asking ",
        "POST http://127.0.0.1:",
        f"run={run} step 1: gpt-4o-mini answered after ",
        f"{client.connection_id[:8]} -> agent.final_answer session={session} run={run} #",
    ):
        assert words in log
    assert token not in log
    assert "my token is mya_***" in log
    assert max(map(len, log.splitlines())) < 1000
    assert "\x1b" not in log  # no terminal, no colours
