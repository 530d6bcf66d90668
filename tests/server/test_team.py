"""Two users in two groups on one server with three agents: neither sees or guesses anything of the other's, what is
taken from one of them is gone within moments, and a budget stops a runaway agent.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
import uuid

import jwt
import pytest
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed

from myagent.client import Client, ConnectionLost, RequestRefused
from myagent.protocol.codec import CLIENT_EVENT_NAMES
from tests.conftest import connected
from tests.support.backstage import Backstage
from tests.support.conversation import ended, every_event, happens, kinds, refusal, turn
from tests.support.model_replies import text, tools
from tests.support.patience import WAIT_SECONDS

SSO_SECRET = "the-secret-of-a-single-sign-on-0123456789"
SERVER = {
    "files": ("tools.py", "second.py", "rejecting.py"),
    "options": ("--require-auth",),
    "settings": {"GRANTS_SECONDS": 0.1, "JWT_KEYS": [SSO_SECRET], "JWT_CREATE_USERS": True},
}
# Somebody always has a budget, so that the server knows that it has to look.
SETUP = """
UserBudget.objects.create(user=User.objects.create_user("somebody"))
for group, user, agent in (("red", "ann", "second"), ("blue", "bob", "rejecting")):
    Group.objects.create(name=group)
    user = User.objects.create_user(user)
    user.groups.add(Group.objects.get(name=group))
    HostedAgent.objects.get(name=agent).groups.add(Group.objects.get(name=group))
"""
RESET = """
User.objects.update(is_active=True)
for group, user in (("red", "ann"), ("blue", "bob")):
    User.objects.get(username=user).groups.set([Group.objects.get(name=group)])
for model in (GroupBudget, Usage):
    model.objects.all().delete()
UserBudget.objects.exclude(user__username="somebody").delete()
"""
ISSUE = """
for user in ("ann", "bob"):
    result = {**(result or {}), user: AccessToken.objects.issue(User.objects.get(username=user), "flow")[1]}
