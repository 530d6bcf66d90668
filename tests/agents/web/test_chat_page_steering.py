"""What is said on the chat page while a run goes on: it steers that run, waits or ends it, and can be taken back."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.chat_tab import chatting, root
from tests.support.model_server import text, tools

SERVER = {"files": ("steered.py",)}
LOSE = """globalThis.WebSocket = class extends WebSocket {};
for (const what of ["offline", "online"]) dispatchEvent(new Event(what));"""
"""The line of the page is another one from now on."""


def asked(tab, model):
    """A run that goes on until its question is answered."""
    model.script(tools(("wait_for_word", {})), text("as you say"))
    tab.say("go")
    expect(tab.question).to_be_visible()


def way(tab):
    return tab.page.locator(".composer .way .opener")


def waiting(tab):
    return tab.page.locator(".said.waiting")


def test_a_message_that_steers_waits_until_it_is_read(tab, model):
    asked(tab, model)
    expect(way(tab)).to_have_text("Steer")
    tab.say("but briefly")
    expect(waiting(tab).locator(".bubble")).to_have_text("but briefly")
    expect(waiting(tab)).to_contain_text("Not read yet")
    tab.page.reload()
    expect(tab.connected().question).to_be_visible()
    expect(waiting(tab).locator(".bubble")).to_have_text("but briefly")
    tab.page.evaluate(LOSE)
    expect(tab.connected().question).to_be_visible()
    expect(waiting(tab)).to_have_count(1)
    tab.question.locator(".yes").click()
    expect(tab.texts.last).to_have_text("as you say")
    expect(waiting(tab)).to_have_count(0)
    expect(tab.said_texts).to_have_text(["go", "but briefly"])
    tab.finished()
    assert [part["content"] for part in model.requests[-1].messages if part["role"] == "user"] == ["go", "but briefly"]
    tab.page.reload()
    expect(tab.connected().said_texts).to_have_text(["go", "but briefly"])
    expect(tab.turns).to_have_count(1)


def test_what_nobody_has_read_is_taken_back_to_be_written_anew(tab, model):
    asked(tab, model)
    tab.say("no, wait")
    waiting(tab).get_by_role("button", name="Take back").press("Enter")
    expect(tab.said_texts).to_have_text(["go"])
    expect(tab.words).to_have_value("no, wait")
    expect(tab.words).to_be_focused()
    tab.words.press("Enter")
    tab.words.fill("something else")
    waiting(tab).get_by_role("button", name="Take back").click()
    expect(tab.said_texts).to_have_text(["go"])
    expect(tab.words).to_have_value("something else")
    tab.question.locator(".yes").click()
    expect(tab.texts.last).to_have_text("as you say")
    tab.finished()
    assert [part["content"] for part in model.requests[-1].messages if part["role"] == "user"] == ["go"]


def test_how_it_goes_is_chosen_by_keyboard_and_kept(tab, model):
    asked(tab, model)
    way(tab).press("Enter")
    tab.page.keyboard.press("ArrowDown")
    tab.page.keyboard.press("Enter")
    expect(way(tab)).to_have_text("Queue")
    expect(way(tab)).to_be_focused()
    tab.page.reload()
    expect(tab.connected().question).to_be_visible()
    expect(way(tab)).to_have_text("Queue")
    tab.words.fill("and then?")
    expect(tab.page.locator(".composer")).to_contain_text("Will be queued")
    tab.words.press("Enter")
    expect(waiting(tab)).to_have_count(1)
    tab.page.reload()
    expect(tab.connected().question).to_be_visible()
    waiting(tab).get_by_role("button", name="Take back").click()
    expect(tab.words).to_have_value("and then?")
    expect(tab.turns.last).to_contain_text("The message was taken back.")
    tab.words.press("Enter")
    expect(waiting(tab)).to_have_count(1)
    tab.question.locator(".yes").click()
    expect(tab.texts.last).to_have_text("You said: and then?")
    tab.finished()
    expect(waiting(tab)).to_have_count(0)


def test_an_answer_is_interrupted(tab, model):
    asked(tab, model)
    way(tab).click()
    tab.page.get_by_role("menuitemradio", name="Interrupt").click()
    tab.said("now")
    expect(tab.turns.first).to_contain_text("Closed without an answer")
    expect(tab.texts.last).to_have_text("as you say")
    expect(way(tab)).to_have_count(0)


def test_all_of_it_has_room_on_a_phone(browser, server, model):
    with chatting(browser, root(server), viewport={"width": 320, "height": 640}) as tab:
        asked(tab.connected(), model)
        tab.words.fill("but briefly")
        for part in (way(tab), tab.stop, tab.page.get_by_role("button", name="Send", exact=True)):
            expect(part).to_be_in_viewport(ratio=1)
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        tab.stop.click()
        tab.finished()
