"""How the engine ends; what it does while it lives is tested from outside, in `tests/server`."""

from __future__ import annotations

from django.utils import timezone

from agents.conf import Config
from agents.database.threads import in_thread
from agents.loading.registry import Registry, set_registry
from sessions_app.engine import Engine
from sessions_app.journal.entries.ownership import Lease
from tests.support.entries import message, new_session, run_of, threads

pytestmark = threads


async def test_a_message_that_was_under_way_when_runs_were_let_go_of_does_not_wait_for_its_lease(tmp_path, monkeypatch):
    before = set_registry(Registry([]))
    engine = Engine(Config(data_dir=tmp_path))
    await engine.start()
    session_id = await in_thread(new_session)
    late = message(session_id, lease=Lease(engine.owner_lock.name, seconds=60))
    posted = []

    async def close(timeout):
        posted.append(engine.journal.offer(late))

    monkeypatch.setattr(engine.tool_runner, "close", close)
    await engine.stop()
    run = await in_thread(run_of, posted[0].result())
    assert run.owner == "" and run.lease_until <= timezone.now()
    set_registry(before)
