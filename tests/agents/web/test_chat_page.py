"""The page to chat on, in a real browser against real servers: all that a client of the protocol has to get right."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from agents.web import chat_page
from tests.support.agent_server import AgentServer
from tests.support.browser import Tab, browsing
from tests.support.model_server import text, tools
from tests.support.paths import ROOT

SERVER = {"files": ("tools.py", "second.py"), "options": ("--allow-origin", "null")}
EVIL = "<img src=x onerror=\"alert('x')\"> **b** [l](javascript:alert(1)) [ok](https://example.org/a) `c`"
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
WRITE = 'call:write {"path": "/dev/null", "text": "a"}'
PATIENCE = 20_000

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser(running_server):
    with browsing() as browser:
        yield browser


@contextmanager
def opened(browser, url, **options):
    """A tab of a browser that knows nothing yet."""
    with browser.new_context(**{"locale": "en-US", **options}) as context:
        context.set_default_timeout(PATIENCE)
        tab = Tab(context.new_page())
        tab.open(url)
        yield tab
        assert tab.trouble == []


@pytest.fixture
def tab(browser, server):
    with opened(browser, root(server)) as tab:
        expect(tab.page.locator("#state")).to_have_text("connected")
        yield tab


@pytest.fixture
def page(tab):
    return tab.page


def root(server):
    return f"http://localhost:{server.port}/"


def say(page, words):
    page.fill("#words", words)
    page.press("#words", "Enter")


def said(page, words):
    """Say something and wait for the end of the answer; returns its turn."""
    turn = page.locator(".agent").nth(page.locator(".agent").count())
    say(page, words)
    finished(page)
    expect(turn.locator(".text")).not_to_be_empty()
    return turn


def finished(page):
    expect(page.locator(".unsent")).to_have_count(0)
    expect(page.locator(".agent").last).to_be_visible()
    expect(page.locator("#stop")).to_be_hidden()


def stored_session(page):
    return page.evaluate("Object.entries(localStorage).find(([key]) => key.startsWith('myagent.session'))[1]")


# --- the file ---------------------------------------------------------------------------------------------------------


def test_it_is_one_file_that_needs_nothing_else():
    content = chat_page.content()
    assert (ROOT / "examples" / "chat.html").resolve() == chat_page.FILE
    assert re.findall(r"\b(?:src|href)=\"(?!/)[^\"]+", content) == []
    assert not re.findall(r"\bhttps?://|@import|url\(", content.replace("https?:\\/\\/", ""))
    for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert unsafe not in content


def test_both_languages_have_the_same_words():
    words = re.search(r"const WORDS = .*? \? (\{.*?\n\}) : (\{.*?\n\});", chat_page.content(), re.DOTALL)
    keys = [re.findall(r"[{,]\s*(\w+):", re.sub(r"'(?:[^'\\]|\\.)*'|`[^`]*`", "''", group)) for group in words.groups()]
    assert keys[0] == keys[1]
    assert len(keys[0]) > 30


def test_what_the_browser_is_told(server):
    with urllib.request.urlopen(root(server), timeout=20) as answer:
        policy = answer.headers["content-security-policy"]
        body = answer.read().decode()
    assert body == chat_page.content()
    assert "default-src 'none'" in policy
    assert f"connect-src 'self' ws://localhost:{server.port};" in policy
    assert "unsafe" not in policy
    assert answer.headers["set-cookie"] is None


# --- a conversation ---------------------------------------------------------------------------------------------------


def test_a_message_a_tool_and_a_reload(server, page, model):
    model.script(tools(("add", {"a": 2, "b": 40})), text("It is **42**.\n\n- one\n- two\n\n```\ncode\n```"))
    turn = said(page, "How much is it?")
    expect(turn.locator(".text strong")).to_have_text("42")
    expect(turn.locator(".text li")).to_have_text(["one", "two"])
    expect(turn.locator(".text pre")).to_have_text("code")
    call = turn.locator(".call")
    expect(call.locator("summary")).to_contain_text("add · success")
    expect(call.locator("pre").last).to_be_hidden()
    call.locator("summary").click()
    expect(call.locator("pre").last).to_have_text("42")
    expect(turn).to_contain_text("2 steps")
    before = page.locator("#log").inner_text()
    session = stored_session(page)
    page.reload()
    expect(page.locator(".agent .text")).to_contain_text("It is 42.")
    finished(page)
    page.locator(".call summary").click()
    assert page.locator("#log").inner_text() == before
    assert stored_session(page) == session
    model.script(text("Yes."))
    said(page, "Still there?")
    assert [message["content"] for message in model.requests[-1].messages if message["role"] == "user"] == [
        "How much is it?",
        "Still there?",
    ]


def test_questions_are_answered_on_the_page(server, page, model):
    say(page, WRITE)
    question = page.locator(".question")
    expect(question.locator("strong")).to_contain_text("write")
    expect(page.locator(".agent .faint").last).to_have_text("waiting for you…")
    question.get_by_role("button", name="Decline").click()
    finished(page)
    expect(page.locator(".call summary")).to_contain_text("declined")
    expect(question).to_contain_text("declined")
    say(page, WRITE)
    question = page.locator(".question").nth(1)
    question.locator("summary").click()
    question.locator("textarea").fill("no json")
    question.get_by_role("button", name="Allow").click()
    expect(question.locator(".bad")).to_be_visible()
    question.locator("textarea").fill('{"path": "/dev/null", "text": "b"}')
    question.get_by_role("button", name="Allow").click()
    finished(page)
    expect(page.locator(".call summary").nth(1)).to_contain_text("success")
    expect(page.locator(".agent .text").last).to_have_text("Result: wrote b")


def test_changed_arguments_are_shown_with_the_call(server, page, model):
    say(page, WRITE)
    question = page.locator(".question")
    question.locator("summary").click()
    question.locator("textarea").fill('{"path": "/dev/null", "text": "b"}')
    question.get_by_role("button", name="Allow").click()
    finished(page)
    call = page.locator(".call")
    for _ in range(2):
        expect(call.locator("summary")).to_contain_text("write · success")
        expect(call.locator("summary")).to_contain_text("arguments changed")
        call.locator("summary").click()
        expect(call.locator("pre")).to_have_count(3)
        expect(call.locator("pre").nth(0)).to_contain_text('"text": "a"')
        expect(call.locator("pre").nth(1)).to_contain_text('"text": "b"')
        page.reload()
        finished(page)
    say(page, WRITE)
    page.locator(".question").last.get_by_role("button", name="Allow").click()
    finished(page)
    expect(call.last.locator("summary")).not_to_contain_text("changed")


def test_two_tabs_see_the_same(server, tab, page, model):
    other = page.context.new_page()
    said(page, "first")
    other.goto(root(server))
    expect(other.locator(".agent .text")).to_have_text("You said: first")
    say(page, WRITE)
    other.locator(".question .yes").click()
    expect(page.locator(".question")).to_contain_text("allowed")
    finished(page)
    finished(other)
    say(other, "from the other")
    expect(page.locator(".user").last).to_have_text("from the other")
    finished(other)
    finished(page)
    expect(page.locator(".agent .text").last).to_have_text("You said: from the other")
    assert page.locator(".user").count() == other.locator(".user").count() == 3


def test_stop(server, page, model):
    reply = text("one two three four", hang=2)
    model.script(reply)
    say(page, "go")
    expect(page.locator(".agent .text")).to_have_text("one two")
    page.click("#stop")
    expect(page.locator(".agent")).to_contain_text("The run was cancelled.")
    expect(page.locator("#stop")).to_be_hidden()
    expect(page.locator(".agent .text")).to_have_text("one two")
    said(page, "and now")
    expect(page.locator(".agent .text").last).to_have_text("You said: and now")


def test_a_message_during_an_answer_waits(server, page, model):
    reply = text("one two three", hang=1)
    model.script(reply)
    say(page, "first")
    expect(page.locator(".agent .text")).to_have_text("one")
    say(page, "second")
    expect(page.locator(".agent").nth(1)).to_have_text("queued")
    reply.gate.open()
    finished(page)
    expect(page.locator(".agent .text")).to_have_text(["one two three", "You said: second"])


def test_progress_reasoning_and_errors(server, page, model):
    say(page, "call:wait")
    expect(page.locator(".call summary")).to_contain_text("wait · waiting")
    page.click("#stop")
    expect(page.locator(".call summary")).to_contain_text("cancelled")
    said(page, "think:deeply")
    expect(page.locator(".thoughts summary")).to_have_text("Reasoning")
    page.locator(".thoughts summary").click()
    expect(page.locator(".thoughts pre")).to_have_text("deeply")
    said(page, "call:boom")
    expect(page.locator(".call summary").last).to_contain_text("boom · failed")


def test_no_markup_is_obeyed(server, page, model):
    model.script(tools(("remember", {"word": EVIL})), text(EVIL))
    turn = said(page, EVIL)
    expect(turn.locator(".text")).to_contain_text("<img src=x")
    page.locator(".call summary").click()
    page.click("#earlier")
    expect(page.locator("#sessions button").first).to_contain_text("<img src=x")
    assert page.locator("img[src=x]").count() == 0
    links = turn.locator("a").evaluate_all("links => links.map(link => [link.href, link.rel])")
    assert links == [["https://example.org/a", "noopener noreferrer"]]
    expect(turn.locator(".text code")).to_have_text("c")


def test_a_picture_goes_to_the_model(server, page, model):
    page.set_input_files("#file", {"name": "dot.gif", "mimeType": "image/gif", "buffer": PIXEL})
    expect(page.locator("#picture img")).to_be_visible()
    said(page, "What is this?")
    data = f"data:image/gif;base64,{base64.b64encode(PIXEL).decode()}"
    assert model.requests[-1].messages[-1]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": data}},
    ]
    assert page.locator(".user img").get_attribute("src") == data
    expect(page.locator("#picture")).to_be_hidden()
    page.set_input_files("#file", {"name": "big.png", "mimeType": "image/png", "buffer": bytes(3 * 2**20)})
    expect(page.locator("#log")).to_contain_text("too big")


def test_another_agent_and_earlier_conversations(server, page):
    said(page, "to the first")
    page.select_option("#agent", "second")
    expect(page.locator("#hello")).to_have_text("Say something to second")
    said(page, "to the second")
    page.click("#earlier")
    page.locator("#sessions button", has_text="to the first").first.click()
    expect(page.locator(".user")).to_have_text("to the first")
    expect(page.locator("#agent")).to_have_value("tools")
    page.click("#fresh")
    expect(page.locator(".user")).to_have_count(0)


def test_a_session_that_is_gone(server, page):
    said(page, "old")
    page.evaluate(
        "Object.keys(localStorage).forEach(key => localStorage.setItem(key, '0b6d7b1c-5b5e-4e0c-9c39-6a1f4f6f0a01'))"
    )
    page.reload()
    expect(page.locator("#log")).to_contain_text("not there any more")
    said(page, "new")
    expect(page.locator(".agent .text")).to_have_text("You said: new")


# --- the connection ---------------------------------------------------------------------------------------------------


def test_the_server_is_killed_in_the_middle_of_an_answer(server, tab, page, model):
    reply = text("one two three four", hang=2)
    model.script(reply)
    say(page, "go")
    expect(page.locator(".agent .text")).to_have_text("one two")
    server.kill()
    expect(page.locator("#state")).to_contain_text("connection lost")
    say(page, "said while nobody listens")
    expect(page.locator(".unsent")).to_have_text("said while nobody listens")
    model.script(text("one two three four five"))
    server.start()
    expect(page.locator("#state")).to_have_text("connected")
    expect(page.locator(".agent .text").first).to_have_text("one two three four five")
    finished(page)
    expect(page.locator(".agent .text")).to_have_text(
        ["one two three four five", "You said: said while nobody listens"]
    )
    expect(page.locator(".user")).to_have_count(2)
    before = page.locator("#log").inner_text()
    page.reload()
    finished(page)
    expect(page.locator(".agent .text")).to_have_count(2)
    assert page.locator("#log").inner_text() == before
    tab.trouble.clear()  # the browser says that nobody answered


def test_its_agent_is_switched_off_for_a_while(browser, model, tmp_path):
    """The page comes back meanwhile, shows what was said, gets the answer that was under way, and goes on after it."""
    model.reset()
    reply = text("one two three four", hang=2)
    told = {"GRANTS_SECONDS": 0.1}
    with AgentServer(tmp_path, "tools.py", model=model, settings=told) as server, opened(browser, root(server)) as tab:
        page = tab.page
        said(page, "before")
        model.script(reply)
        say(page, "go")
        expect(page.locator(".agent .text").last).to_have_text("one two")
        server.manage("agents", "disable", "tools")
        while agents_of(server):
            pass  # until the server has looked
        page.reload()
        expect(page.locator("#state")).to_have_text("connected")
        expect(page.locator(".agent .text").last).to_have_text("one two")
        reply.gate.open()
        expect(page.locator(".agent .text")).to_have_text(["You said: before", "one two three four"])
        finished(page)
        say(page, "meanwhile")
        expect(page.locator(".user .bad")).to_contain_text("not delivered")
        page.click("#earlier")
        expect(page.locator("#sessions button")).to_have_count(1)
        page.keyboard.press("Escape")
        server.manage("agents", "enable", "tools")
        while not agents_of(server):
            pass
        say(page, "after")
        expect(page.locator(".agent .text").last).to_have_text("You said: after")


def agents_of(server):
    with urllib.request.urlopen(f"{root(server)}api/agents/", timeout=20) as answer:
        return json.load(answer)["agents"]


def test_stop_while_the_connection_is_down(server, tab, page, model):
    model.script(text("one two three four", hang=2))
    say(page, "go")
    expect(page.locator(".agent .text")).to_have_text("one two")
    server.kill()
    expect(page.locator("#state")).to_contain_text("connection lost")
    page.click("#stop")
    expect(page.locator("#stop")).to_have_text("Stopping…")
    expect(page.locator("#stop")).to_be_disabled()
    say(page, "said after it")
    model.script(text("one two three four five", hang=1), text("hello"))
    server.start()
    expect(page.locator(".agent").first).to_contain_text("The run was cancelled.")
    finished(page)
    expect(page.locator(".agent .text").last).to_have_text(re.compile("hello|You said"))
    tab.trouble.clear()  # the browser says that nobody answered


def test_a_stop_that_comes_too_late_stops_nothing_else(browser, server, model):
    """What was meant has ended meanwhile, and somebody else has asked something new."""
    with browser.new_context(locale="en-US") as context:
        page, other = context.new_page(), context.new_page()
        reply = text("one two three", hang=1)
        model.script(reply)
        page.goto(root(server))
        expect(page.locator("#state")).to_have_text("connected")
        say(page, "go")
        expect(page.locator(".agent .text")).to_have_text("one")
        other.goto(root(server))
        expect(other.locator(".agent .text")).to_have_text("one")
        page.evaluate("window.comeBack = connect; connect = () => {}; socket.close()")
        expect(page.locator("#state")).to_contain_text("connection lost")
        page.click("#stop")
        reply.gate.open()
        finished(other)
        later = text("four five six", hang=1)
        model.script(later)
        say(other, "more")
        expect(other.locator(".agent .text").last).to_have_text("four")
        page.evaluate("comeBack()")
        expect(page.locator(".agent .text")).to_have_text(["one two three", "four"])
        expect(page.locator("#stop")).to_have_text("Stop")
        later.gate.open()
        finished(page)
        expect(page.locator(".agent .text").last).to_have_text("four five six")


def test_an_answer_while_the_connection_is_down(server, tab, page, model):
    sent = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(json.loads(frame))))
    say(page, WRITE)
    question = page.locator(".question")
    expect(question.get_by_role("button", name="Allow")).to_be_visible()
    server.kill()
    expect(page.locator("#state")).to_contain_text("connection lost")
    question.get_by_role("button", name="Allow").click()
    expect(question).to_contain_text("allowed")
    expect(question.locator("button")).to_have_count(0)
    expect(page.locator(".question.unsent")).to_have_count(1)
    server.start()
    finished(page)
    expect(page.locator(".call summary")).to_contain_text("success")
    expect(page.locator(".agent .text").last).to_have_text("Result: wrote a")
    assert [frame["content"] for frame in sent if frame["event"] == "user.response"] == [{"confirmed": True}]
    tab.trouble.clear()  # the browser says that nobody answered


@pytest.mark.parametrize("known", [True, False], ids=["limit-known", "limit-unknown"])
def test_a_message_that_is_too_long_is_not_sent_for_ever(server, page, model, known):
    connections = []
    page.on("websocket", lambda socket: connections.append(socket))
    said(page, "before")
    if not known:
        page.evaluate("delete welcome.max_frame_bytes")
    page.evaluate("() => { say('x'.repeat(5e6)); say('after'); }")
    expect(page.locator(".user .bad")).to_contain_text("not delivered: it is too long")
    if known:
        expect(page.locator(".user .bad")).to_contain_text("4 MiB")
    expect(page.locator(".agent .text").last).to_have_text("You said: after")
    expect(page.locator(".unsent")).to_have_count(0)
    assert len(connections) == (0 if known else 1)


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
            page_side.send(json.dumps(answer))

        page_side.on_message(pass_on)

    with browser.new_context(locale="en-US") as context:
        page = context.new_page()
        page.route_web_socket(re.compile("^ws://"), between)
        page.goto(root(server))
        expect(page.locator("#state")).to_have_text("connected")
        said(page, "once more")
        expect(page.locator(".agent .text")).to_have_text("You said: once more")
    assert len(refused) == 1


def test_from_a_file_and_where_credentials_are_needed(browser, server, tmp_path):
    file = f"{chat_page.FILE.as_uri()}?server=ws://localhost:{server.port}/"
    with opened(browser, file) as tab:
        expect(tab.page.locator("#state")).to_have_text("connected")
        said(tab.page, "from a file")
        expect(tab.page.locator("#admin")).to_be_hidden()
    with AgentServer(tmp_path, "second.py", options=["--require-auth", "--llm", "demo"]) as guarded:
        token = re.search(r"token=(mya_[\w-]+)", guarded.banner)[1]
        with opened(browser, root(guarded)) as tab:
            page = tab.page
            expect(page.locator("#door")).to_be_visible()
            expect(page.locator("#door")).to_contain_text("A token or a login is needed")
            expect(page.locator("#login")).to_be_visible()
            page.fill("#door [name=token]", "mya_wrong")
            page.locator("#door button").click()
            expect(page.locator("#door")).to_contain_text("unknown, expired or revoked")
            page.fill("#door [name=token]", token)
            page.locator("#door button").click()
            expect(page.locator("#state")).to_have_text("connected")
            said(page, "with a token")
            page.reload()
            expect(page.locator("#state")).to_have_text("connected")
        with opened(browser, f"{root(guarded)}?token={token}") as tab:
            expect(tab.page.locator("#state")).to_have_text("connected")
            assert token not in tab.page.url
        with opened(browser, f"{chat_page.FILE.as_uri()}?server=ws://localhost:{guarded.port}/&token={token}") as tab:
            expect(tab.page.locator("#state")).to_have_text("connected")


@pytest.mark.parametrize("written", ["localhost:{port}", "http://localhost:{port}", " ws://localhost:{port} "])
def test_an_address_without_its_scheme(browser, server, written):
    with opened(browser, f"{chat_page.FILE.as_uri()}?server=ws://localhost:9/") as tab:
        tab.page.click("#state")
        tab.page.fill("#door [name=address]", written.format(port=server.port))
        tab.page.locator("#door button").click()
        expect(tab.page.locator("#state")).to_have_text("connected")
        assert tab.page.evaluate("localStorage['myagent.address']") == f"ws://localhost:{server.port}/"
        said(tab.page, "hello")
        tab.trouble[:] = [line for line in tab.trouble if "localhost:9/" not in line]


@pytest.mark.parametrize("wrong", ["ftp://localhost/", "ws://", "ws://localhost:99999/"])
def test_a_wrong_address_opens_the_door_with_words(browser, running_server, wrong):
    file = f"{chat_page.FILE.as_uri()}?{urllib.parse.urlencode({'server': wrong})}"
    with opened(browser, file) as tab:
        page = tab.page
        for _ in range(2):
            expect(page.locator("#door")).to_be_visible()
            expect(page.locator("#door p")).to_contain_text("leads to no server")
            expect(page.locator("#door [name=address]")).to_have_value(wrong)
            expect(page.locator("#state")).to_have_text("not connected")
            page.fill("#door [name=address]", "ftp://typed")
            page.locator("#door button").click()
            expect(page.locator("#door [name=address]")).to_have_value("ftp://typed")
            expect(page.locator("#door p")).to_contain_text("leads to no server")
            assert page.evaluate("localStorage['myagent.address']") is None
            page.reload()


LOOKS = [
    pytest.param({"color_scheme": "light", "viewport": {"width": 1200, "height": 800}}, id="light"),
    pytest.param({"color_scheme": "dark", "viewport": {"width": 340, "height": 640}}, id="dark-narrow"),
]


@pytest.mark.parametrize("options", LOOKS)
def test_it_fits_and_is_readable(browser, server, model, options):
    with opened(browser, root(server), locale="zh-CN", **options) as tab:
        page = tab.page
        expect(page.locator("#send")).to_have_text("发送")
        assert page.evaluate("document.documentElement.lang") == "zh"
        model.script(tools(("write", {"path": "/dev/null", "text": "long/" * 40})), text("wide " * 60 + "x" * 300))
        say(page, "y" * 300)
        page.locator(".question .yes").click()
        finished(page)
        page.locator(".call summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        overflowing = "nodes => nodes.filter(node => node.scrollWidth > node.clientWidth + 1).length"
        assert page.locator(".user, .agent, .call, .question, header, footer").evaluate_all(overflowing) == 0
        colours = "body => {const style = getComputedStyle(body); return [style.backgroundColor, style.color]}"
        background, colour = page.locator("body").evaluate(colours)
        brightness = [sum(map(int, re.findall(r"\d+", item)[:3])) for item in (background, colour)]
        assert (brightness[0] < brightness[1]) is (options["color_scheme"] == "dark")
        assert abs(brightness[0] - brightness[1]) > 400


def test_frames_for_the_page_are_as_the_protocol_says(server, page):
    """Whatever the page sends is understood."""
    sent = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(json.loads(frame))))
    page.reload()
    said(page, "hello")
    assert {frame["event"] for frame in sent} >= {"user.create_session", "user.message", "user.ack"}
    assert "refused" not in server.log
