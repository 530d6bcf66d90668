"""Where one writes on the chat page: files that wait, keys, the focus, and what a login or a reload interrupts."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.server.test_login import PASSWORD
from tests.support.backstage import Backstage
from tests.support.browser import browsing
from tests.support.chat_tab import ChatTab, chatting, root
from tests.support.file_client import PNG
from tests.support.model_server import text

SERVER = {
    "files": ("tools.py", "second.py"),
    "options": ("--allow-anonymous", "--language", "en"),
    "settings": {"ALLOWED_HOSTS": ["chat.example"]},
}
ISSUE = 'User.objects.create_user("ann", password=password)'
DOT = {"name": "dot.png", "mimeType": "image/png", "buffer": PNG}
NOTES = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"to remember"}
NO_STORAGE = """Object.defineProperty(globalThis, "indexedDB", {
    get() { throw new DOMException("forbidden", "SecurityError"); },
});"""
KEPT = """() => new Promise((resolve, reject) => {
    const opening = indexedDB.open("myagent");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
        const asked = opening.result.transaction("files").objectStore("files").count();
        asked.onsuccess = () => resolve(asked.result);
    };
})"""
BREAK = """event => {
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (frame) {
        if (!frame.includes(event)) return send.call(this, frame);
        WebSocket.prototype.send = send;
        const { onclose } = this;
        this.close();
        onclose({ code: 1006, reason: "" });
    };
}"""
"""The line breaks as the next frame with this event is sent, which nobody gets."""
ELEMENT = """server => {
    const chat = document.createElement("myagent-chat");
    Object.assign(chat, { server, movable: true, mode: "page", token: "mya_secret" });
    document.querySelector("myagent-chat").replaceWith(chat);
}"""
DIALLED = """globalThis.dialled = [];
globalThis.WebSocket = class extends WebSocket {
    constructor(url, protocols) { dialled.push([String(url), protocols]); super(url, protocols); }
};"""


@pytest.fixture(scope="module")
def browser(running_server):
    with Backstage(running_server) as backstage:
        backstage.do(ISSUE, password=PASSWORD)
    with browsing("--host-resolver-rules=MAP chat.example 127.0.0.1") as browser:
        yield browser


@pytest.fixture
def tab(browser, server):
    with chatting(browser, root(server)) as tab:
        yield tab.connected()


def kept(tab, count):
    tab.until(f"count => ({KEPT})().then(found => found === count)", count)


# --- files that wait --------------------------------------------------------------------------------------------------


def test_files_that_were_chosen_survive_a_reload_until_they_are_sent(tab, model):
    tab.said("before")
    names = tab.page.locator(".files .name")
    tab.page.locator("input[type=file]").set_input_files([DOT, NOTES])
    expect(names).to_have_text(["dot.png", "notes.txt"])
    kept(tab, 1)
    tab.page.reload()
    expect(tab.connected().page.locator(".files .name")).to_have_text(["dot.png", "notes.txt"])
    expect(tab.page.locator(".files img")).to_be_visible()
    tab.page.get_by_role("button", name="New chat").click()
    expect(names).to_have_count(0)
    tab.page.go_back()
    expect(names).to_have_count(2)
    model.script(text("a dot"))
    tab.said("What are these?")
    assert "to remember" in json.dumps(model.requests[-1].messages[-1]["content"])
    kept(tab, 0)
    tab.page.reload()
    expect(tab.connected().said_texts).to_have_count(2)
    expect(names).to_have_count(0)


def test_files_of_a_new_conversation_survive_and_go_with_one_that_is_deleted(tab):
    file = tab.page.locator("input[type=file]")
    names = tab.page.locator(".files .name")
    file.set_input_files([NOTES])
    kept(tab, 1)
    tab.page.reload()
    expect(names).to_have_text("notes.txt")
    tab.connected().said("What is it?")
    kept(tab, 0)
    file.set_input_files([NOTES])
    kept(tab, 1)
    tab.menu(tab.rows.first, "Delete")
    expect(names).to_have_count(0)
    tab.page.reload()  # it can be undone no longer
    tab.connected()
    kept(tab, 0)


def test_where_nothing_can_be_kept_it_is_said(browser, server):
    with browser.new_context(locale="en-US") as context:
        context.add_init_script(NO_STORAGE)
        tab = ChatTab(context.new_page())
        tab.open(root(server))
        tab.connected().page.locator("input[type=file]").set_input_files([NOTES])
        expect(tab.page.locator(".not-kept")).to_contain_text("does not keep these files")
        tab.said("What is it?")
        expect(tab.page.locator(".said .file, .said p").last).to_be_visible()
        expect(tab.page.locator(".not-kept")).to_have_count(0)
        assert tab.trouble == []


# --- keys and the focus -----------------------------------------------------------------------------------------------


def test_the_last_message_comes_back_with_its_files_and_lines(tab, model):
    tab.page.locator("input[type=file]").set_input_files([DOT])
    tab.words.fill("one")
    tab.words.press("Shift+Enter")
    tab.words.press_sequentially("two")
    tab.words.press("Enter")
    tab.finished()
    expect(tab.said_texts).to_contain_text("one\ntwo")
    tab.words.press("ArrowUp")
    expect(tab.words).to_have_value("one\ntwo")
    expect(tab.page.locator(".files .name")).to_have_text("dot.png")
    tab.words.press("ArrowUp")  # moves between the lines
    tab.words.press_sequentially("!")
    expect(tab.words).to_have_value("one!\ntwo")
    model.script(text("again"))
    tab.words.press("Enter")
    expect(tab.texts.last).to_have_text("again")
    parts = model.requests[-1].messages[-1]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"]


def test_keys_belong_to_an_input_method_while_it_composes(tab, model):
    model.script(text("one two three", hang=1))
    tab.say("go")
    expect(tab.texts).to_have_text("one")
    tab.words.focus()
    devtools = tab.page.context.new_cdp_session(tab.page)
    devtools.send("Input.imeSetComposition", {"text": "ni", "selectionStart": 2, "selectionEnd": 2})
    for init in ("{ isComposing: true }", "{ keyCode: 229 }"):
        for key in ("Enter", "Escape", "ArrowUp"):
            press = f"new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true, composed: true, ...{init} }})"
            tab.words.evaluate(f"area => area.dispatchEvent({press})")
    devtools.send("Input.insertText", {"text": "你好"})
    expect(tab.words).to_have_value("你好")
    expect(tab.said_texts).to_have_count(1)
    expect(tab.stop).to_have_text("Stop")
    tab.words.press("Escape")
    expect(tab.turns.last).to_contain_text("The run was cancelled.")
    tab.words.press("Enter")
    expect(tab.texts.last).to_have_text("You said: 你好")


def test_the_focus_is_where_one_writes(tab, model):
    expect(tab.words).to_be_focused()
    model.script(text("one two", hang=1))
    tab.say("go")
    expect(tab.texts).to_have_text("one")
    tab.stop.click()
    tab.finished()
    expect(tab.words).to_be_focused()
    tab.page.get_by_role("button", name="New chat").click()
    expect(tab.words).to_be_focused()
    tab.rows.first.click()
    expect(tab.words).to_be_focused()
    tab.menu(tab.rows.first, "Delete")
    tab.page.get_by_role("button", name="Undo").click()
    expect(tab.words).to_be_focused()
    tab.page.get_by_role("button", name="Try again").click()
    tab.finished()
    expect(tab.words).to_be_focused()


def test_no_keyboard_opens_on_a_phone(browser, server):
    phone = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True}
    with chatting(browser, root(server), **phone) as tab:
        tab.connected()
        expect(tab.words).not_to_be_focused()
        tab.page.locator(".toggle").tap()
        tab.page.locator(".sidebar .fresh").tap()
        expect(tab.words).not_to_be_focused()
        expect(tab.page.locator("main")).to_be_focused()


# --- what is interrupted ----------------------------------------------------------------------------------------------


def test_a_login_that_has_expired_leads_back_to_the_conversation(browser, server):
    """Who is anonymous meanwhile is told that there is no such conversation."""
    home = f"http://chat.example:{server.port}/"
    with chatting(browser, f"{home}login/?next=/") as tab:
        asked = []
        tab.page.on("request", lambda request: asked.append(request))
        log_in(tab)
        tab.said("private")
        session = tab.session
        tab.page.context.clear_cookies()
        tab.page.reload()
        toast = tab.page.locator(".toast")
        expect(toast).to_contain_text("you have to log in to see it")
        assert tab.session == ""
        toast.get_by_role("button", name="Log in").click()
        log_in(tab)
        expect(tab.said_texts).to_have_text("private")
        assert tab.session == session
        assert [one.url for one in asked if session in one.url and "/api/" not in one.url and "#" not in one.url] == []
        assert not any(session in one.headers.get("referer", "") for one in asked)


def log_in(tab):
    tab.page.fill("#id_username", "ann")
    tab.page.fill("#id_password", PASSWORD)
    tab.page.click("[type=submit]")
    tab.connected()


def test_a_title_that_the_line_interrupts_is_sent_again(tab):
    tab.said("old title")
    tab.page.evaluate(BREAK, "user.update_session")
    tab.menu(tab.rows.first, "Rename")
    tab.page.locator("dialog.rename input").fill("new title")
    tab.page.keyboard.press("Enter")
    tab.connected()
    other = ChatTab(tab.page.context.new_page())
    other.open(tab.page.url)
    expect(other.connected().rows.first).to_contain_text("new title")


def test_a_message_that_is_too_long_where_the_server_tells_no_limit(browser, server):
    def between(page_side):
        server_side = page_side.connect_to_server()

        def pass_on(frame):
            event = json.loads(frame)
            event["metadata"].pop("max_frame_bytes", None)
            page_side.send(json.dumps(event))

        server_side.on_message(pass_on)

    with browser.new_context(locale="en-US") as context:
        tab = ChatTab(context.new_page())
        tab.page.route_web_socket(re.compile("^ws://"), between)
        tab.open(root(server))
        tab.connected().said("before")
        tab.page.evaluate("document.querySelector('myagent-chat').chat.say('x'.repeat(5e6))")
        expect(tab.page.locator(".said .bad")).to_contain_text("it is too long for the server")
        tab.say("after")
        expect(tab.texts.last).to_have_text("You said: after")
        expect(tab.page.locator(".said.unsent")).to_have_count(0)


# --- the door ---------------------------------------------------------------------------------------------------------


def test_a_wrong_address_at_the_door_and_a_token_for_one_server_only(browser, server):
    with browser.new_context(locale="en-US") as context:
        context.add_init_script(DIALLED)
        tab = ChatTab(context.new_page())
        tab.open(root(server))
        tab.connected().page.evaluate(ELEMENT, root(server))
        door = tab.page.locator("dialog.door")
        expect(door).to_contain_text("unknown, expired or revoked")
        tab.until("() => dialled.at(-1)[1].includes('mya_secret')")
        door.locator("[name=address]").fill("http://[")
        door.get_by_role("button", name="Connect").click()
        expect(door).to_contain_text("This address leads to no server")
        door.locator("[name=address]").fill("ws://localhost:9/")
        door.get_by_role("button", name="Connect").click()
        expect(door).to_contain_text("Nothing answers at this address")
        expect(tab.page.locator(".trouble-line")).to_contain_text("See that the server is running")
        dialled = tab.page.evaluate("dialled")
        own = f"ws://localhost:{server.port}/"
        assert {url.partition("?")[0] for url, protocols in dialled if "mya_secret" in protocols} == {own}
        assert {url.partition("?")[0] for url, protocols in dialled if protocols == []} == {own, "ws://localhost:9/"}
        assert not [url for url, _ in dialled if "mya_secret" in url]
