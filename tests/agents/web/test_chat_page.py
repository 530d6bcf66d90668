"""The page to chat on, in a real browser against a real server: a conversation, its answers and its questions."""

from __future__ import annotations

import base64
import json
import re
import urllib.request

import pytest
from playwright.sync_api import expect

from tests.support.chat_tab import ChatTab, chatting, root
from tests.support.model_server import text, tools
from tests.support.patience import WAIT_SECONDS

SERVER = {"files": ("tools.py", "second.py")}
EVIL = "<img src=x onerror=\"alert('x')\"> **b** [l](javascript:alert(1)) [ok](https://example.org/a) `c`"
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
WRITE = 'call:write {"path": "/dev/null", "text": "a"}'


# --- what the browser is told -----------------------------------------------------------------------------------------


def test_the_page_runs_its_own_scripts_only_and_tells_nobody_where_it_is(server):
    with urllib.request.urlopen(root(server), timeout=WAIT_SECONDS) as answer:
        headers, body = answer.headers, answer.read().decode()
    policy = headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
    assert f"connect-src 'self' ws://localhost:{server.port};" in policy
    assert "unsafe" not in policy
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["set-cookie"] is None
    assert (
        re.findall(r"<script(?! type=\"(?:module|application/json)\")", body.replace('id="myagent-config" ', "")) == []
    )
    assert re.findall(r"\b(?:src|href)=\"(?!/static/)", body) == []


def test_no_request_leaves_for_another_host(browser, server, model):
    with browser.new_context(locale="en-US") as context:
        asked: list[str] = []
        context.on("request", lambda request: asked.append(request.url))
        tab = ChatTab(context.new_page())
        tab.open(root(server))
        model.script(text(f"{EVIL} ![p](https://example.org/p.png) $x^2$\n\n```python\nx = 1\n```\n"))
        tab.connected().said("![p](https://example.org/p.png)")
        expect(tab.page.locator(".formula math")).to_be_visible()
        expect(tab.page.locator("[class^=hljs]").first).to_be_visible()
        assert [url for url in asked if not url.startswith(root(server))] == []
        assert tab.trouble == []


# --- a conversation ---------------------------------------------------------------------------------------------------


def test_a_message_a_tool_and_a_reload(tab, model):
    model.script(tools(("add", {"a": 2, "b": 40})), text("It is **42**.\n\n- one\n- two\n\n```\ncode\n```"))
    turn = tab.said("How much is it?")
    expect(turn.locator(".text strong")).to_have_text("42")
    expect(turn.locator(".text li")).to_have_text(["one", "two"])
    expect(turn.locator(".text pre")).to_have_text("code")
    expect(tab.calls).to_contain_text("add done")
    expect(turn.locator(".result")).to_be_hidden()
    tab.calls.click()
    expect(turn.locator(".result pre")).to_have_text("42")
    expect(turn.locator(".costs")).to_contain_text("2 steps")
    before, session = tab.transcript(), tab.session
    assert len(session) == 36
    tab.page.reload()
    tab.connected().finished()
    tab.calls.click()
    assert (tab.transcript(), tab.session) == (before, session)
    model.script(text("Yes."))
    tab.said("Still there?")
    users = [message["content"] for message in model.requests[-1].messages if message["role"] == "user"]
    assert users == ["How much is it?", "Still there?"]


def test_a_block_that_is_finished_is_left_alone(tab, model):
    """What is selected stays selected, and a screen reader hears each block once."""
    reply = text("The first block.\n\nThe second one goes on and on", hang=5)
    model.script(reply)
    tab.say("go")
    expect(tab.texts).to_contain_text("The second")
    first = tab.texts.locator("p").first
    first.evaluate("node => { node.kept = true; getSelection().selectAllChildren(node); }")
    reply.gate.open()
    tab.finished()
    assert first.evaluate("node => node.kept")
    assert tab.page.evaluate("String(getSelection())") == "The first block."
    expect(tab.page.locator(".live p")).to_have_text(["The first block.", "The second one goes on and on"])


