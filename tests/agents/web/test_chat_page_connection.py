"""The page to chat on when its line breaks, its server dies or nobody lets it in: nothing is lost or comes twice."""

from __future__ import annotations

import json
import re
import urllib.request

from playwright.sync_api import expect

from tests.support.agent_server import AgentServer
from tests.support.chat_tab import ChatTab, chatting, root
from tests.support.model_server import text
from tests.support.paths import ROOT
from tests.support.patience import WAIT_SECONDS

SERVER = {"files": ("tools.py", "second.py")}
WRITE = 'call:write {"path": "/dev/null", "text": "a"}'
FILE = ROOT / "examples" / "chat.html"


def token_of(server):
    return re.search(r"token=(mya_[\w-]+)", server.banner)[1]


def test_the_server_is_killed_in_the_middle_of_an_answer(server, tab, model):
    model.script(text("one two three four", hang=2))
    tab.say("go")
    expect(tab.texts).to_have_text("one two")
    server.kill()
    tab.lost()
    tab.say("said while nobody listens")
    expect(tab.page.locator(".said.unsent .bubble")).to_have_text("said while nobody listens")
    model.script(text("one two three four five"))
    server.start()
    tab.connected()
    expect(tab.texts.first).to_have_text("one two three four five")
    tab.finished()
    expect(tab.texts).to_have_text(["one two three four five", "You said: said while nobody listens"])
    expect(tab.said_texts).to_have_count(2)
    before = tab.transcript()
    tab.page.reload()
    tab.connected().finished()
    expect(tab.texts).to_have_count(2)
    assert tab.transcript() == before
    tab.trouble.clear()  # the browser says that nobody answered


def test_the_network_is_away_for_a_while(tab):
    tab.said("before")
    tab.page.context.set_offline(True)
    tab.page.evaluate("dispatchEvent(new Event('offline'))")
    expect(tab.page.locator(".trouble-line")).to_contain_text("offline")
    tab.say("meanwhile")
    expect(tab.page.locator(".said.unsent")).to_have_count(1)
    tab.page.context.set_offline(False)
    tab.finished()
    expect(tab.texts).to_have_text(["You said: before", "You said: meanwhile"])
    tab.trouble.clear()


def test_stop_while_the_connection_is_down(server, tab, model):
    model.script(text("one two three four", hang=2))
    tab.say("go")
    expect(tab.texts).to_have_text("one two")
    server.kill()
    tab.lost()
    tab.stop.click()
    expect(tab.stop).to_have_text("Stopping…")
    expect(tab.stop).to_be_disabled()
    tab.say("said after it")
    model.script(text("one two three four five", hang=1), text("hello"))
    server.start()
    expect(tab.turns.first).to_contain_text("The run was cancelled.")
    tab.finished()
    expect(tab.texts.last).to_have_text(re.compile("hello|You said"))
    tab.trouble.clear()  # the browser says that nobody answered


def test_a_stop_that_comes_too_late_stops_nothing_else(server, tab, model):
    """What was meant has ended meanwhile, and somebody else has asked something new."""
    reply = text("one two three", hang=1)
    model.script(reply)
    tab.say("go")
    expect(tab.texts).to_have_text("one")
    other = ChatTab(tab.page.context.new_page())
    other.open(tab.page.url)
    expect(other.connected().texts).to_have_text("one")
    cut = tab.page.evaluate_handle(
        "() => { const { WebSocket } = globalThis; globalThis.WebSocket = null; return WebSocket; }"
    )
    tab.page.evaluate("dispatchEvent(new Event('offline')); dispatchEvent(new Event('online'))")
    tab.lost()
    tab.stop.click()
    reply.gate.open()
    other.finished()
    later = text("four five six", hang=1)
    model.script(later)
    other.say("more")
    expect(other.texts.last).to_have_text("four")
    tab.page.evaluate("WebSocket => { globalThis.WebSocket = WebSocket; dispatchEvent(new Event('online')); }", cut)
    expect(tab.texts).to_have_text(["one two three", "four"])
    expect(tab.stop).to_have_text("Stop")
    later.gate.open()
    tab.finished()
    expect(tab.texts.last).to_have_text("four five six")


def test_an_answer_while_the_connection_is_down(server, tab):
    sent = []
    tab.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(json.loads(frame))))
    tab.say(WRITE)
    allow = tab.question.locator(".yes")
    expect(allow).to_be_visible()
    server.kill()
    tab.lost()
    allow.click()
    expect(tab.page.locator(".answered.unsent")).to_contain_text("Allowed")
    server.start()
    tab.finished()
    expect(tab.calls).to_contain_text("done")
    expect(tab.texts.last).to_have_text("Result: wrote a")
    assert [frame["content"] for frame in sent if frame["event"] == "user.response"] == [{"confirmed": True}]
    tab.trouble.clear()  # the browser says that nobody answered


def test_a_message_that_is_too_long_is_not_sent_for_ever(tab):
    connections = []
    tab.page.on("websocket", lambda socket: connections.append(socket))
    tab.said("before")
    tab.page.evaluate("document.querySelector('myagent-chat').chat.say('x'.repeat(5e6))")
    tab.say("after")
    expect(tab.page.locator(".said .bad")).to_contain_text("Not delivered: it is too long, 4 MiB")
    expect(tab.texts.last).to_have_text("You said: after")
    expect(tab.page.locator(".said.unsent")).to_have_count(0)
    assert connections == []