"""

pytestmark = pytest.mark.database


@pytest.fixture(scope="module")
def backstage(running_server):
    with Backstage(running_server) as backstage:
        backstage.do(SETUP)
        yield backstage


@pytest.fixture
def tokens(server, backstage):
    """A token of each of the two, whose rights and budgets are those of the beginning."""
    backstage.do(RESET)
    return backstage.do(ISSUE)


async def closed(client: Client) -> int:
    """Read until the server ends the connection; the code."""
    with pytest.raises(ConnectionLost) as lost:
        await client.wait_for("never")
    return lost.value.close_code


async def refused(server, path: str, token: str) -> tuple[int, str]:
    """Code and reason with which a connection is turned away."""
    with pytest.raises(ConnectionLost) as lost:
        async with connected(server, path, token=token):
            pass
    return lost.value.close_code, lost.value.reason


def without_ids(frame) -> dict:
    """What a client is told, but for what it said itself and the time."""
    told = {"event": frame.event, "content": frame.content, "metadata": dict(frame.metadata)}
    told["metadata"].pop("request_id", None)
    return told


# --- what one may not use ---------------------------------------------------------------------------------------------


async def test_each_sees_the_agents_of_their_group(server, tokens):
    async with connected(server, token=tokens["ann"]) as ann, connected(server, token=tokens["bob"]) as bob:
        assert ann.agents == ("tools", "second")
        assert bob.agents == ("tools", "rejecting")
        frames = await turn(ann, await ann.create_session("second"), "hi")
        assert frames[-1].content == "You said: hi"
        foreign, none = [
            await refusal(bob, {"event": "user.create_session", "content": {"agent": name}})
            for name in ("second", "nothing")
        ]
        assert foreign.code == "agent_not_found"
        assert without_ids(foreign) | {"content": foreign.content.replace("second", "nothing")} == without_ids(none)
    assert await refused(server, "ws/second/", tokens["bob"]) == await refused(server, "ws/nothing/", tokens["bob"])


async def test_an_agent_that_is_off_is_told_of_to_those_who_may_use_it(server, backstage, tokens):
    async with connected(server, "ws/second/", token=tokens["ann"]) as ann:
        session_id = await ann.create_session()
        backstage.do("HostedAgent.objects.filter(name='second').update(enabled=False)")
        try:
            while (code := await code_of(ann, {"event": "user.create_session"})) == "":
                pass  # until the server has looked
            assert code == "agent_unavailable"
            async with connected(server, token=tokens["bob"]) as bob:
                for name in ("second", "nothing"):
                    event = {"event": "user.create_session", "content": {"agent": name}}
                    assert await code_of(bob, event) == "agent_not_found"
            there = [await refused(server, f"ws/{name}/", tokens["bob"]) for name in ("second", "nothing")]
            assert there[0] == there[1] and there[0][0] == 4404
            # A token for this agent alone has it as its default all the same.
            issue = "result = AccessToken.objects.issue(User.objects.get(username='ann'), 'one', agents=['second'])[1]"
            async with (
                connected(server, token=backstage.do(issue)) as one,
                connected(server, "ws/second/", token=tokens["ann"]),
            ):
                assert one.agents == ()
                assert (await one.reconnect(session_id)).last_seq == 1
        finally:
            backstage.do("HostedAgent.objects.update(enabled=True)")


async def code_of(client: Client, event: dict) -> str:
    """With which code an event is refused; nothing for none."""
    try:
        await client.request(event)
    except RequestRefused as refused:
        return refused.code
    return ""


async def test_a_foreign_session_looks_like_none_by_every_event(server, tokens):
    """A question of the other's is open meanwhile, so that there would be something to answer and to cancel."""
    nowhere, no_step = str(uuid.uuid4()), uuid.uuid4().hex
    async with connected(server, token=tokens["ann"]) as ann, connected(server, token=tokens["bob"]) as bob:
        session_id = await ann.create_session(title="a secret of Ann's")
        run = await ann.say(session_id, 'call:write {"path": "/dev/null", "text": "x"}')
        asked = await ann.wait_for("agent.user_confirm")
        own = await bob.create_session()
        foreign = every_event(session_id, asked.step_id, own)
        assert {event["event"] for event in foreign} | {
            "user.create_session",
            "user.list_sessions",
            "user.reconnect_with_state",
            "user.ack",  # never answered
        } == CLIENT_EVENT_NAMES
        told = [
            [await refusal(bob, event) for event in events] for events in (foreign, every_event(nowhere, no_step, own))
        ]
        for event, theirs, nothing in zip(foreign, *told, strict=True):
            assert without_ids(theirs) == without_ids(nothing), event
        # A state that Ann exported is bound to her.
        exported = await ann.request({"event": "user.request_state", "session_id": session_id})
        state = {"event": "user.reconnect_with_state", "content": {"signed_state": exported.metadata["signed_state"]}}
        assert (await refusal(bob, state)).metadata["reason"] == "other_user"
        for query in (None, "secret", "call:write"):
            content = {"query": query} if query else {}
            sessions = (await bob.request({"event": "user.list_sessions", "content": content})).metadata["sessions"]
            assert [it["session_id"] for it in sessions if it["session_id"] != own] == []
        # None of it did anything, and nothing of Ann's ever reached Bob.
        await ann.respond(session_id, asked.step_id, False)
        frames = await ann.until(ended(run.run_id))
        assert frames[-1].event == "agent.final_answer"
        await turn(bob, own, "hi")
        assert {frame.session_id for frame in bob.unread} <= {own, None}
    log = await whole_log_of(server, session_id, tokens["ann"])
    assert "user.message" in kinds(log) and "agent.session_updated" not in kinds(log)


async def whole_log_of(server, session_id: str, token: str):
    async with connected(server, token=token) as client:
        await client.reconnect(session_id)
        return await client.until(lambda frame: frame.seq == client.cursors[session_id])


async def test_sql_and_path_tricks_in_names_lead_nowhere(server, tokens):
    odd = [
        "second%00",
        "..%2Fsecond",
        "second%2F",
        "second;x",
        "%27%20OR%201%3D1--",
        "SECOND",
        "second%20",
        "%E2%80%AEsecond",
    ]
    answers = {await refused(server, f"ws/{name}/", tokens["bob"]) for name in odd}
    assert {code for code, _ in answers} == {4404}
    async with connected(server, token=tokens["bob"]) as bob:
        for name in ("second\x00", "../second", "' OR '1'='1", "second/", "SECOND", "second "):
            told = await refusal(bob, {"event": "user.create_session", "content": {"agent": name}})
            assert told.code == "agent_not_found"
        for odd_id in ("' OR '1'='1", "../../etc/passwd", "%", "*", "0" * 4096, str(uuid.uuid4()).upper()):
            told = await refusal(bob, {"event": "user.message", "session_id": odd_id, "content": "x"})
            assert told.code == "session_not_found"
        mark = {"event": "user.list_sessions", "content": {"before": "'; DROP TABLE auth_user; --|x"}}
        assert (await refusal(bob, mark)).code == "bad_field"
        quoted = {"event": "user.list_sessions", "content": {"query": "%' OR 1=1 --", "agent": "' OR 1=1 --"}}
        assert (await bob.request(quoted)).metadata["sessions"] == []


