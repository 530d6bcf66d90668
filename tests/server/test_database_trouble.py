"""The embedded database cannot be written: it is locked, full, or gone. Nothing that clients have seen is lost."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agents.database.data_folder import DATABASE_FILE
from myagent.client import RequestRefused
from tests.conftest import connected
from tests.server.test_database_hangs import IS_AWAY, get
from tests.support.agent_server import AgentServer
from tests.support.conversation import PARTIAL, ended, refusal, turn, whole_log
from tests.support.model_replies import text

pytestmark = pytest.mark.slow

IS_BACK = "The database answers again"
SQLITE = {"DATABASE_URL": ""}


async def test_a_lock_that_is_held_and_a_file_that_is_deleted(tmp_path, model):
    model.reset()
    with AgentServer(tmp_path, "tools.py", model=model, environment=SQLITE, settings={"DRAIN_SECONDS": 0}) as server:
        database = tmp_path / "data" / DATABASE_FILE
        async with connected(server) as client:
            session_id = await client.create_session()
            with closing(sqlite3.connect(database, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                refused = await refusal(client, {"event": "user.create_session"})
                assert refused.code == "try_again"
                await asyncio.to_thread(server.wait_log, IS_AWAY)
                assert (await asyncio.to_thread(get, server, "/readyz"))[0] == 503
                assert "Another program holds" in server.log
            await asyncio.to_thread(server.wait_log, IS_BACK)
            assert (await turn(client, session_id, "hi"))[-1].content == "You said: hi"
            seen = await whole_log(server, session_id)
            server.forget_log()
            for file in database.parent.glob(f"{DATABASE_FILE}*"):
                file.unlink()
            while True:
                try:
                    # Stored in the file that is gone, until that is noticed.
                    await client.create_session()
                except RequestRefused as refused_too:
                    assert refused_too.code == "try_again"
                    break
            await asyncio.to_thread(server.wait_log, "was deleted or replaced")
            assert server.log.count("❌") == 1
            (rescued,) = database.parent.glob("*.rescued-*")
        server.terminate()
        assert await asyncio.to_thread(server.wait_exit) == 0
        assert not database.exists()
        rescued.rename(database)
        server.start()
        assert await whole_log(server, session_id) == seen


@contextmanager
def small_disk(folder: Path, size: str):
    """A file system of this size at `folder`; only root can make one."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("NOT TESTED: only root can mount a small disk that becomes full")
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"NOT TESTED: no small disk can be mounted here: {made.stderr}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk(tmp_path, model):
    model.reset()
    model.script(answer := text("one two three", hang=1))
    data = tmp_path / "data"
    with (
        small_disk(data, "4m"),
        AgentServer(tmp_path, "tools.py", model=model, environment=SQLITE) as server,
    ):
        async with connected(server) as client:
            session_id = await client.create_session()
            run = await client.say(session_id, "count")
            await client.wait_for(PARTIAL)
            ballast = data / "ballast"
            fill(ballast)
            answer.gate.open()
            await asyncio.to_thread(server.wait_log, IS_AWAY)
            assert "Make room on the disk" in server.log
            assert (await refusal(client, {"event": "user.create_session"})).code == "try_again"
            assert (await asyncio.to_thread(get, server, "/readyz"))[0] == 503
            ballast.unlink()
            assert (await client.wait_for(ended(run.run_id))).content == "one two three"
            assert (await asyncio.to_thread(get, server, "/readyz"))[0] == 200
            await whole_log(server, session_id)
        assert server.log.count("❌") == 1


def fill(ballast: Path) -> None:
    file = os.open(ballast, os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(file, bytes(4096))
    except OSError as error:
        assert "No space left" in str(error)
    finally:
        os.close(file)