def test_stop_and_a_message_that_waits(tab, model):
    reply = text("one two three four", hang=2)
    model.script(reply)
    tab.say("go")
    expect(tab.texts).to_have_text("one two")
    tab.say("second")
    expect(tab.turns.nth(1)).to_have_text("Queued")
    reply.gate.open()
    tab.finished()
    expect(tab.texts).to_have_text(["one two three four", "You said: second"])
    model.script(text("five six seven", hang=2))
    tab.say("again")
    expect(tab.texts.last).to_have_text("five six")
    tab.words.press("Escape")
    expect(tab.turns.last).to_contain_text("The run was cancelled.")
    tab.finished()
    expect(tab.texts.last).to_have_text("five six")
    tab.words.press("ArrowUp")
    expect(tab.words).to_have_value("again")


def test_progress_reasoning_and_errors(tab):
    tab.say("call:wait")
    expect(tab.calls).to_contain_text("wait waiting")
    tab.stop.click()
    expect(tab.calls).to_contain_text("cancelled")
    thoughts = tab.said("think:deeply").locator(".thought")
    expect(thoughts.locator("summary")).to_have_text("Reasoning")
    thoughts.locator("summary").click()
    expect(thoughts.locator("pre")).to_have_text("deeply")
    tab.said("call:boom")
    expect(tab.calls.last).to_contain_text("boom failed")


def test_no_markup_is_obeyed(tab, model):
    model.script(tools(("remember", {"word": EVIL})), text(EVIL))
    turn = tab.said(EVIL)
    expect(turn.locator(".text")).to_contain_text("<img src=x")
    tab.calls.click()
    expect(turn.locator(".args").first).to_contain_text("<img src=x")
    expect(tab.rows.first).to_contain_text("<img src=x")
    assert tab.page.locator("img[src=x]").count() == 0
    links = turn.locator(".text a").evaluate_all("links => links.map(link => [link.href, link.rel, link.target])")
    assert links == [["https://example.org/a", "noopener noreferrer nofollow", "_blank"]]
    expect(turn.locator(".text code")).to_have_text("c")


def test_pictures_and_texts_go_to_the_model_and_what_is_not_taken_is_said(tab, model):
    file = tab.page.locator("input[type=file]")
    sent = [
        {"name": "dot.gif", "mimeType": "image/gif", "buffer": PIXEL},
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"to remember"},
    ]
    file.set_input_files(sent)
    expect(tab.page.locator(".files li")).to_have_count(2)
    tab.said("What is this?")
    parts = model.requests[-1].messages[-1]["content"]
    assert parts[0] == {"type": "text", "text": "What is this?"}
    assert parts[1]["image_url"]["url"].startswith("data:image/gif;base64,")
    assert "to remember" in json.dumps(parts[2:])
    expect(tab.page.locator(".said img")).to_be_visible()
    expect(tab.page.locator(".files li")).to_have_count(0)
    file.set_input_files({"name": "nothing.txt", "mimeType": "text/plain", "buffer": b""})
    expect(tab.page.locator(".trouble")).to_contain_text("nothing.txt is empty")


def test_a_picture_of_a_tool_is_shown(tab, model):
    model.script(tools(("plot", {})), text("plotted"))
    tab.said("plot")
    made = tab.page.locator("img.made")
    for _ in range(2):
        expect(made).to_be_visible()
        assert made.evaluate("image => [image.alt, image.naturalWidth]") == ["Picture of plot", 1]
        tab.page.reload()
        tab.connected()


# --- questions --------------------------------------------------------------------------------------------------------


def test_questions_are_answered_on_the_page(tab):
    tab.say(WRITE)
    expect(tab.question.locator("strong")).to_contain_text("write")
    expect(tab.question).to_contain_text("left")
    tab.question.locator(".no").click()
    tab.question.locator(".reason input").fill("not today")
    tab.page.keyboard.press("Enter")
    tab.finished()
    expect(tab.calls).to_contain_text("declined")
    expect(tab.page.locator(".answered")).to_contain_text("Declined")
    tab.say(WRITE)
    tab.question.locator(".change").click()
    arguments = tab.question.locator("textarea")
    allow = tab.question.locator(".yes")
    arguments.fill("no json")
    expect(allow).to_be_disabled()
    arguments.fill('{"path": 3}')
    expect(tab.question.locator(".problems li")).to_have_text(["text: is missing", "path: should be string"])
    arguments.fill('{"path": "/dev/null", "text": "b"}')
    allow.click()
    tab.finished()
    expect(tab.texts.last).to_have_text("Result: wrote b")
    call = tab.page.locator(".call").last
    for _ in range(2):
        expect(call.locator("summary")).to_contain_text("arguments changed")
        call.locator("summary").click()
        expect(call.locator(".args")).to_have_count(2)
        expect(call.locator(".args").nth(0)).to_contain_text('"text": "a"')
        expect(call.locator(".args").nth(1)).to_contain_text('"text": "b"')
        tab.page.reload()
        tab.connected().finished()