# --- what is taken away -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "AccessToken.objects.filter(user__username='ann').order_by('-pk').first().revoke(timezone.now())",
        "AccessToken.objects.filter(user__username='ann').update(expires_at=timezone.now())",
        "AccessToken.objects.filter(user__username='ann').update(agents=['second'])",
        "AccessToken.objects.filter(user__username='ann').delete()",
        "User.objects.filter(username='ann').update(is_active=False)",
    ],
)
async def test_a_credential_that_ends_closes_open_connections(server, backstage, tokens, change):
    async with connected(server, token=tokens["ann"]) as ann, connected(server, token=tokens["bob"]) as bob:
        session_id = await ann.create_session()
        backstage.do(change)
        assert await closed(ann) == 4401
        assert (await turn(bob, await bob.create_session(), "still here"))[-1].event == "agent.final_answer"
    if "agents" not in change:
        assert (await refused(server, "", tokens["ann"]))[0] == 4401
    backstage.do(RESET)
    token = backstage.do(ISSUE)["ann"]
    async with connected(server, token=token) as ann:
        assert (await ann.reconnect(session_id)).last_seq == 1


async def test_what_a_revoked_client_has_sent_is_not_carried_out(server, backstage, tokens):
    """It does not read, so that its requests wait; the end of the connection must not set them free."""
    update = {"event": "user.update_session", "content": {"metadata": {"large": "x" * 60_000}}}
    async with connected(server, token=tokens["ann"]) as ann:
        session_id = await ann.create_session()
        for _ in range(90):
            await ann.send(update | {"session_id": session_id})
            await ann.wait_for("agent.session_updated")
    # The replays are more than the buffers of the sockets hold, the states more than may wait behind them, and so the
    # others are not handled.
    names = ["user.reconnect"] * 4 + ["user.request_state"] * 8 + ["user.message"] * 5 + ["user.delete_session"]
    requests = [{"event": name, "session_id": session_id, "content": "too late"} for name in names]
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # else the system makes it as large as it takes
    narrow.connect(("127.0.0.1", server.port))
    async with open_websocket(f"{server.url}?token={tokens['ann']}", sock=narrow, max_queue=1, max_size=None) as deaf:
        await deaf.recv()
        deaf.transport.pause_reading()
        for event in requests:
            await deaf.send(json.dumps(event))
        backstage.do("AccessToken.objects.filter(user__username='ann').update(revoked_at=timezone.now())")
        await asyncio.to_thread(server.wait_log, "its credentials are no longer valid")
        deaf.transport.resume_reading()
        with pytest.raises(ConnectionClosed):
            while True:
                await deaf.recv()
        assert deaf.close_code == 4401
    token = backstage.do(ISSUE)["ann"]
    async with connected(server, token=token) as ann:
        other_id = await ann.create_session()
        for _ in range(5):  # time enough for the server to do it, if it did
            await turn(ann, other_id, "hi")
    log = await whole_log_of(server, session_id, token)
    assert {frame.event for frame in log} == {"agent.session_created", "agent.session_updated"}


async def test_a_token_of_the_single_sign_on_ends_by_itself(server, backstage, tokens):
    backstage.do("SsoIdentity.objects.create(subject='ann', user=User.objects.get(username='ann'))")

    def token(seconds: float) -> str:
        return jwt.encode({"sub": "ann", "exp": int(time.time() + seconds)}, SSO_SECRET)

    async with connected(server, token=token(3600)) as long, connected(server, token=token(-8)) as short:
        assert short.agents == ("tools", "second")
        assert await closed(short) == 4401
        assert await long.create_session()
    assert (await refused(server, "", token(-3600)))[0] == 4401
    async with connected(server, token=jwt.encode({"sub": "new", "exp": int(time.time() + 60)}, SSO_SECRET)) as new:
        assert new.agents == ("tools",)


async def test_leaving_a_group_closes_what_uses_its_agent(server, backstage, tokens, model):
    async with (
        connected(server, "ws/second/", token=tokens["ann"]) as of_path,
        connected(server, token=tokens["ann"]) as of_session,
        connected(server, token=tokens["ann"]) as neither,
    ):
        model.script(answer := text("never", hang=0))
        session_id = await of_session.create_session("second")
        run = await of_session.say(session_id, "hi")
        await happens(answer.gate.entered)
        backstage.do("User.objects.get(username='ann').groups.clear()")
        assert [await closed(client) for client in (of_path, of_session)] == [4401, 4401]
        await happens(model.request().disconnected)
        gone = await refusal(neither, {"event": "user.reconnect", "session_id": session_id})
        assert gone.code == "session_not_found"
        assert (await refusal(neither, {"event": "user.create_session", "content": {"agent": "second"}})).code == (
            "agent_not_found"
        )
        assert (await refused(server, "ws/second/", tokens["ann"]))[0] == 4404
        # What comes back comes without a new connection.
        backstage.do(RESET)
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                try:
                    await neither.create_session("second")
                    break
                except Exception as error:  # noqa: BLE001 - refused until the server has looked
                    assert getattr(error, "frame", None) is not None and error.frame.code == "agent_not_found"
        await neither.reconnect(session_id)
        frames = await neither.until(ended(run.run_id))
        assert frames[-1].metadata["reason"] == "access_revoked"


