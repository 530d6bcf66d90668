"""What operators do with everything that is stored: back it up, move it, hand out and delete what is one person's."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from pathlib import Path

import pytest

from agents.database.data_folder import DATABASE_FILE
from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.conversation import PARTIAL, ended, text_of, turn, whole_log
from tests.support.file_client import FileClient
from tests.support.model_replies import text
from tests.support.services import ask_postgres, postgres_database, program

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path, model):
    model.reset()
    with AgentServer(tmp_path / "first", "tools.py", model=model, environment={"DATABASE_URL": None}) as server:
        yield server


async def run(function, *arguments, **options):
    """Call what blocks, while clients go on."""
    return await asyncio.to_thread(function, *arguments, **options)


async def test_a_backup_made_while_an_answer_streams_is_a_server_to_go_on_with(server, model, tmp_path):
    copy = tmp_path / "copy.sqlite3"
    async with connected(server) as client:
        session_id = await client.create_session()
        first = await turn(client, session_id, "hello")
        model.script(answer := text("one two three", hang=1))
        active = await client.say(session_id, "count")
        await client.wait_for(PARTIAL)
        await run(server.manage, "backup", str(copy))
        assert copy.stat().st_mode & 0o777 == 0o600
        assert "there already" in await run(server.manage, "backup", str(copy), code=1)
        assert "no backup" in await run(server.manage, "backup", "/nowhere/copy", code=1)
        answer.gate.open()
        assert (await client.wait_for(ended(active.run_id))).content == "one two three"
    restored = tmp_path / "second"
    (restored / "data").mkdir(parents=True)
    shutil.copy(copy, restored / "data" / DATABASE_FILE)
    with AgentServer(restored, "tools.py", model=model) as second:
        async with connected(second) as client:
            await client.reconnect(session_id)
            # It was active when the copy was made, so it is resumed here.
            assert (await client.wait_for(ended(active.run_id))).content == "You said: count"
        log = await whole_log(second, session_id)
        assert text_of(log[: len(first) + 1]) == text_of(first)


async def test_everything_is_moved_to_postgresql(server, model, tmp_path):
    async with connected(server) as client:
        session_id = await client.create_session()
        await turn(client, session_id, "hello")
        await turn(client, session_id, 'call:add {"a": 1, "b": 2}')
        log = await whole_log(server, session_id)
        (attached,) = (await run(FileClient(server).upload, session_id, ("a.txt", b"x" * 200_000))).files
    server.terminate()
    assert await run(server.wait_exit) == 0
    file = str(tmp_path / "first/data" / DATABASE_FILE)
    with postgres_database() as url:
        told = {**server.environment, "DATABASE_URL": url}
        copied = await run(manage, server, told, "copydatabase", file)
        counts = {line.split()[1]: int(line.split()[0].replace(",", "")) for line in copied.splitlines()[:-1]}
        assert ask_postgres(url, "SELECT count(*) FROM sessions_app_event") == [(counts["sessions_app_event"],)]
        assert counts["sessions_app_event"] >= len(log)
        assert "holds rows already" in await run(manage, server, told, "copydatabase", file, code=1)
        with AgentServer(tmp_path / "first", "tools.py", model=model, environment={"DATABASE_URL": url}) as moved:
            assert await whole_log(moved, session_id) == log
            assert (await run(FileClient(moved).get, attached["url"])).body == b"x" * 200_000
            async with connected(moved) as client:
                assert "what now" in text_of(await turn(client, session_id, "what now"))
            program("pg_dump")
            await run(moved.manage, "backup", str(tmp_path / "copy.dump"))
            assert (tmp_path / "copy.dump").read_bytes()[:5] == b"PGDMP"


def manage(server, environment, *words, code=0):
    """A command with another environment than the server's."""
    server._environment, before = environment, server._environment
    try:
        return server.manage(*words, code=code)
    finally:
        server._environment = before


async def test_a_source_in_use_is_not_copied(server):
    """The server goes on writing: what it writes later would be left behind."""
    file = Path(server.folder, "data", DATABASE_FILE)
    with postgres_database() as url:
        told = {**server.environment, "DATABASE_URL": url}
        assert "A server works with this file" in await run(manage, server, told, "copydatabase", str(file), code=1)
        assert ask_postgres(url, "SELECT count(*) FROM auth_user") == [(0,)]
    assert "same file" in await run(server.manage, "copydatabase", str(file), code=1)
    assert "no file" in await run(server.manage, "copydatabase", "nothing.sqlite3", code=1)


async def test_everything_of_one_person_is_handed_out_and_deleted_beside_a_server(server, model):
    tokens = {}
    for name in ("ann", "annabel"):
        tokens[name] = (await run(server.manage, "createtoken", name, "--create-user")).strip()
    async with connected(server, token=tokens["ann"]) as ann, connected(server, token=tokens["annabel"]) as other:
        kept = await other.create_session()
        await turn(other, kept, "mine stays")
        session_id = await ann.create_session()
        await turn(ann, session_id, "my secret plan")
        upload = FileClient.with_token(server, tokens["ann"]).upload
        assert (await run(upload, session_id, ("secret.txt", b"my secret file"))).status == 201
        records = [json.loads(line) for line in (await run(server.manage, "exportuser", "ann")).splitlines()]
        kinds = [record["kind"] for record in records]
        assert {"user", "accesstoken", "usage"} <= set(kinds) and kinds[-2:] == ["session", "file"]
        assert base64.b64decode(records[-1]["data"]["base64"]) == b"my secret file"
        assert records[-2]["data"]["files"][0]["name"] == "secret.txt"
        assert "my secret plan" in json.dumps(records[-2]) and "mine stays" not in json.dumps(records)
        assert tokens["ann"] not in json.dumps(records) and "password" not in records[0]["data"]

        model.script(text("never seen", hang=1))
        await ann.say(session_id, "one more")
        await ann.wait_for(PARTIAL)
        assert "Nobody is here to be asked" in await run(server.manage, "deleteuser", "ann", code=1)
        assert "server itself" in await run(server.manage, "deleteuser", "local", "--yes", code=1)
        assert "conversations: 1" in await run(server.manage, "deleteuser", "ann", "--yes")
        await run(server.wait_log, "its credentials are no longer valid")
        assert "no user 'ann'" in await run(server.manage, "exportuser", "ann", code=1)
        assert await turn(other, kept, "still here")
    assert "[]" in await run(server.manage, "dumpdata", "sessions_app.storedfile", "sessions_app.filechunk")
    audit = json.loads(await run(server.manage, "dumpdata", "admin.logentry", "auth.user", "sessions_app.session"))
    assert [row["fields"]["username"] for row in audit if row["model"] == "auth.user"].count("ann") == 0
    texts = [row["fields"]["change_message"] for row in audit if row["model"] == "admin.logentry"]
    assert any("for (deleted)" in words for words in texts) and any("annabel" in words for words in texts)
    assert not any(" ann." in words for words in texts)
    assert [row["pk"] for row in audit if row["model"] == "sessions_app.session"] == [kept]