def test_a_call_with_hidden_characters_is_shown_with_marks_and_run_as_it_is(tab, model):
    path = "/dev/\u202egpj.nur"
    model.script(tools(("write", {"path": path, "text": "a"})), text("done"))
    tab.say("go")
    expect(tab.question.locator("pre")).to_contain_text("/dev/⟨U+202E⟩gpj.nur")
    tab.question.locator(".change").click()
    expect(tab.question.locator("textarea")).to_have_value(re.compile(r"/dev/\\u202egpj"))
    tab.question.locator(".no").click()
    tab.question.locator(".no").click()
    tab.finished()


def test_two_tabs_of_one_conversation_see_the_same(server, tab):
    with tab.page.context.expect_page() as opened:
        tab.said("first")
        tab.page.evaluate("url => window.open(url)", tab.page.url)
    other = ChatTab(opened.value)
    other.connected()
    expect(other.texts).to_have_text("You said: first")
    tab.say(WRITE)
    other.question.locator(".yes").click()
    expect(tab.page.locator(".answered")).to_contain_text("Allowed")
    tab.finished()
    other.finished()
    other.say("from the other")
    expect(tab.said_texts.last).to_have_text("from the other")
    tab.finished()
    other.finished()
    expect(tab.texts.last).to_have_text("You said: from the other")
    assert tab.said_texts.count() == other.said_texts.count() == 3


# --- what the server can take -----------------------------------------------------------------------------------------


def test_what_the_page_sends_is_understood(server, tab):
    sent = []
    tab.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(json.loads(frame))))
    tab.page.reload()
    tab.connected().said("hello")
    assert {frame["event"] for frame in sent} >= {"user.create_session", "user.message", "user.ack"}
    assert "refused" not in server.log


LOOKS = [
    pytest.param({"color_scheme": "light", "viewport": {"width": 1200, "height": 800}}, id="light"),
    pytest.param({"color_scheme": "dark", "viewport": {"width": 320, "height": 640}}, id="dark-narrow"),
]


@pytest.mark.parametrize("options", LOOKS)
def test_it_fits_and_is_readable(browser, server, model, options):
    with chatting(browser, root(server), **(options | {"locale": "zh-CN"})) as tab:
        page = tab.connected().page
        expect(page.get_by_role("button", name="发送")).to_be_visible()
        assert page.evaluate("document.documentElement.lang") == "zh-Hans"
        wide = "wide " * 60 + "x" * 300 + "\n\n|a|b|\n|--|--|\n|" + "y" * 200 + "|" + "z" * 200 + "|\n"
        model.script(tools(("write", {"path": "/dev/null", "text": "long/" * 40})), text(wide))
        tab.say("y" * 300)
        tab.question.locator(".yes").click()
        tab.finished()
        tab.calls.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        overflowing = (
            "nodes => nodes.filter(node => node.scrollWidth > node.clientWidth + 1).map(node => node.className)"
        )
        assert page.locator(".shell, .scroller, .said, .turn, .call, .bar, .composer").evaluate_all(overflowing) == []
        colours = "shell => {const style = getComputedStyle(shell); return [style.backgroundColor, style.color]}"
        background, colour = page.locator(".shell").evaluate(colours)
        brightness = [sum(map(int, re.findall(r"\d+", item)[:3])) for item in (background, colour)]
        assert (brightness[0] < brightness[1]) is (options["color_scheme"] == "dark")
        assert abs(brightness[0] - brightness[1]) > 400
