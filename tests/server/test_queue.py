"""More runs than places in two processes: who is next, who is told what, and that nothing is started twice."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import connected
from tests.support.backstage import Backstage
from tests.support.conversation import ended, happens
from tests.support.model_replies import text
from tests.support.two_servers import POSTGRES_REDIS, SQLITE, two_servers

ISSUE = """
result = {}
for name in ("ann", "bob"):
    user = User.objects.get_or_create(username=name)[0]
    result[name] = AccessToken.objects.issue(user, "flow")[1]
"""
STARTED = """
rows = Run.objects.filter(session_id__in=sessions).order_by("started_at").values_list("session_id", "epoch", "owner")
result = [(str(session_id), epoch) for session_id, epoch, _ in rows]
"""
QUEUED = 20


def is_place(frame):
    return frame.metadata.get("action") == "queued"


@pytest.mark.slow
@pytest.mark.parametrize("kind", [SQLITE, POSTGRES_REDIS])
async def test_a_long_queue_is_worked_off_fairly_and_in_order(kind, model, tmp_path):
    model.reset()
    model.script(held := text("one two", hang=0), kept := text("one two", hang=0), bobs := text("one two", hang=0))
    with (
        two_servers(kind, tmp_path, model, settings={"MAX_RUNS": 1, "MAX_ATTACHED": 100}) as servers,
        Backstage(servers[0]) as backstage,
    ):
        tokens = backstage.do(ISSUE)
        async with (
            connected(servers[0], token=tokens["ann"]) as here,
            connected(servers[1], token=tokens["ann"]) as there,
            connected(servers[1], token=tokens["bob"]) as bob,
        ):
            running = [await client.create_session() for client in (here, there)]
            first = await here.say(running[0], "hold")
            await asyncio.to_thread(model.request, 1)  # the model's replies are for one after the other
            await there.say(running[1], "hold")
            await asyncio.to_thread(model.request, 2)
            sessions, runs = [], []
            for number in range(QUEUED):
                client = (here, there)[number % 2]
                sessions.append(await client.create_session())
                runs.append(await client.say(sessions[-1], f"number {number}"))
            # A second tab, on the process that did not take the message.
            await there.reconnect(sessions[2])
            place = await there.wait_for(lambda frame: is_place(frame) and frame.session_id == sessions[2])
            assert (place.run_id, place.metadata["position"]) == (runs[2].run_id, 3)
            assert (place.seq, place.content) == (None, "Waiting: 2 before you")

            asked = await bob.create_session()
            answered = await bob.say(asked, "bob")
            next_one = await bob.wait_for(is_place)
            assert (next_one.run_id, next_one.metadata["position"]) == (answered.run_id, 1)
            assert next_one.content == "Waiting: you are next"
            held.gate.open()
            assert (await here.wait_for(ended(first.run_id))).event == "agent.final_answer"
            request = await asyncio.to_thread(model.request, 3)
            assert request.messages[-1]["content"] == "bob", "ann has a run running, and bob has none"
            told = await there.wait_for(lambda frame: is_place(frame) and frame.session_id == sessions[1])
            assert told.metadata["position"] == 2
            for reply in (kept, bobs):
                reply.gate.open()
            await bob.wait_for(ended(answered.run_id))
            for number, run in enumerate(runs):
                await (here, there)[number % 2].wait_for(ended(run.run_id))
            await happens(request.finished)
        said = [request.messages[-1]["content"] for request in model.requests]
        assert sorted(said) == sorted(["hold", "hold", "bob", *(f"number {number}" for number in range(QUEUED))])
        started = backstage.do(STARTED, sessions=sessions)
        assert all(epoch == 1 for _, epoch in started), "some run was begun twice"
        order = [sessions.index(session_id) for session_id, _ in started]
        # Two processes: while one is about to start a run, the other may start the next one.
        assert all(sum(later < run for later in order[at:]) <= 1 for at, run in enumerate(order)), order
        assert "Traceback" not in servers[0].log + servers[1].log