async def test_a_user_who_is_deactivated_in_the_middle_of_a_run(server, backstage, tokens, model):
    async with connected(server, token=tokens["ann"]) as ann, connected(server, token=tokens["bob"]) as bob:
        theirs = await bob.create_session()
        model.script(tools(("wait", {})))
        session_id = await ann.create_session()
        await ann.say(session_id, "wait")
        await ann.wait_for("agent.tool_progress")
        await ann.say(session_id, "and then?")
        backstage.do("User.objects.filter(username='ann').update(is_active=False)")
        assert await closed(ann) == 4401
        assert (await turn(bob, theirs, "hi"))[-1].event == "agent.final_answer"
    backstage.do(RESET)
    async with connected(server, token=tokens["ann"]) as ann:
        await ann.reconnect(session_id)
        frames = await ann.until(lambda frame: frame.seq == ann.cursors[session_id])
        ends = [frame for frame in frames if frame.ends_run]
        assert [(frame.event, frame.metadata["reason"]) for frame in ends] == [
            ("agent.interrupted", "access_revoked")
        ] * 2
        model.reset()
        assert (await turn(ann, session_id, "back"))[-1].content == "You said: back"


async def test_staff_cancels_a_run_and_its_user_is_told(server, backstage, tokens, model):
    async with connected(server, token=tokens["ann"]) as ann:
        model.script(answer := text("never", hang=0))
        session_id = await ann.create_session()
        run = await ann.say(session_id, "hi")
        await happens(answer.gate.entered)
        backstage.do(
            "from sessions_app.admin.cancel_runs import cancel_runs;"
            "result = cancel_runs([Run.objects.get(pk=run)], by=User.objects.create_superuser('boss').pk)",
            run=run.run_id,
        )
        assert (await ann.until(ended(run.run_id)))[-1].metadata == {"run_id": run.run_id, "reason": "staff"}
        await happens(model.request().disconnected)
        assert (await turn(ann, session_id, "and now?"))[-1].event == "agent.final_answer"


# --- budgets ----------------------------------------------------------------------------------------------------------

USED = "result = sum(row.input_tokens + row.output_tokens for row in Usage.objects.filter(user__username=name))"
SPENDER = """
user = User.objects.create_user(name)
UserBudget.objects.create(user=user, **budget)
result = AccessToken.objects.issue(user, "flow")[1]
"""


def spender(backstage, name: str, **budget) -> str:
    """A token of somebody new, whose budget the server has to ask for: it keeps what it knows for a moment."""
    return backstage.do(SPENDER, name=name, budget=budget)


async def notice_in(frames, client: Client):
    """The notice that a budget is nearly used up, which comes when the server has looked."""
    notices = [frame for frame in frames if frame.metadata.get("action") == "budget"]
    return notices[0] if notices else await client.wait_for(lambda frame: frame.metadata.get("action") == "budget")


