"""The plug is pulled in the middle of a run: the run goes on where it stood, and nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from contextlib import asynccontextmanager
from queue import Queue

import pytest

from sessions_app.journal.entries.recovery import MAX_ATTEMPTS
from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.conversation import PARTIAL, ended, happens, only, text_of, turn, whole_log
from tests.support.model_replies import text, tools
from tests.support.patience import WAIT_SECONDS

REASON = "restart"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "acted"


@pytest.fixture(scope="module")
def lasting(tmp_path_factory, model):
    """A server that the tests kill one after the other; each talks to it in sessions of its own."""
    with AgentServer(tmp_path_factory.mktemp("lasting"), "recovering.py", model=model) as server:
        yield server


@pytest.fixture
def start(tmp_path, model, lasting):
    """Starts a server; one of this test alone when it names the files or has wishes."""
    servers = []

    def start(*files, **options):
        if not files and not options:
            if lasting.has_ended:
                lasting.start()
            lasting.forget_log()
            return lasting
        server = AgentServer(tmp_path, *(files or ("recovering.py",)), model=model, **options)
        servers.append(server)
        return server.__enter__()

    model.reset()
    yield start
    for server in servers:
        server.__exit__()


@asynccontextmanager
async def after_a_kill(server, client):
    """A client that comes back, after a restart, with what it had seen."""
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    async with back(server, client) as again:
        yield again


@asynccontextmanager
async def back(server, client):
    async with connected(server, cursors=dict(client.cursors)) as again:
        for session_id in client.cursors:
            await again.reconnect(session_id)
        yield again


async def begin(client, words="go"):
    """A session and its first run."""
    session_id = await client.create_session()
    return session_id, (await client.say(session_id, words)).run_id


async def story(server, session_id, run_id):
    """The frames of a run, which has one end, and whose last shown text is its answer if it was streamed."""
    frames = [frame for frame in await whole_log(server, session_id) if frame.run_id == run_id]
    assert [frame.ends_run for frame in frames].count(True) == 1
    if frames[-1].event == "agent.final_answer" and text_of(frames):
        assert text_of(frames) == frames[-1].content
    return frames


def resets(frames):
    return [(frame.metadata["step"], frame.metadata["reason"]) for frame in frames if frame.event == "agent.step_reset"]


def results(frames):
    """Tool and status of each result."""
    return [(item.metadata["tool"], item.metadata["status"]) for item in frames if item.event == "agent.tool_result"]


def told(model):
    """What the tools said in the request that came last."""
    return [message["content"] for message in model.requests[-1].messages if message["role"] == "tool"]


# --- an answer ---


@pytest.mark.parametrize("reasoning", [(), ("let ", "me ", "see")])
async def test_killed_in_an_answer(start, model, reasoning):
    server = start()
    model.script(
        text("one two three", hang=len(reasoning) + 2, reasoning=reasoning),
        text("uno dos tres", reasoning=reasoning),
    )
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        await client.until(lambda frame: frame.event == PARTIAL and frame.content.endswith("two "))
        async with after_a_kill(server, client) as client:
            frames = await client.until(ended(run_id))
    assert (frames[-1].event, frames[-1].content) == ("agent.final_answer", "uno dos tres")
    frames = await story(server, session_id, run_id)
    assert resets(frames) == [(1, REASON)]
    assert len(model.requests) == 2
    assert model.requests[0].messages == model.requests[1].messages
    assert (frames[-1].metadata["steps"], frames[-1].metadata["usage"]["llm_calls"]) == (1, 1)
    assert "Traceback" not in server.log


async def test_killed_when_only_reasoning_was_shown(start, model):
    server = start()
    model.script(text("one", reasoning=("let ", "me "), hang=2), text("one"))
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        await client.wait_for(lambda frame: frame.metadata.get("reasoning"))
        async with after_a_kill(server, client) as client:
            await client.wait_for(ended(run_id))
    assert resets(await story(server, session_id, run_id)) == [(1, REASON)]


async def test_killed_before_anything_was_shown(start, model):
    server = start()
    model.script(text("one", hang=0), text("one"))
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        await asyncio.to_thread(model.request)
        async with after_a_kill(server, client) as client:
            assert (await client.wait_for(ended(run_id))).content == "one"
    assert resets(await story(server, session_id, run_id)) == []


async def test_killed_twice_in_one_answer(start, model):
    server = start()
    model.script(text("one two", hang=1), text("uno dos", hang=1), text("one two"))
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        await client.wait_for(PARTIAL)
        async with after_a_kill(server, client) as second:
            await second.wait_for(PARTIAL)
            async with after_a_kill(server, second) as third:
                await third.wait_for(ended(run_id))
    assert resets(await story(server, session_id, run_id)) == [(1, REASON)] * 2


async def test_what_was_done_is_not_asked_for_again(start, model):
    server = start()
    model.script(
        tools(("note", {"word": "a"}), tokens=["Let ", "me."]),
        tools(("note", {"word": "b"})),
        text("one two", hang=1),
        text("all done"),
        tools(("notes", {})),
    )
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        await client.wait_for(lambda frame: frame.event == PARTIAL and frame.metadata["step"] == 3)
        async with after_a_kill(server, client) as client:
            assert (await client.wait_for(ended(run_id))).content == "all done"
            assert (await turn(client, session_id, "what do you know?"))[-1].content == "Result: a b False"
    frames = await story(server, session_id, run_id)
    assert resets(frames) == [(3, REASON)]
    assert results(frames) == [("note", "success")] * 2
    assert model.requests[3].messages == model.requests[2].messages
    assert frames[-1].metadata["steps"] == 3
    assert frames[-1].metadata["usage"]["llm_calls"] == 3
    steps = [frame.metadata["step"] for frame in frames if frame.event == "agent.thinking"]
    assert steps == [1, 2, 3, 3]
    assert len(model.requests) == 6


# --- tools ---


async def test_killed_in_a_tool_that_must_not_be_repeated(start, model, path):
    server = start()
    model.script(tools(("once", {"path": str(path)}), ("note", {"word": "a"})), text("I do not know."))
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        await client.wait_for("agent.tool_progress")
        await client.wait_for("agent.tool_result")
        async with after_a_kill(server, client) as client:
            assert (await client.wait_for(ended(run_id))).content == "I do not know."
    assert path.read_text() == "x"
    frames = await story(server, session_id, run_id)
    assert results(frames) == [("note", "success"), ("once", "unknown")]
    doubt, known = told(model)
    assert "unknown" in doubt and known == "noted a", "in the order of the calls"
    assert resets(frames) == []


async def test_killed_in_a_tool_that_may_be_repeated(start, model, path):
    server = start()
    calls = ("again", {"path": str(path)}), ("note", {"word": "a"})
    model.script(tools(*calls), text("ok"))
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        await client.wait_for("agent.tool_progress")
        await client.wait_for("agent.tool_result")
        async with after_a_kill(server, client) as client:
            await client.wait_for(ended(run_id))
    assert path.read_text() == "xx"
    frames = await story(server, session_id, run_id)
    assert results(frames) == [("note", "success"), ("again", "success")]
    messages = model.requests[1].messages
    assert [message["content"] for message in messages if message["role"] == "tool"] == ["acted xx", "noted a"]


async def test_a_repeated_tool_runs_as_a_person_agreed(start, model, path):
    server = start()
    model.script(tools(("again_after_yes", {"path": str(path), "text": "a"})), text("ok"), tools(("notes", {})))
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        question = await client.wait_for("agent.user_confirm")
        await client.respond(session_id, question.step_id, True, args={"path": str(path), "text": "b"})
        await client.wait_for("agent.tool_progress")
        async with after_a_kill(server, client) as client:
            await client.wait_for(ended(run_id))
            assert told(model) == ["acted bb"]
            nothing = " False"  # of the state that the first try left behind
            assert (await turn(client, session_id, "what do you know?"))[-1].content == f"Result: {nothing}"
    assert path.read_text() == "bb"
    frames = await story(server, session_id, run_id)
    assert only(frames, "agent.user_confirm") == question, "a person who agreed is not asked again"


# --- questions ---


@pytest.mark.parametrize(
    ("confirmed", "more", "status", "written"),
    [
        (True, {}, "success", "asked"),
        (True, {"text": "edited"}, "success", "edited"),
        (False, {}, "declined", None),
    ],
)
async def test_a_question_is_still_open_after_a_kill(start, model, path, confirmed, more, status, written):
    server = start()
    arguments = {"path": str(path), "text": "asked"}
    model.script(tools(("write", arguments)), text("ok"))
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        question = await client.wait_for("agent.user_confirm")
        async with after_a_kill(server, client) as client:
            options = {"args": arguments | more} if more else {}
            await client.respond(session_id, question.step_id, confirmed, **options)
            await client.wait_for(ended(run_id))
    frames = await story(server, session_id, run_id)
    assert only(frames, "agent.user_confirm") == question
    assert results(frames) == [("write", status)]
    assert (path.read_text() if path.exists() else None) == written


async def test_silence_counts_over_a_kill(start, model, path):
    server = start()
    model.script(tools(("hasty", {"path": str(path)})), text("ok"))
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        question = await client.wait_for("agent.user_confirm")
        async with after_a_kill(server, client) as client:
            await client.wait_for(ended(run_id))
            await client.respond(session_id, question.step_id, True)
            assert (await client.wait_for("agent.error")).code == "no_pending_confirmation"
    assert results(await story(server, session_id, run_id)) == [("hasty", "declined")]
    assert "in time" in told(model)[0]
    assert not path.exists()


async def test_killed_between_the_yes_and_the_tool(start, model, path):
    # There is room for one run, so the second one waits for its place after the restart with its yes on record.
    server = start(settings={"MAX_RUNS": 1})
    call = ("write", {"path": str(path), "text": "x"})
    model.script(tools(call), tools(call), text("one", hang=0), held := text("one", hang=0), text("two"))
    async with connected(server) as client:
        first, first_run = await begin(client)
        question = await client.wait_for("agent.user_confirm")
        second, second_run = await begin(client)
        asked = await client.wait_for(lambda frame: frame.event == "agent.user_confirm" and frame.run_id == second_run)
        await client.respond(first, question.step_id, True)
        await asyncio.to_thread(model.request, 3)
        async with after_a_kill(server, client) as client:
            await asyncio.to_thread(model.request, 4)
            async with connected(server) as tab:
                await tab.reconnect(second)
                await client.respond(second, asked.step_id, True)
                await tab.wait_for("user.response")
            assert path.read_text() == "x", "only the first one ran"
            held.gate.open()
            assert (await client.wait_for(ended(second_run))).content == "two"
    assert path.read_text() == "xx"
    assert results(await story(server, second, second_run)) == [("write", "success")]
    await story(server, first, first_run)


async def test_what_a_tool_asked_goes_with_it(start, model):
    server = start()
    model.script(tools(("ask", {"question": "Sure?"})), text("ok"))
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        question = await client.wait_for("agent.user_confirm")
        async with after_a_kill(server, client) as client:
            await client.wait_for(ended(run_id))
            await client.respond(session_id, question.step_id, True)
            assert (await client.wait_for("agent.error")).code == "no_pending_confirmation"
    assert results(await story(server, session_id, run_id)) == [("ask", "unknown")]


async def test_a_tool_that_is_repeated_asks_again(start, model):
    server = start()
    model.script(tools(("ask_again", {"question": "Sure?"})), text("ok"))
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        question = await client.wait_for("agent.user_confirm")
        async with after_a_kill(server, client) as client:
            second = await client.wait_for(
                lambda frame: frame.event == "agent.user_confirm" and frame.step_id != question.step_id
            )
            await client.respond(session_id, second.step_id, True)
            await client.wait_for(ended(run_id))
    assert told(model) == ["yes"]
    await story(server, session_id, run_id)


# --- around the run ---


async def test_queued_messages_keep_their_order(start, model):
    server = start()
    model.script(text("one", hang=0), text("one"))
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        await asyncio.to_thread(model.request)
        runs = [run_id, *[(await client.say(session_id, f"number {number}")).run_id for number in range(5)]]
        async with after_a_kill(server, client) as client:
            await client.wait_for(ended(runs[-1]))
    log = await whole_log(server, session_id)
    ends = [frame for frame in log if frame.ends_run]
    assert [frame.run_id for frame in ends] == runs
    assert [frame.content for frame in ends] == ["one", *[f"You said: number {number}" for number in range(5)]]


async def test_cancelled_while_it_goes_on(start, model):
    server = start()
    model.script(text("one two", hang=1), text("one two", hang=1))
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        await client.wait_for(PARTIAL)
        async with after_a_kill(server, client) as client:
            second = await asyncio.to_thread(model.request, 2)
            await client.cancel(session_id)
            assert (await client.wait_for(ended(run_id))).event == "agent.interrupted"
            await happens(second.disconnected)
            assert (await turn(client, session_id, "next"))[-1].content == "You said: next"
    assert (await story(server, session_id, run_id))[-1].event == "agent.interrupted"


async def test_a_run_that_stops_its_process_three_times_is_given_up(start, model):
    server = start()
    model.script(*[text("one two", hang=1) for _ in range(3)])
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        queued = await client.say(session_id, "next")
        for number in range(1, 4):
            await asyncio.to_thread(model.request, number)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        async with back(server, client) as client:
            end = await client.wait_for(ended(run_id))
            assert (end.event, end.code) == ("agent.error", "poisoned")
            assert (await client.wait_for(ended(queued.run_id))).content == "You said: next"
    await story(server, session_id, run_id)
    assert len(model.requests) == 4


async def test_a_run_that_stops_its_process_takes_no_other_with_it(start, model, monkeypatch):
    """Two crashes take all that goes on with them; the third attempt of each is made alone."""
    server = start()
    words = ("0", "1", "die", "2", "3")
    asked = Counter()
    deadly, ready = [], Queue()

    def reply(body):
        (said,) = [message["content"] for message in body["messages"] if message["role"] == "user"]
        asked[said] += 1
        answer = tools(("die", {})) if said == "die" else text(said)
        if said == "die":
            deadly.append(answer)
        if said == "die" or asked[said] < MAX_ATTEMPTS:
            answer.hang = 0
        if deadly and (asked["die"] == MAX_ATTEMPTS or len({asked[each] for each in words}) == 1):
            ready.put(deadly.pop())
        return answer

    monkeypatch.setattr(model, "default", reply)
    async with connected(server) as client:
        runs = [await begin(client, each) for each in words]
        for _ in range(MAX_ATTEMPTS):
            (await asyncio.to_thread(ready.get, timeout=WAIT_SECONDS)).gate.open()
            assert await asyncio.to_thread(server.wait_exit) == -signal.SIGKILL
            await asyncio.to_thread(server.start)
        async with back(server, client) as client:
            ends = {frame.run_id: frame for frame in [await client.wait_for(ended()) for _ in runs]}
    told = [ends[run_id].code or ends[run_id].content for _session_id, run_id in runs]
    assert told == ["0", "1", "poisoned", "2", "3"]
    assert asked == dict.fromkeys(words, MAX_ATTEMPTS)
    for session_id, run_id in runs:
        await story(server, session_id, run_id)


async def test_an_orderly_stop_is_no_crash(start, model):
    server = start(options=["--drain-seconds", "0"])
    model.script(*[text("one two", hang=1) for _ in range(4)], text("one two"))
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        for number in range(1, 5):
            await asyncio.to_thread(model.request, number)
            await asyncio.to_thread(server.restart)
        async with back(server, client) as client:
            assert (await client.wait_for(ended(run_id))).content == "one two"
    await story(server, session_id, run_id)
    assert "Traceback" not in server.log


async def test_a_run_of_an_agent_that_is_switched_off_waits_for_it(start, model):
    server = start("second.py", "recovering.py")
    model.script(text("one", hang=0))
    async with connected(server, "ws/recovering/") as client:
        session_id, run_id = await begin(client)
        await asyncio.to_thread(model.request)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.manage, "agents", "disable", "recovering")
    await asyncio.to_thread(server.start)
    async with connected(server) as other:
        await turn(other, await other.create_session(), "anybody there?")
    assert len(model.requests) == 2, "nobody went on with the run"
    await asyncio.to_thread(server.manage, "agents", "enable", "recovering")
    await asyncio.to_thread(model.request, 3)
    async with connected(server, "ws/recovering/") as client:
        await client.reconnect(session_id)
        assert (await client.wait_for(ended(run_id))).content == "You said: go"


async def test_a_run_of_an_agent_that_is_not_loaded_waits_for_it(start, model):
    server = start("recovering.py")
    model.script(text("one", hang=0))
    async with connected(server) as client:
        session_id, run_id = await begin(client)
        await asyncio.to_thread(model.request)
        await asyncio.to_thread(server.kill)
        other = await asyncio.to_thread(start, "second.py")
        async with connected(other) as stranger:
            await turn(stranger, await stranger.create_session(), "anybody there?")
        await asyncio.to_thread(other.restart)
        assert len(model.requests) == 2, "nobody went on with the run"
        await asyncio.to_thread(server.start)
        async with back(server, client) as client:
            assert (await client.wait_for(ended(run_id))).content == "You said: go"
