"""Several processes under a supervisor are one server: to clients, to operators, and when one of them dies."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from shutil import copytree
from statistics import median

import pytest

from myagent.client import ConnectionLost
from tests.conftest import connected
from tests.support import forked
from tests.support.agent_server import AgentServer
from tests.support.backstage import Backstage
from tests.support.conversation import PARTIAL, ended, happens, text_of, turn, whole_log
from tests.support.model_replies import text
from tests.support.paths import AGENT_FILES, ROOT
from tests.support.patience import WAIT_SECONDS
from tests.support.two_servers import NEVER, SECRET
from tests.support.worker_pids import is_gone, supervisor_of, wait_gone, workers_of
from tests.support.workers import on_two_workers, worker_with

pytestmark = pytest.mark.slow

WORDS = " ".join(f"word{number}" for number in range(60))
OWNERS = "result = list(Run.objects.active().values_list('owner', flat=True))"
POLL_SECONDS = 1.0
"""Between two looks of a worker at the database, if nobody wakes it."""


def with_workers(folder, model, *options, **more):
    return AgentServer(folder, "tools.py", model=model, options=["--workers", "2", *options], **more)


async def log_has(server, words):
    return await asyncio.to_thread(server.wait_log, words)


async def seconds_between(here, there, run):
    """By how much later `there` is sent what `here` is sent of a run; both up to its end."""

    async def times(client):
        seen = {}
        while True:
            frame = await client.wait_for(lambda frame: frame.run_id == run.run_id and frame.seq is not None)
            seen[frame.seq] = time.monotonic()
            if frame.ends_run:
                return seen

    mine, theirs = await asyncio.gather(times(here), times(there))
    return [theirs[seq] - at for seq, at in mine.items() if seq in theirs]


async def test_a_life_of_two_workers(model, tmp_path):
    model.reset()
    with with_workers(tmp_path, model, "--host", "::", "--drain-seconds", "2") as server:
        assert server.banner.count("🚀") == 1
        await log_has(server, "[1] ")
        assert len(workers_of(server)) == 2
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as sock:
                sock.connect((address, server.port))

        async with on_two_workers(server) as (here, there):
            session_id = await here.create_session()
            await there.reconnect(session_id)
            # What one worker streams, a client of the other one sees, long before that would look by itself.
            model.script(text(WORDS, delay=0.02))
            late = await seconds_between(here, there, await here.say(session_id, "count"))
            assert len(late) > 5
            assert median(late) < POLL_SECONDS / 5, late

            # Cancelled from the other worker.
            model.script(text("one two three", hang=1))
            run = await here.say(session_id, "count")
            await there.wait_for(PARTIAL)
            began = time.monotonic()
            await there.cancel(session_id)
            assert (await here.wait_for(ended(run.run_id))).event == "agent.interrupted"
            await happens(model.request(2).disconnected)
            assert time.monotonic() - began < POLL_SECONDS

            # A worker that stands still holds up nobody else.
            stopped = worker_with(server, there)
            os.kill(stopped, signal.SIGSTOP)
            model.script(text(WORDS))
            answer = (await turn(here, session_id, "go on"))[-1]
            assert answer.content == WORDS
            async with connected(server) as other:
                assert worker_with(server, other) != stopped
            os.kill(stopped, signal.SIGCONT)
            assert (await there.wait_for(ended(answer.run_id))).content == WORDS

            # The one with the run is killed: the other one resumes it, and a third one takes the place.
            model.script(text("one two three", hang=1), text("one two three"))
            before, killed = workers_of(server), worker_with(server, here)
            run = await here.say(session_id, "count")
            await there.wait_for(PARTIAL)
            os.kill(killed, signal.SIGKILL)
            assert (await there.wait_for(ended(run.run_id))).content == "one two three"
            log = await log_has(server, "was ended by SIGKILL. Starting another one in")
            assert f"(process {killed}) was ended by SIGKILL" in log
        frames = [frame for frame in await whole_log(server, session_id) if frame.run_id == run.run_id]
        assert text_of(frames) == "one two three"
        assert await becomes(lambda: len(workers_of(server) - before) == 1)

        everybody = workers_of(server)
        async with connected(server) as client:
            server.terminate()
            with pytest.raises(ConnectionLost) as lost:
                await client.wait_for("never")
            assert lost.value.close_code == 1012
        assert await asyncio.to_thread(server.wait_exit) == 0
        assert all(map(is_gone, everybody))
        assert "Traceback" not in server.log and "by force" not in server.log, server.log


async def test_the_runs_of_a_killed_worker_do_not_wait_for_its_lease_on_postgresql(model, tmp_path, postgres_url):
    model.reset()
    model.script(text("one two three", hang=1), text("one two three"))
    told = {"settings": {"LEASE_SECONDS": NEVER}, "environment": {"DATABASE_URL": postgres_url}}
    with with_workers(tmp_path, model, **told) as server:
        await both_serve(server)
        async with on_two_workers(server) as (here, there):
            session_id = await here.create_session()
            await there.reconnect(session_id)
            run = await here.say(session_id, "count")
            await there.wait_for(PARTIAL)
            os.kill(worker_with(server, here), signal.SIGKILL)
            assert (await there.wait_for(ended(run.run_id))).content == "one two three"
        frames = [frame for frame in await whole_log(server, session_id) if frame.run_id == run.run_id]
        assert text_of(frames) == "one two three"
        assert [frame.event for frame in frames if frame.ends_run] == ["agent.final_answer"]
        assert "Traceback" not in server.log


async def test_workers_on_another_machine_leave_to_each_other_whose_locks_they_cannot_judge(
    model, tmp_path, postgres_url
):
    """Even where the other machine's locks are seen as files that nobody holds: on a share, or copied with a disk."""
    model.reset()
    model.script(answer := text("one two three", hang=1))
    environment = {"DATABASE_URL": postgres_url, "MYAGENT_SECRET_KEY": SECRET}
    told = {"settings": {"LEASE_SECONDS": NEVER}, "environment": environment}
    folders = here, there = tmp_path / "here", tmp_path / "there"
    for folder in folders:
        folder.mkdir()
    with with_workers(here, model, **told) as server, Backstage(server) as backstage:
        await both_serve(server)
        async with on_two_workers(server) as (client, other):
            session_id = await client.create_session()
            await other.reconnect(session_id)
            run = await client.say(session_id, "count")
            await other.wait_for(PARTIAL)
            (owner,) = owners = backstage.do(OWNERS)
            await asyncio.to_thread(copytree, here / "data" / "owners", there / "data" / "owners")
            with with_workers(there, model, **told) as elsewhere:
                await both_serve(elsewhere)
                await happens(answer.gate.entered)
                # Each of them looks for runs of the dead before it serves, and before it starts one that was queued.
                async with on_two_workers(elsewhere) as both:
                    for stranger in both:
                        assert (await turn(stranger, await stranger.create_session(), "hello"))[-1].content
                assert backstage.do(OWNERS) == owners
                model.script(text("one two three"))
                os.kill(worker_with(server, client), signal.SIGKILL)
                assert (await other.wait_for(ended(run.run_id))).content == "one two three"
                assert "another data folder" not in elsewhere.log + server.log
                assert (there / "data" / "owners" / f"{owner}.lock").exists(), "not its own to clear away"


