"""The side bar of the page to chat on: conversations in the address, found, renamed, deleted and exported."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from tests.support.chat_tab import ChatTab, chatting, root
from tests.support.model_server import text

SERVER = {"files": ("tools.py", "second.py")}
WRITE = 'call:write {"path": "/dev/null", "text": "a"}'


def test_a_conversation_is_a_place_in_the_address(server, tab):
    tab.said("red")
    red = tab.session
    tab.page.get_by_role("button", name="New chat").click()
    assert tab.session == ""
    tab.said("blue")
    blue = tab.session
    tab.page.go_back()
    expect(tab.said_texts).to_have_text(["red"])
    assert tab.session == red
    tab.page.go_forward()
    expect(tab.said_texts).to_have_text(["blue"])
    other = ChatTab(tab.page.context.new_page())
    other.open(f"{root(server)}#{red}")
    expect(other.connected().said_texts).to_have_text(["red"])
    other.said("more red")
    tab.said("more blue")
    tab.page.reload()
    expect(tab.connected().said_texts).to_have_text(["blue", "more blue"])
    assert (tab.session, other.session) == (blue, red)


def test_what_was_begun_to_be_written_is_kept_for_each_conversation(tab):
    tab.said("first words")
    tab.words.fill("an answer to come")
    tab.page.get_by_role("button", name="New chat").click()
    expect(tab.words).to_have_value("")
    tab.words.fill("something else")
    tab.rows.filter(has_text="first words").click()
    expect(tab.words).to_have_value("an answer to come")
    tab.page.reload()
    expect(tab.connected().words).to_have_value("an answer to come")
    tab.page.get_by_role("button", name="New chat").click()
    expect(tab.words).to_have_value("something else")


def test_found_by_words_and_by_scrolling(server, tab):
    tab.said("about a zebra")
    tab.page.evaluate(
        """async (url) => {
            const socket = new WebSocket(url);
            let waiting = 40;
            await new Promise((resolve) => {
                socket.onmessage = ({ data }) => {
                    const frame = JSON.parse(data);
                    if (frame.event === "agent.session_created" && (waiting -= 1) === 0) resolve();
                    if (frame.event !== "system.connected") return;
                    for (let at = 0; at < 40; at += 1)
                        socket.send(JSON.stringify({ event: "user.create_session", content: { title: `no ${at}` } }));
                };
            });
            socket.close();
        }""",
        root(server).replace("http", "ws"),
    )
    tab.page.get_by_role("button", name="New chat").click()  # the row of the one that is shown is always there
    tab.page.reload()
    expect(tab.connected().rows.first).to_be_visible()
    expect(tab.rows.filter(has_text="zebra")).to_have_count(0)
    tab.page.locator(".rows").evaluate("rows => { rows.scrollTop = rows.scrollHeight; }")
    expect(tab.rows.filter(has_text="zebra")).to_have_count(1)
    tab.page.get_by_label("Search conversations").fill("zebra")
    expect(tab.rows).to_have_count(1)
    tab.page.get_by_label("Search conversations").fill("no such words")
    expect(tab.page.locator(".rows .empty")).to_have_text("No conversation has these words.")


def test_renamed_exported_and_deleted_with_a_way_back(tab):
    tab.said("a name to come")
    row = tab.rows.filter(has_text="a name to come")
    tab.menu(row, "Rename")
    tab.page.get_by_label("Title").fill("Zürich 北京")
    tab.page.keyboard.press("Enter")
    renamed = tab.rows.filter(has_text="Zürich 北京")
    expect(renamed).to_have_count(1)
    expect(tab.page).to_have_title("Zürich 北京 · MyAgent")
    with tab.page.expect_download() as download:
        tab.menu(renamed, "Export as Markdown")
    kept = download.value.path().read_text()
    assert kept.startswith("# Zürich 北京\n\n## You")
    assert "You said: a name to come" in kept
    with tab.page.expect_download() as download:
        tab.menu(renamed, "Export as JSON")
    assert json.loads(download.value.path().read_text())["session_id"] == tab.session
    tab.page.reload()
    expect(tab.connected().rows.filter(has_text="Zürich 北京")).to_have_count(1)
    session = tab.session
    tab.menu(renamed, "Delete")
    expect(renamed).to_have_count(0)
    expect(tab.said_texts).to_have_count(0)
    tab.page.get_by_role("button", name="Undo").click()
    expect(renamed).to_have_count(1)
    assert tab.session == session
    tab.menu(renamed, "Delete")
    expect(renamed).to_have_count(0)
    tab.page.reload()  # what could still be undone is done when the page ends
    expect(tab.connected().rows.filter(has_text="Zürich 北京")).to_have_count(0)


def test_what_goes_on_elsewhere_shows_in_the_list(tab, model):
    tab.say(WRITE)
    expect(tab.question).to_be_visible()
    asking = tab.session
    tab.page.get_by_role("button", name="New chat").click()
    waiting = tab.page.locator(".conversation.waiting")
    expect(waiting.get_by_label("waits for your answer")).to_be_visible()
    reply = text("one two", hang=1)
    model.script(reply)
    tab.say("slowly")
    expect(tab.texts).to_have_text("one")
    tab.page.get_by_role("button", name="New chat").click()
    expect(tab.page.locator(".conversation.running")).to_contain_text("slowly")
    reply.gate.open()
    unread = tab.page.locator(".conversation.unread").filter(has_text="slowly")  # others were read by nobody, too
    expect(unread).to_have_count(1)
    tab.rows.filter(has_text="slowly").click()
    expect(unread).to_have_count(0)
    waiting.locator("a").click()
    assert tab.session == asking
    tab.question.locator(".no").click()
    tab.question.locator(".no").click()
    tab.finished()
    expect(waiting).to_have_count(0)


def test_a_question_that_comes_elsewhere_is_said(tab, model):
    reply = text("one two", hang=1)
    model.script(reply)
    tab.say("go")
    expect(tab.texts).to_have_text("one")
    other = ChatTab(tab.page.context.new_page())
    other.open(tab.page.url)
    expect(other.connected().texts).to_have_text("one")
    other.page.get_by_role("button", name="New chat").click()
    reply.gate.open()
    tab.finished()
    tab.say(WRITE)
    expect(other.page.locator(".toast")).to_contain_text("A question waits for your answer")
    other.page.locator(".toast").get_by_role("button", name="Open").click()
    other.question.locator(".yes").click()
    tab.finished()


def test_another_agent_is_chosen_by_what_it_is_for(tab):
    tab.said("to the first")
    tab.page.get_by_role("button", name="Agent: tools").click()
    chooser = tab.page.get_by_role("dialog", name="Choose an agent")
    expect(chooser).to_contain_text("Does what tests need")
    chooser.get_by_role("button", name="second").click()
    expect(tab.page.locator(".welcome h2")).to_have_text("Say something to second")
    tab.said("to the second")
    tab.rows.filter(has_text="to the first").first.click()
    expect(tab.page.get_by_role("button", name="Agent: tools")).to_be_visible()


def test_language_and_theme_are_the_readers_choice(tab):
    tab.page.locator(".settings .opener").click()
    tab.page.get_by_role("menuitemradio", name="简体中文").click()
    expect(tab.connected().page.get_by_role("button", name="新对话").first).to_be_visible()
    tab.page.locator(".settings .opener").click()
    tab.page.get_by_role("menuitemradio", name="深色").click()
    tab.page.reload()
    tab.connected()
    assert tab.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert tab.page.evaluate("document.documentElement.lang") == "zh-Hans"


def test_the_drawer_of_a_phone(browser, server):
    phone = {"viewport": {"width": 390, "height": 700}, "has_touch": True}
    with chatting(browser, root(server), **phone) as tab:
        tab.connected().said("from a phone")
        expect(tab.rows.first).to_be_hidden()
        tab.page.get_by_role("button", name="Show conversations").click()
        expect(tab.rows.first).to_be_visible()
        tab.page.keyboard.press("Escape")
        expect(tab.rows.first).to_be_hidden()
