"""The page to chat on with copies of conversations, ratings and files, for every kind of caller, under a sub-path."""

from __future__ import annotations

import base64
import json

import pytest
from playwright.sync_api import expect

from tests.server.test_login import PASSWORD
from tests.support.agent_server import AgentServer
from tests.support.backstage import Backstage
from tests.support.browser import browsing
from tests.support.chat_tab import ChatTab, chatting
from tests.support.file_client import PNG
from tests.support.model_server import Status, text

SERVER = {
    "files": ("tools.py", "filing.py", "words_only.py"),
    "options": ("--allow-anonymous", "--root-path", "/chat", "--language", "en"),
    "settings": {"MAX_FILE_BYTES": 1_000_000, "MAX_FILES": 4, "ALLOWED_HOSTS": ["chat.example"]},
}
ISSUE = """
user = User.objects.create_user("ann", password=password)
result = AccessToken.objects.issue(user, "page")[1]
"""
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
HAND_OVER = """(node, { how, name, type, data }) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob(data), one => one.charCodeAt(0))], name, { type }));
    node.dispatchEvent(how === "paste"
        ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
        : new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""
NO_LINE = "globalThis.WebSocket = null; dispatchEvent(new Event('offline')); dispatchEvent(new Event('online'))"
READ = """() => {
    const { list } = document.querySelector("myagent-chat").chat;
    list.refresh();
    const row = list.rows.find(one => one.title.includes("aardvarks"));
    return row.read_seq >= row.last_seq;
}"""
DOT = {"name": "dot.png", "mimeType": "image/png", "buffer": PNG}
NOTES = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"to remember"}


@pytest.fixture(scope="module")
def token(running_server):
    with Backstage(running_server) as backstage:
        yield backstage.do(ISSUE, password=PASSWORD)


@pytest.fixture(scope="module")
def browser(running_server, token):
    with browsing("--host-resolver-rules=MAP chat.example 127.0.0.1") as browser:
        yield browser


def home(server, host="localhost"):
    """Programs of this machine are known at `localhost` alone."""
    return f"http://{host}:{server.port}/chat/"


@pytest.fixture
def tab(browser, server):
    with chatting(browser, home(server)) as tab:
        yield tab.connected()


def log_in(tab):
    tab.page.fill("#id_username", "ann")
    tab.page.fill("#id_password", PASSWORD)
    tab.page.click("[type=submit]")
    tab.connected()


def hand_over(tab, how, file):
    data = {
        "how": how,
        "name": file["name"],
        "type": file["mimeType"],
        "data": base64.b64encode(file["buffer"]).decode(),
    }
    tab.page.locator(".composer textarea" if how == "paste" else ".shell").evaluate(HAND_OVER, data)


# --- copies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "chat.example"])
def test_an_answer_is_given_again_in_a_copy(browser, server, model, host):
    with chatting(browser, home(server, host)) as tab:
        copies(tab.connected(), model)


def copies(tab, model):
    """Also for who has no name, whose conversations no server lists."""
    model.script(text("red"), text("blue"), text("green"))
    tab.said("first")
    turn = tab.said("second")
    original = tab.session
    turn.get_by_label("Answer again").click()
    expect(tab.texts).to_have_text(["red", "green"])
    tab.finished()
    assert tab.session != original
    expect(tab.said_texts).to_have_text(["first", "second"])
    asked = [part["content"] for part in model.requests[-1].messages if part["role"] != "system"]
    assert asked == ["first", "red", "second"]
    copy = tab.page.locator(".conversation.shown")
    expect(copy.get_by_label("Continued from “first”")).to_be_visible()
    tab.page.reload()
    expect(tab.connected().texts).to_have_text(["red", "green"])
    tab.page.get_by_role("button", name="Show the original").click()
    expect(tab.texts).to_have_text(["red", "blue"])
    assert tab.session == original


def test_what_failed_and_what_was_stopped_is_tried_again(tab, model):
    model.script(Status(400))
    failed = tab.said("go")
    expect(failed.locator(".failure")).to_be_visible()
    tab.page.get_by_role("button", name="New chat").click()
    expect(tab.page.locator(".conversation.failed").get_by_label("failed").first).to_be_visible()
    tab.page.go_back()
    model.script(text("one two three", hang=2))
    failed.get_by_role("button", name="Try again").click()
    expect(tab.texts).to_have_text("one two")
    tab.stop.click()
    tab.finished()
    model.script(text("one two three four"))
    tab.turns.last.get_by_role("button", name="Try again").click()
    expect(tab.texts).to_have_text("one two three four")
    expect(tab.said_texts).to_have_text(["go"])


def test_files_that_were_just_chosen_are_sent_with_the_words(tab, model):
    held = []
    tab.page.route("**/api/agents/*", lambda route: held.append(route))  # what the agent takes is not known yet
    tab.page.reload()
    tab.connected().page.locator("input[type=file]").set_input_files([NOTES])
    model.script(text("a note"))
    tab.say("What is it?")
    held.pop().continue_()
    expect(tab.texts).to_have_text("a note")
    expect(tab.page.locator(".said")).to_contain_text("notes.txt")


def test_a_message_is_changed_and_keeps_its_files(tab, model):
    tab.page.locator("input[type=file]").set_input_files([DOT, NOTES])
    model.script(text("a dot"), text("a small dot"))
    tab.said("What is it?")
    original = tab.session
    tab.words.fill("begun")
    tab.page.locator(".said").hover()
    tab.page.get_by_label("Edit and send again").click()
    expect(tab.page.locator(".files .name")).to_have_text(["dot.png", "notes.txt"])
    tab.words.fill("How small is it?")
    tab.page.reload()  # what was begun is there again
    expect(tab.connected().page.locator(".editing")).to_be_visible()
    expect(tab.words).to_have_value("How small is it?")
    tab.page.get_by_role("button", name="Remove notes.txt").click()
    tab.words.press("Enter")
    expect(tab.texts).to_have_text("a small dot")
    tab.finished()
    expect(tab.said_texts).to_have_text("How small is it?")
    expect(tab.page.locator(".said img")).to_be_visible()
    said = model.requests[-1].messages[-1]["content"]
    assert [part["type"] for part in said] == ["text", "image_url"]
    tab.page.go_back()
    expect(tab.said_texts).to_contain_text("What is it?")
    assert tab.session == original
    expect(tab.words).to_have_value("begun")
    expect(tab.page.locator(".editing")).to_have_count(0)


# --- what the line's end interrupts -----------------------------------------------------------------------------------


def test_a_copy_that_the_line_interrupts_is_said_and_the_new_words_are_kept(tab):
    tab.said("old words")
    tab.page.locator(".said").hover()
    tab.page.get_by_label("Edit and send again").click()
    tab.words.fill("new words")
    tab.page.evaluate(BREAK, "user.fork")
    tab.words.press("Enter")
    expect(tab.page.locator(".toast.bad")).to_contain_text("before the copy of the conversation was confirmed")
    tab.connected()
    expect(tab.page.locator(".editing")).to_be_visible()
    expect(tab.words).to_have_value("new words")
    tab.words.press("Enter")
    expect(tab.texts).to_have_text("You said: new words")


def test_a_rating_that_the_line_interrupts_is_sent_again(tab):
    turn = tab.said("rate this")
    tab.page.evaluate(BREAK, "user.feedback")
    turn.get_by_label("Good answer").click()
    tab.connected()
    tab.until("document.querySelector('myagent-chat').chat.shown.posts.size === 0")
    tab.page.reload()
    expect(tab.connected().page.get_by_label("Good answer")).to_have_attribute("aria-pressed", "true")


def test_what_was_said_without_a_line_survives_a_reload(tab):
    for before in (["You said: before"], []):
        if before:
            tab.said("before")
        tab.page.evaluate(NO_LINE)
        tab.lost()
        tab.say("meanwhile")
        expect(tab.page.locator(".said.unsent")).to_have_count(1)
        tab.page.reload()
        expect(tab.texts).to_have_text([*before, "You said: meanwhile"])
        tab.finished()
        expect(tab.said_texts).to_have_count(len(before) + 1)
        tab.page.get_by_role("button", name="New chat").click()


def test_a_login_leads_back_to_the_conversation(browser, tmp_path):
    options = ("--require-auth", "--llm", "demo", "--root-path", "/chat")
    with AgentServer(tmp_path, "second.py", options=options) as guarded, Backstage(guarded) as backstage:
        backstage.do(ISSUE, password=PASSWORD)
        with chatting(browser, home(guarded) + "login/?next=/chat/") as tab:
            log_in(tab)
            tab.said("private")
            session = tab.session
            tab.page.context.clear_cookies()
            tab.page.reload()
            tab.page.locator("dialog.door .login").click()
            log_in(tab)
            expect(tab.said_texts).to_have_text("private")
            assert tab.session == session
            tab.trouble.clear()  # the browser tells of a list that was refused


# --- ratings ----------------------------------------------------------------------------------------------------------


def test_a_rating_with_a_comment_is_kept_and_taken_back(tab):
    turn = tab.said("rate this")
    bad = turn.get_by_label("Bad answer")
    bad.click()
    turn.locator(".comment input").fill("That was yesterday's weather.")
    turn.get_by_role("button", name="Send").click()
    comment = turn.locator(".commented")
    expect(comment).to_have_text("That was yesterday's weather.")
    other = ChatTab(tab.page.context.new_page())
    other.open(tab.page.url)
    expect(other.page.locator(".commented")).to_have_text("That was yesterday's weather.")
    tab.page.reload()
    expect(bad).to_have_attribute("aria-pressed", "true")
    expect(comment).to_have_text("That was yesterday's weather.")
    bad.click()
    expect(comment).to_have_count(0)
    expect(other.page.locator(".commented")).to_have_count(0)
    tab.page.reload()
    expect(bad).to_have_attribute("aria-pressed", "false")


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["local", "anonymous", "token", "cookie"])
def test_files_are_attached_and_pictures_shown(browser, server, model, token, who):
    address = home(server, "localhost" if who == "local" else "chat.example")
    if who == "token":
        address += f"?token={token}"
    with chatting(browser, address + ("login/" if who == "cookie" else "")) as tab:
        if who == "cookie":
            log_in(tab)
        tab.connected()
        expect(tab.page.locator(".person")).to_contain_text(
            {"local": "local", "anonymous": "Not logged in"}.get(who, "ann")
        )
        tab.page.locator("input[type=file]").set_input_files([NOTES])
        hand_over(tab, "paste", DOT)
        hand_over(tab, "drop", {**DOT, "name": "dropped.png"})
        expect(tab.page.locator(".files .name")).to_have_text(["notes.txt", "dot.png", "dropped.png"])
        tab.said("What are these?")
        parts = json.dumps(model.requests[-1].messages[-1]["content"])
        assert parts.count("data:image/png;base64,") == 2
        assert "to remember" in parts
        pictures = tab.page.locator(".said img")
        for _ in range(2):
            expect(pictures).to_have_count(2)
            for picture, name in zip(pictures.all(), ("dot.png", "dropped.png"), strict=True):
                picture.evaluate("picture => picture.decode()")  # fails for what is no picture
                expect(picture).to_have_attribute("alt", name)
            expect(tab.page.locator(".said .file")).to_contain_text("notes.txt")
            tab.page.reload()
            tab.connected()


def test_what_is_not_taken_is_said(tab):
    file = tab.page.locator("input[type=file]")
    trouble = tab.page.locator(".trouble")
    file.set_input_files({**NOTES, "name": "long.txt", "buffer": b"x" * 1_000_001})
    expect(trouble).to_contain_text("long.txt is too big")
    file.set_input_files({**DOT, "buffer": b"no picture at all"})
    tab.say("look")
    expect(trouble).to_contain_text("dot.png is not the picture that it says it is")
    expect(tab.words).to_have_value("look")
    tab.page.get_by_role("button", name="Remove dot.png").click()
    file.set_input_files([{**NOTES, "name": f"{number}.txt"} for number in range(5)])
    tab.words.press("Enter")
    expect(trouble).to_contain_text("4.txt was not taken")
    tab.page.get_by_role("button", name="Remove 4.txt").click()
    tab.words.press("Enter")
    tab.finished()
    expect(tab.page.locator(".said .file")).to_have_count(4)
    tab.page.get_by_role("button", name="Agent: tools").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="words-only").click()
    for given, why in ((DOT, "takes no pictures"), (NOTES, "takes no files")):
        file.set_input_files(given)
        expect(trouble).to_contain_text(why)
    expect(tab.page.locator(".files")).to_have_count(0)
    tab.trouble.clear()  # the browser tells of refused requests


# --- the list and the empty page --------------------------------------------------------------------------------------


def test_examples_and_what_was_read_elsewhere(browser, server, model):
    model.script(text("none"), text("one two", hang=1))
    with chatting(browser, home(server)) as tab, chatting(browser, home(server)) as second:
        tab.connected().page.get_by_role("button", name="Agent: tools").click()
        tab.page.get_by_role("dialog").get_by_role("button", name="filing").click()
        tab.page.get_by_role("button", name="Which files are there?").click()
        expect(tab.words).to_have_value("Which files are there?")
        tab.words.fill("Any files about aardvarks?")
        tab.words.press("Enter")
        expect(tab.texts).to_have_text("none")
        tab.finished()
        second.page.reload()
        row = second.connected().rows.filter(has_text="aardvarks")
        expect(row).to_have_count(1)
        second.until(READ)  # another process may store what was read a little later
        expect(row.get_by_label("new")).to_have_count(0)
        second.page.get_by_label("Search conversations").fill("aardvarks files")
        expect(second.rows).to_have_count(1)