def test_what_is_refused_for_now_is_sent_again(browser, server):
    refused = []

    def between(page_side):
        server_side = page_side.connect_to_server()
        server_side.on_message(page_side.send)

        def pass_on(frame):
            event = json.loads(frame)
            if event["event"] != "user.message" or refused:
                server_side.send(frame)
                return
            refused.append(event)
            metadata = {"code": "try_again", "request": "user.message", "request_id": event["metadata"]["request_id"]}
            answer = {"event": "agent.error", "session_id": event["session_id"], "content": "", "metadata": metadata}
            page_side.send(json.dumps(answer | {"timestamp": "2026-01-31T12:00:00.000Z"}))

        page_side.on_message(pass_on)

    with browser.new_context(locale="en-US") as context:
        tab = ChatTab(context.new_page())
        tab.page.route_web_socket(re.compile("^ws://"), between)
        tab.open(root(server))
        tab.connected().said("once more")
        expect(tab.texts).to_have_text("You said: once more")
    assert len(refused) == 1


def test_a_session_that_is_gone(server, tab):
    with chatting(tab.page.context.browser, f"{root(server)}#0b6d7b1c-5b5e-4e0c-9c39-6a1f4f6f0a01") as other:
        expect(other.page.locator(".toast")).to_contain_text("not there any more")
        assert other.session == ""
        other.said("new")
        expect(other.texts).to_have_text("You said: new")


def test_its_agent_is_switched_off_for_a_while(browser, model, tmp_path):
    """The page comes back meanwhile, shows what was said, gets the answer that was under way, and goes on after it."""
    model.reset()
    reply = text("one two three four", hang=2)
    told = {"GRANTS_SECONDS": 0.1}
    with (
        AgentServer(tmp_path, "tools.py", model=model, settings=told) as server,
        chatting(browser, root(server)) as tab,
    ):
        tab.connected().said("before")
        model.script(reply)
        tab.say("go")
        expect(tab.texts.last).to_have_text("one two")
        server.manage("agents", "disable", "tools")
        while agents_of(server):
            pass  # until the server has looked
        tab.page.reload()
        expect(tab.connected().texts.last).to_have_text("one two")
        reply.gate.open()
        expect(tab.texts).to_have_text(["You said: before", "one two three four"])
        tab.finished()
        tab.say("meanwhile")
        expect(tab.page.locator(".said .bad")).to_contain_text("Not delivered")
        expect(tab.rows).to_have_count(1)
        server.manage("agents", "enable", "tools")
        while not agents_of(server):
            pass
        tab.page.get_by_role("button", name="Send again", exact=True).click()
        expect(tab.texts.last).to_have_text("You said: meanwhile")


def agents_of(server):
    with urllib.request.urlopen(f"{root(server)}api/agents/", timeout=WAIT_SECONDS) as answer:
        return json.load(answer)["agents"]


def test_the_place_in_the_queue_of_a_full_server(browser, model, tmp_path):
    model.reset()
    model.script(reply := text("one two", hang=1))
    with (
        AgentServer(tmp_path, "tools.py", model=model, settings={"MAX_RUNS": 1}) as server,
        chatting(browser, root(server)) as first,
        chatting(browser, root(server)) as second,
        chatting(browser, root(server), locale="zh-CN") as third,
    ):
        first.connected().say("first")
        expect(first.texts).to_have_text("one")
        second.connected().say("second")
        expect(second.turns).to_have_text("Waiting: you are next")
        third.connected().say("third")
        expect(third.turns).to_have_text("排队中：前面还有 1 个")
        reply.gate.open()
        expect(second.texts).to_have_text("You said: second")
        expect(third.texts).to_have_text("You said: third")


# --- who gets in ------------------------------------------------------------------------------------------------------


def test_where_credentials_are_needed(browser, tmp_path):
    with AgentServer(tmp_path, "second.py", options=["--require-auth", "--llm", "demo"]) as guarded:
        token = token_of(guarded)
        with chatting(browser, root(guarded)) as tab:
            door = tab.page.locator("dialog.door")
            expect(door).to_contain_text("A token or a login is needed")
            expect(door.locator(".login")).to_be_visible()
            for given in ("mya_wrong", token):
                door.locator("[name=token]").fill(given)
                door.get_by_role("button", name="Connect").click()
                if given != token:
                    expect(door).to_contain_text("unknown, expired or revoked")
            tab.connected().said("with a token")
            tab.page.reload()
            tab.connected()
            tab.trouble.clear()  # a list of agents was asked for without the token
        with chatting(browser, f"{root(guarded)}?token={token}") as tab:
            tab.connected()
            assert token not in tab.page.url


def test_the_example_from_a_file(browser, server):
    """With the token without which no page of a file gets in: anybody's files have the same origin, which is none."""
    address = f"{FILE.as_uri()}?server=localhost:{server.port}"
    with chatting(browser, f"{address}&token={token_of(server)}") as tab:
        tab.connected().said("from a file")
        assert "mya_" not in tab.page.url
        tab.page.locator(".settings .opener").click()
        expect(tab.page.get_by_role("menuitem", name="Administration")).to_have_count(0)
    with chatting(browser, address) as tab:
        expect(tab.page.locator(".trouble-line, dialog.door").first).to_be_visible()
        tab.trouble.clear()
    with chatting(browser, f"{FILE.as_uri()}?server=localhost:9") as tab:
        expect(tab.page.locator("form")).to_contain_text("leads to no server")
        tab.trouble.clear()