async def test_a_budget_stops_a_runaway_agent(server, backstage, tokens, model):
    """Each call of this model takes 8 tokens; it would go on for ever."""
    token = spender(backstage, "carl", tokens_per_day=20)
    async with connected(server, token=token) as carl, connected(server, token=tokens["bob"]) as bob:
        session_id = await carl.create_session()
        model.script(*(tools(("add", {"a": number, "b": 1})) for number in range(9)))
        run = await carl.say(session_id, "go on", message_id="first")
        frames = await carl.until(ended(run.run_id))
        stopped = frames[-1]
        assert stopped.event == "agent.error"
        assert stopped.metadata["code"] == "budget_exceeded"
        assert stopped.metadata["scope"] == "user"
        assert stopped.content.startswith(
            "The answer was stopped. You have used up your 20 model tokens of today. You can continue from "
        )
        assert stopped.metadata["free_at"][:10] in stopped.content
        assert kinds(frames).count("agent.tool_result") == 3
        assert len(model.requests) == 3
        assert backstage.do(USED, name="carl") == 24
        # Told within moments, once, on every connection of that user and on no other.
        notice = await notice_in(frames, carl)
        assert notice.metadata["percent"] in (80, 120) and notice.metadata["scope"] == "user"
        model.reset()
        again = {"event": "user.message", "session_id": session_id, "content": "more"}
        again["metadata"] = {"message_id": "second"}
        told = await refusal(carl, again)
        assert (told.code, told.metadata["scope"]) == ("budget_exceeded", "user")
        assert told.content.startswith("You have used up your 20 model tokens of today.")
        assert (await carl.say(session_id, "go on", message_id="first")).duplicate
        assert (await turn(bob, await bob.create_session(), "hi"))[-1].event == "agent.final_answer"
        assert model.requests and all(frame.metadata.get("action") != "budget" for frame in bob.unread)
        # A new day.
        backstage.do("Usage.objects.filter(user__username='carl').update(day=timezone.localdate() - timedelta(days=1))")
        accepted = await carl.say(session_id, "more", message_id="second")
        assert not accepted.duplicate
        assert (await carl.until(ended(accepted.run_id)))[-1].event == "agent.final_answer"
    await whole_log_of(server, session_id, token)


async def test_a_message_that_waited_is_told_when_nothing_is_left(server, backstage, tokens, model):
    async with connected(server, token=spender(backstage, "dora", tokens_per_day=8)) as client:
        session_id = await client.create_session()
        model.script(answer := text("done", hang=1))
        first = await client.say(session_id, "one")
        second = await client.say(session_id, "two")
        await happens(answer.gate.entered)
        answer.gate.open()
        assert (await client.until(ended(first.run_id)))[-1].event == "agent.final_answer"
        told = (await client.until(ended(second.run_id)))[-1]
        assert (told.code, len(model.requests)) == ("budget_exceeded", 1)
        assert told.content.startswith("You have used up your 8 model tokens")


async def test_a_notice_comes_when_most_is_used(server, backstage, tokens):
    token = spender(backstage, "emil", tokens_per_day=10)
    async with connected(server, token=token) as client, connected(server, token=token) as other:
        frames = await turn(client, await client.create_session(), "tokens:2")
        for notice in (await notice_in(frames, client), await notice_in((), other)):
            assert notice.content == "You have used 90 % of your 10 model tokens of today."
            assert notice.seq is None and notice.session_id is None


GROUP_OF = """
group = Group.objects.create(name="spenders")
group.user_set.set(User.objects.filter(username__in=names))
GroupBudget.objects.create(group=group, tokens_per_day=22)
"""


async def test_every_member_is_told_when_most_of_a_groups_budget_is_used(server, backstage):
    """Those who were told of their own budget today, and those who have used nothing, too."""
    gina, hugo, irma = (
        spender(backstage, name, tokens_per_day=limit) for name, limit in (("gina", 10), ("hugo", 99), ("irma", 99))
    )
    backstage.do(GROUP_OF, names=["gina", "hugo", "irma"])
    async with (
        connected(server, token=gina) as first,
        connected(server, token=hugo) as second,
        connected(server, token=irma) as idle,
    ):
        own = await notice_in(await turn(first, await first.create_session(), "tokens:2"), first)
        assert own.content == "You have used 90 % of your 10 model tokens of today."
        frames = await turn(second, await second.create_session(), "tokens:2")
        for notice in (await notice_in(frames, second), await notice_in((), first), await notice_in((), idle)):
            assert notice.content == "Your group has used 81 % of its 22 model tokens of today."
            assert notice.metadata["scope"] == "group"


async def test_runs_at_once_and_messages_per_minute(server, backstage, tokens, model):
    async with connected(server, token=spender(backstage, "fred", max_runs=1, messages_per_minute=3)) as client:
        first, second = await client.create_session(), await client.create_session()
        model.script(answer := text("done", hang=0))
        run = await client.say(first, "one")
        await happens(answer.gate.entered)
        message = {"event": "user.message", "session_id": second, "content": "two", "metadata": {"message_id": "m"}}
        assert (await refusal(client, message)).code == "too_many_runs"
        await client.say(first, "waits in its own session")
        await client.cancel(first)
        await client.until(ended(run.run_id))
        await client.until(ended())
        accepted = await client.say(second, "two", message_id="m")
        await client.until(ended(accepted.run_id))
        told = await refusal(client, message | {"metadata": {"message_id": "n"}})
        assert told.code == "too_many_messages"
        assert 0 < told.metadata["retry_after"] <= 20
        assert f"{told.metadata['retry_after']} s" in told.content
        assert (await client.say(second, "two", message_id="m")).duplicate
