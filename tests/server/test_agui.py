"""The door for AG-UI at the real server: threads, questions, refusals, languages, and who else may come in."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import asynccontextmanager, suppress

import httpx2
import pytest

from tests.support.agent_server import AgentServer
from tests.support.backstage import Backstage
from tests.support.conversation import check_log, ended, only
from tests.support.http_door import HttpDoor
from tests.support.model_replies import Reply, text
from tests.support.patience import WAIT_SECONDS
from tests.support.two_servers import KINDS, two_servers

SERVER = {"files": ("tools.py", "steered.py", "structured.py"), "options": ("--language", "en")}
pytestmark = pytest.mark.database


@pytest.fixture
async def door(server):
    async with HttpDoor(server) as client:
        yield client


def asked(thread, *words, resume=None, **more):
    """The body that the official client posts."""
    messages = [{"id": f"m-{at}", "role": "user", "content": one} for at, one in enumerate(words, 1)]
    given = {"messages": messages, "state": {}, "tools": [], "context": [], "forwardedProps": {}}
    return {"threadId": thread, "runId": f"r-{len(words)}", **given, **({"resume": resume} if resume else {}), **more}


@asynccontextmanager
async def telling(door, method, agent="tools", body=None, **query):
    """The events of an answer as they come."""
    path = f"/api/agui/{agent}/"
    async with door.client.stream(method, path, json=body, params=query) as answer:
        if answer.status_code != 200:
            await answer.aread()
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.aiter_lines()

        async def events():
            async for line in lines:
                if line.startswith("data: "):
                    yield json.loads(line[6:])

        yield events()


async def told(door, method, agent="tools", body=None, **query):
    """All events of an answer."""
    async with asyncio.timeout(WAIT_SECONDS), telling(door, method, agent, body, **query) as events:
        return [event async for event in events]


async def say(door, thread, *words, agent="tools", **more):
    return await told(door, "POST", agent, asked(thread, *words, **more))


def kinds(events):
    return [event["type"] for event in events]


def yes(interrupt, **payload):
    return {"interruptId": interrupt["id"], "status": "resolved", "payload": {"approved": True, **payload}}


def new_thread():
    return str(uuid.uuid4())


async def session_of(door, **about):
    return (await door.told("GET", "sessions", params={"limit": 1}))["sessions"][0]["session_id"]


async def test_an_exchange_and_the_same_one_again(door, model):
    thread = new_thread()
    first = await say(door, thread, "hello")
    assert kinds(first)[:3] == ["RUN_STARTED", "STEP_STARTED", "TEXT_MESSAGE_START"]
    assert first[0] == {"type": "RUN_STARTED", "protocolVersion": "1.0", "threadId": thread, "runId": "r-1"}
    assert (first[-1]["type"], first[-1]["runId"]) == ("RUN_FINISHED", "r-1")
    requests = len(model.requests)
    again = await say(door, thread, "hello", runId="another")
    assert kinds(again) == ["RUN_STARTED", "MESSAGES_SNAPSHOT", "RUN_FINISHED"] and again[0]["runId"] == "another"
    said = [(one["id"], one["role"]) for one in again[1]["messages"]]
    assert said[0] == ("m-1", "user") and said[1][1] == "assistant" and len(said) == 2
    assert len(model.requests) == requests, "a message that is sent again starts nothing"
    second = await say(door, thread, "hello", "and more")
    assert second[-1]["outcome"] == {"type": "success"}
    log = await door.log(await session_of(door))
    check_log(log)
    assert [frame.content for frame in log if frame.event == "user.message"] == ["hello", "and more"]
    joined = await told(door, "GET", threadId=thread)
    assert [one["id"] for one in joined[1]["messages"] if one["role"] == "user"] == ["m-1", "m-2"]
    assert joined[0]["runId"] == [frame.run_id for frame in log if frame.ends_run][-1]


async def test_a_session_of_another_door_goes_on_here_and_there(server, client, door):
    session_id = await client.create_session(agent="tools")
    accepted = await client.say(session_id, "from the WebSocket")
    await client.until(ended(accepted.run_id))
    assert (await say(door, session_id, "from AG-UI"))[-1]["outcome"] == {"type": "success"}
    seen = await client.until(lambda frame: frame.ends_run and frame.run_id != accepted.run_id)
    assert only(seen, "user.message").content == "from AG-UI"
    joined = await told(door, "GET", threadId=session_id)
    spoken = [one["content"] for one in joined[1]["messages"] if one["role"] == "user"]
    assert spoken == ["from the WebSocket", "from AG-UI"]
    assert (await say(door, session_id, "hello", agent="steered"))[-1]["outcome"] == {"type": "success"}
    assert len(await door.log(session_id)) == len(await door.log(session_id)), "that is a thread of another agent"
    assert "steered" in {one["agent"] for one in (await door.told("GET", "sessions"))["sessions"]}


async def test_questions_are_asked_together_and_answered_once(door, model, tmp_path):
    thread, paths = new_thread(), [tmp_path / name for name in ("one", "two")]
    calls = [("write", {"path": str(path), "text": "x"}) for path in paths]
    model.script(Reply(calls=calls))
    end = (await say(door, thread, "write both"))[-1]
    first, second = sorted(end["outcome"]["interrupts"], key=lambda one: one["metadata"]["toolArgs"]["path"])
    assert end["outcome"]["type"] == "interrupt" and first["responseSchema"]["required"] == ["approved"]
    pending = await say(door, thread, "write both", "something else")
    assert [(one["type"], one["code"]) for one in pending] == [("RUN_ERROR", "interrupt_pending")]
    wrong = [
        [{"interruptId": "unknown", "status": "resolved", "payload": {"approved": True}}],
        [yes(first), {"interruptId": "unknown", "status": "cancelled"}],
        [yes(first, approved="perhaps")],
        [{"interruptId": first["id"], "status": "resolved"}],
        [yes(first, editedArgs="none")],
    ]
    for resume in wrong:
        (refused,) = await say(door, thread, "write both", resume=resume)
        assert refused["code"] in ("no_pending_confirmation", "bad_field"), refused
    assert not paths[0].exists()
    rest = await say(door, thread, "write both", resume=[yes(first)])
    assert [one["id"] for one in rest[-1]["outcome"]["interrupts"]] == [second["id"]]
    no = {"interruptId": second["id"], "status": "resolved", "payload": {"approved": False, "reason": "not there"}}
    events = await say(door, thread, "write both", resume=[yes(first), no])
    assert events[-1]["outcome"] == {"type": "success"}, "the same answer again does no harm"
    assert paths[0].read_text() == "x" and not paths[1].exists()
    (late,) = await say(door, thread, "write both", resume=[yes(second)])
    assert late["code"] == "no_pending_confirmation"
    joined = await told(door, "GET", threadId=thread)
    # In the order in which they came: what was allowed may take longer than to say that the other was not.
    results = {one["metadata"]["status"] for one in joined[1]["messages"] if one["role"] == "tool"}
    assert results == {"success", "declined"}


async def test_edited_arguments_and_a_cancelled_answer(door, tmp_path):
    thread, path = new_thread(), tmp_path / "written"
    call = "call:write " + json.dumps({"path": str(path), "text": "hello"})
    (interrupt,) = (await say(door, thread, call))[-1]["outcome"]["interrupts"]
    edited = yes(interrupt, editedArgs={"path": str(path), "text": "edited"})
    assert (await say(door, thread, call, resume=[edited]))[-1]["outcome"] == {"type": "success"}
    assert path.read_text() == "edited"
    (interrupt,) = (await say(door, thread, call, call))[-1]["outcome"]["interrupts"]
    no = {"interruptId": interrupt["id"], "status": "cancelled"}
    assert (await say(door, thread, call, call, resume=[no]))[-1]["outcome"] == {"type": "success"}
    assert path.read_text() == "edited"


async def test_to_leave_cancels_nothing_and_to_stop_does(door, model):
    thread, held = new_thread(), text("what it says in the end", hang=1)
    model.script(held)
    async with telling(door, "POST", body=asked(thread, "hello")) as events:
        async for event in events:
            if event["type"] == "TEXT_MESSAGE_CONTENT":
                break
    async with telling(door, "GET", threadId=thread) as events:
        seen = [await anext(events) for _ in range(4)]
        assert kinds(seen) == ["RUN_STARTED", "MESSAGES_SNAPSHOT", "STEP_STARTED", "TEXT_MESSAGE_START"]
        assert seen[1]["messages"][-1]["content"] == event["delta"]
        held.gate.open()
        rest = [event async for event in events]
    whole = event["delta"] + "".join(one.get("delta", "") for one in rest)
    assert whole == "what it says in the end" and rest[-1]["outcome"] == {"type": "success"}
    model.script(text("never said", hang=0))
    async with telling(door, "POST", body=asked(thread, "hello", "again")) as events:
        assert (await anext(events))["type"] == "RUN_STARTED"
        stopped = await door.told("POST", "agui/tools/stop", {"threadId": thread})
        rest = [event async for event in events]
    assert len(stopped["run_ids"]) == 1 and rest[-1]["outcome"] == {"type": "cancelled"}
    assert await door.told("POST", "agui/tools/stop/", {"threadId": thread}) == {"run_ids": []}


async def test_a_message_that_steers_a_run(door, model):
    thread, agent = new_thread(), "steered"
    (interrupt,) = (await say(door, thread, "call:wait_for_word {}", agent=agent))[-1]["outcome"]["interrupts"]
    session_id = (await told(door, "GET", agent, threadId=thread))[0]["threadId"]
    assert session_id == thread
    resumed = await say(door, thread, "call:wait_for_word {}", agent=agent, resume=[yes(interrupt)])
    assert resumed[-1]["outcome"] == {"type": "success"}
    held = text("one two", hang=1)
    model.script(held, text("three"))
    async with telling(door, "POST", agent, asked(thread, "a", "b", "count")) as events:
        async for event in events:
            if event["type"] == "TEXT_MESSAGE_CONTENT":
                break
        async with telling(door, "POST", agent, asked(thread, "a", "b", "count", "go on")) as steering:
            seen = [await anext(steering) for _ in range(2)]
            assert [one["id"] for one in seen[1]["messages"]][-1] == "m-4", "nobody has read it, and it is not lost"
            held.gate.open()
            rest = [event async for event in steering]
        assert rest[-1]["outcome"] == {"type": "success"}
        assert [event async for event in events][-1]["outcome"] == {"type": "success"}
    joined = await told(door, "GET", agent, threadId=thread)
    *_earlier, snapshot = [event for event in joined if event["type"] == "MESSAGES_SNAPSHOT"]
    assert [one["id"] for one in snapshot["messages"] if one["role"] == "user"][-1] == "m-4"


async def test_a_structured_answer_is_the_result(door, model):
    value = {"customer": "Ada", "total": 3.0}
    model.script(text(json.dumps(value)))
    assert (await say(door, new_thread(), "the invoice", agent="structured"))[-1]["result"] == value


async def test_what_there_is(door):
    facts = await door.told("GET", "agui/tools")
    assert facts["transport"]["resumable"] is True and facts["identity"]["name"] == "tools"
    assert "add" in [one["name"] for one in facts["tools"]["items"]]
    assert facts["humanInTheLoop"]["approveWithEdits"] is True


async def test_head_tells_what_get_would_and_follows_nothing(door, model):
    thread, held = new_thread(), text("said in the end", hang=0)
    model.script(held)
    async with telling(door, "POST", body=asked(thread, "hello")) as events:
        assert (await anext(events))["type"] == "RUN_STARTED"
        for path, kind in (("agui/tools", "application/json"), (f"agui/tools/?threadId={thread}", "text/event-stream")):
            async with asyncio.timeout(WAIT_SECONDS):
                answer = await door.ask("HEAD", path)
            assert (answer.status_code, answer.content) == (200, b"")
            assert answer.headers["Content-Type"].startswith(kind)
        held.gate.open()
        assert [event async for event in events][-1]["outcome"] == {"type": "success"}


async def test_what_is_refused_before_a_run(door, model):
    requests = len(model.requests)
    thread = new_thread()
    whole = asked(thread, "hello")
    wrong = [
        ({**whole, "threadId": 3}, 400, "bad_field"),
        ({**whole, "threadId": "x" * 201}, 400, "bad_field"),
        ({**whole, "messages": "hello"}, 400, "bad_field"),
        ({key: whole[key] for key in whole if key != "runId"}, 400, "missing_field"),
        ({**whole, "messages": []}, 400, "empty_message"),
        ({**whole, "messages": [{"id": "a", "role": "assistant", "content": "x"}]}, 400, "empty_message"),
        ({**whole, "messages": [{"id": "a", "role": "user", "content": "  "}]}, 400, "empty_message"),
        ({**whole, "messages": [{"id": 3, "role": "user", "content": "x"}]}, 400, "bad_field"),
        ({**whole, "messages": [{"id": "a" * 201, "role": "user", "content": "x"}]}, 400, "bad_field"),
        ({**whole, "messages": [{"id": "a", "role": "user", "content": {"x": 1}}]}, 400, "bad_field"),
        ({**whole, "messages": [{"id": "a", "role": "user", "content": [{"type": "odd"}]}]}, 400, "bad_field"),
        ({**whole, "resume": [{"status": "resolved"}]}, 400, "missing_field"),
        ({**whole, "resume": [{"interruptId": "x", "status": "maybe"}]}, 400, "bad_field"),
    ]
    source = {"type": "data", "value": "aGk=", "mimeType": "audio/wav"}
    for kind in ("audio", "video", "document"):
        said = {"id": "a", "role": "user", "content": [{"type": kind, "source": source}]}
        wrong.append(({**whole, "messages": [said]}, 415, "unsupported_type"))
    for body, status, code in wrong:
        answer = await door.ask("POST", "agui/tools/", body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (body, answer.text)
    answer = await door.client.post("/api/agui/tools/", content=b"{", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_json")
    for method, path, body in (
        ("POST", "agui/nobody/", whole),
        ("GET", "agui/nobody/", None),
        ("GET", f"agui/nobody/?threadId={thread}", None),
        ("POST", "agui/tools/stop", {"threadId": new_thread()}),
        ("POST", "agui/tools/", asked(new_thread(), "x", resume=[{"interruptId": "x", "status": "cancelled"}])),
    ):
        answer = await door.ask(method, path, body)
        assert (answer.status_code, answer.json()["code"]) in ((404, "agent_not_found"), (404, "session_not_found"))
    assert (await door.ask("GET", "agui/tools/?threadId=")).status_code == 400
    assert (await door.ask("GET", f"agui/tools/?threadId={new_thread()}")).status_code == 204, "a new page joins"
    assert (await door.ask("DELETE", "agui/tools/")).status_code == 405
    chinese = await door.ask("POST", "agui/tools/?lang=zh-hans", {**whole, "messages": []})
    assert (
        chinese.json()["message"]
        != (await door.ask("POST", "agui/tools/", {**whole, "messages": []})).json()["message"]
    )
    assert len(model.requests) == requests


async def test_closed_and_deleted_threads(door):
    thread = new_thread()
    await say(door, thread, "hello")
    session_id = await session_of(door)
    await door.told("POST", f"sessions/{session_id}/close")
    answer = await door.ask("POST", "agui/tools/", asked(thread, "hello", "more"))
    assert (answer.status_code, answer.json()["code"]) == (409, "session_closed")
    assert kinds(await told(door, "GET", threadId=thread))[-1] == "RUN_FINISHED", "it can be read"
    await door.told("DELETE", f"sessions/{session_id}")
    assert (await door.ask("GET", f"agui/tools/?threadId={thread}")).status_code == 404
    for name in (thread, session_id):
        answer = await door.ask("POST", "agui/tools/", asked(name, "hello", "more"))
        assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found"), "it would know nothing"
        answer = await door.ask("POST", "agui/tools/", asked(name, "hello", resume=[yes({"id": "x"})]))
        assert answer.status_code == 404
    assert (await say(door, thread, "hello", agent="structured"))[0]["threadId"] == thread, "of another agent"


async def test_what_somebody_else_deletes_is_not_missed_by_others(server):
    with Backstage(server) as backstage:
        tokens = backstage.tokens("dan", "eve")
    async with HttpDoor(server, tokens["dan"]) as dan, HttpDoor(server, tokens["eve"]) as eve:
        await say(dan, "our thread", "hello")
        session_id = await session_of(dan)
        await dan.told("DELETE", f"sessions/{session_id}")
        assert (await dan.ask("POST", "agui/tools/", asked("our thread", "hello"))).status_code == 404
        for name in ("our thread", session_id):
            assert (await say(eve, name, "hello"))[-1]["outcome"] == {"type": "success"}


async def test_a_session_that_is_deleted_in_the_middle_of_an_answer(door, model):
    thread = new_thread()
    model.script(text("never said", hang=0))
    async with telling(door, "POST", body=asked(thread, "hello")) as events:
        assert (await anext(events))["type"] == "RUN_STARTED"
        await door.told("DELETE", f"sessions/{await session_of(door)}")
        last = [event async for event in events][-1]
    assert (last["type"], last["code"]) == ("RUN_ERROR", "session_not_found")


async def test_threads_are_those_of_their_users(server):
    with Backstage(server) as backstage:
        tokens = backstage.tokens("ann", "bob")
    async with HttpDoor(server, tokens["ann"]) as ann, HttpDoor(server, tokens["bob"]) as bob:
        await say(ann, "our thread", "a secret of ann")
        unknown = await bob.ask("GET", "agui/tools/?threadId=our+thread")
        assert unknown.status_code == 204
        hers = await session_of(ann)
        foreign = await bob.ask("GET", f"agui/tools/?threadId={hers}")
        assert (foreign.status_code, foreign.content) == (204, unknown.content)
        assert (await bob.ask("POST", "agui/tools/stop", {"threadId": hers})).status_code == 404
        assert (await say(bob, hers, "hello"))[-1]["outcome"] == {"type": "success"}, "a thread of his own"
        assert len((await told(bob, "GET", threadId=hers))[1]["messages"]) == 2
        assert len(await ann.log(hers)) == len([frame for frame in await ann.log(hers) if frame.session_id == hers])
        assert [one.content for one in await ann.log(hers) if one.event == "user.message"] == ["a secret of ann"]
        answer = await ann.ask("GET", f"agui/tools/?threadId=our+thread&token={tokens['ann']}")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_field"), "tokens in headers only"


async def test_two_requests_at_once_make_one_conversation(door):
    thread = new_thread()
    both = await asyncio.gather(say(door, thread, "hello"), say(door, thread, "hello"))
    assert [events[-1]["type"] for events in both] == ["RUN_FINISHED"] * 2
    sessions = (await door.told("GET", "sessions", params={"limit": 2}))["sessions"]
    logs = [await door.log(one["session_id"]) for one in sessions]
    assert [frame.content for frame in logs[0] if frame.event == "user.message"] == ["hello"]
    assert sessions[1]["title"] != "hello" or logs[1][0].timestamp < logs[0][0].timestamp


@pytest.mark.parametrize("kind", KINDS)
async def test_on_any_process(kind, tmp_path, model):
    model.reset()
    with two_servers(kind, tmp_path, model) as (first, second):
        async with HttpDoor(first) as here, HttpDoor(second) as there:
            for _ in range(5):
                thread = new_thread()
                await asyncio.gather(*(say(door, thread, "hello") for door in (here, there) * 2))
                log = await here.log(await session_of(there))
                assert [frame.content for frame in log if frame.event == "user.message"] == ["hello"]
            assert len((await there.told("GET", "sessions"))["sessions"]) == 5
            held = text("what it says in the end", hang=1)
            model.script(held)
            async with telling(here, "POST", body=asked(thread, "hello", "again")) as near:
                await anext(event async for event in near if event["type"] == "TEXT_MESSAGE_CONTENT")
                async with telling(there, "GET", threadId=thread) as far:
                    snapshot = [await anext(far) for _ in range(2)][1]
                    held.gate.open()
                    rest = [event async for event in far]
                assert [event async for event in near][-1]["outcome"] == {"type": "success"}
            whole = snapshot["messages"][-1]["content"] + "".join(one.get("delta", "") for one in rest)
            assert whole == "what it says in the end"


async def test_a_stream_ends_without_success_when_its_token_is_revoked(tmp_path, model):
    """Its connection is broken, and so its run may be told to be cancelled before that."""
    model.reset()
    model.script(text("never said", hang=0))
    settings = {"GRANTS_SECONDS": 0.1, "HEARTBEAT_SECONDS": 0.2}
    with AgentServer(tmp_path, "tools.py", model=model, settings=settings) as server, Backstage(server) as backstage:
        issue = "result = AccessToken.objects.issue(User.objects.create_user('cem'), 'agui')[1]"
        async with HttpDoor(server, backstage.do(issue)) as cem:
            rest = []
            with suppress(httpx2.TransportError):
                async with telling(cem, "POST", body=asked("mine", "hello")) as events:
                    assert (await anext(events))["type"] == "RUN_STARTED"
                    backstage.do("AccessToken.objects.get(user__username='cem').revoke(timezone.now())")
                    async for event in events:
                        rest.append(event)
            assert [one["outcome"]["type"] for one in rest if one["type"] == "RUN_FINISHED"] in ([], ["cancelled"])
            assert (await cem.ask("GET", "agui/tools/?threadId=mine")).status_code == 401


async def test_silence_is_filled_with_comments(tmp_path, model):
    model.reset()
    settings = {"HEARTBEAT_SECONDS": 0.2}
    with AgentServer(tmp_path, "tools.py", model=model, settings=settings) as server:
        async with HttpDoor(server) as door:
            held, thread = text("at last", hang=0), new_thread()
            model.script(held)
            path, body = "/api/agui/tools/", asked(thread, "hello")
            async with door.client.stream("POST", path, json=body) as answer:
                comments = 0
                async for line in answer.aiter_lines():
                    comments += line.startswith(":")
                    if comments == 3:
                        held.gate.open()
                assert comments >= 3 and answer.headers["X-Accel-Buffering"] == "no"


async def test_without_a_user_a_thread_is_a_name_that_nobody_guesses(tmp_path, model):
    model.reset()
    options = ["--allow-anonymous", "--require-auth"]
    with AgentServer(tmp_path, "tools.py", model=model, options=options) as server:
        async with HttpDoor(server) as door, HttpDoor(server) as other:
            answer = await door.ask("POST", "agui/tools/", asked("1", "hello"))
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_field")
            thread = new_thread()
            assert (await say(door, thread, "hello"))[-1]["outcome"] == {"type": "success"}
            assert len((await told(other, "GET", threadId=thread))[1]["messages"]) == 2, "whoever knows the name"