async def both_serve(server):
    await becomes(lambda: server.log.count("Listening on 127.0.0.1") == 2)


async def becomes(is_so):
    async with asyncio.timeout(WAIT_SECONDS):
        while not is_so():
            await asyncio.sleep(0.05)
    return True


@pytest.mark.slow
async def test_workers_end_with_their_supervisor(model, tmp_path):
    model.reset()
    with with_workers(tmp_path, model, "--drain-seconds", "0") as server:
        await both_serve(server)
        workers = workers_of(server)
        folder = environment_of(workers)["MYAGENT_WORKERS_DIR"]
        assert os.stat(folder).st_mode & 0o777 == 0o700
        assert numbers_of(workers) == {"0", "1"}
        async with connected(server) as client:
            os.kill(supervisor_of(server), signal.SIGKILL)
            with pytest.raises(ConnectionLost) as lost:
                await client.wait_for("never")
            assert lost.value.close_code == 1012, "in order"
        await asyncio.to_thread(wait_gone, *workers)
        assert not os.path.exists(folder)
        await asyncio.to_thread(server.wait_exit)
        await asyncio.to_thread(server.start)  # on the same port
        # A second signal waits for nothing.
        model.script(text("one", hang=0))
        async with connected(server) as client:
            await client.say(await client.create_session(), "count")
            workers = workers_of(server)
            server._running.send_signal(signal.SIGINT)
            await log_has(server, "Stopping 2 workers.")
            server._running.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(server.wait_exit) == 130
        await asyncio.to_thread(wait_gone, *workers)


def environment_of(pids):
    """The environment with which one of these was started."""
    with open(f"/proc/{min(pids)}/environ", encoding="utf-8") as file:
        return dict(line.partition("=")[::2] for line in file.read().split("\0") if line)


def numbers_of(pids):
    return {environment_of({pid})["MYAGENT_WORKER"] for pid in pids}


def start(tmp_path, *arguments, **environment):
    command = [sys.executable, str(ROOT / "manage.py"), "runagent", *arguments]
    known = {**os.environ, "MYAGENT_DATA_DIR": str(tmp_path / "data"), "MYAGENT_LANGUAGE": "en", "DATABASE_URL": ""}
    done = forked.run(
        command, cwd=tmp_path, env=known | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def test_what_cannot_start_says_what_a_single_process_says(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("agent = 1 / 0\n")
    alone = start(tmp_path, str(broken), "--port", "0")
    assert alone[0] == 1 and "division by zero" in alone[2]
    assert start(tmp_path, str(broken), "--port", "0", "--workers", "2") == alone
    assert start(tmp_path, str(broken), "--port", "0", MYAGENT_WORKERS="2") == alone

    fine = str(AGENT_FILES / "tools.py")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        arguments = [fine, "--llm", "demo", "--host", "127.0.0.1", "--port", str(taken.getsockname()[1])]
        alone = start(tmp_path, *arguments)
        assert alone[0] == 1 and "Address already in use" in alone[2]
        assert start(tmp_path, *arguments, "--workers", "2") == alone

    assert start(tmp_path, fine, "--workers", "2", "--reload")[::2] == (
        1,
        "❌ --reload is for a single process.\n   Leave --workers out (and MYAGENT_WORKERS), or --reload.\n",
    )
    for number in ("0", "-1", "many", "257"):
        code, _out, errors = start(tmp_path, fine, f"--workers={number}")
        assert code == 2 and "is not a number of processes" in errors
    code, _out, errors = start(tmp_path, fine, MYAGENT_WORKERS="many")
    assert code == 1 and "MYAGENT['WORKERS'] (MYAGENT_WORKERS) is 'many'" in errors
