"""The page to chat on by keys alone: everything is reached, and the focus is always somewhere."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.browser import browsing
from tests.support.chat_tab import chatting, root
from tests.support.model_server import text, tools

SERVER = {"files": ("second.py", "tools.py"), "options": ("--language", "en")}
WRITE = 'call:write {"path": "/dev/null", "text": "a"}'
FOCUSED = """selector => {
    let node = document.activeElement;
    while (node?.shadowRoot) node = node.shadowRoot.activeElement;
    return node && node !== document.body && node.matches(selector);
}"""
MOST_STEPS = 60


@pytest.fixture(scope="module")
def browser(running_server):
    with browsing() as browser:
        yield browser


@pytest.fixture
def tab(browser, server):
    with chatting(browser, root(server)) as tab:
        yield tab.connected()


def reach(tab, selector, key="Tab"):
    """Go from one thing to the next until this one has the focus."""
    for _ in range(MOST_STEPS):
        tab.page.keyboard.press(key)
        if tab.page.evaluate(FOCUSED, selector):
            return
    raise AssertionError(f"{selector} is not reached by {key}")


def press(tab, *keys, then):
    """Press keys; the focus is at `then` afterwards, if not at once, then as soon as it is drawn."""
    for key in keys:
        tab.page.keyboard.press(key)
    tab.until(FOCUSED, then)


WORDS = ".composer textarea"


def test_a_day_without_a_mouse(tab, model):
    keyboard, page = tab.page.keyboard, tab.page
    reach(tab, ".skip")
    press(tab, "Enter", then=WORDS)
    reach(tab, "button.agent", "Shift+Tab")
    press(tab, "Enter", then="dialog.agents *")
    reach(tab, ".choice[aria-pressed=false]")
    press(tab, "Enter", then=WORDS)
    expect(page.locator(".welcome h2")).to_have_text("Say something to tools")
    model.script(tools(("add", {"a": 1, "b": 2})), text("three"))
    keyboard.type("How much is it?")
    press(tab, "Enter", then=WORDS)
    expect(tab.texts).to_have_text("three")
    tab.finished()
    reach(tab, ".call summary", "Shift+Tab")
    press(tab, "Enter", then=".call summary")
    expect(page.locator(".call .result pre")).to_have_text("3")
    reach(tab, ".thumb.up")
    press(tab, "Enter", then=".comment input")
    press(tab, "Escape", then=".thumb.up")
    reach(tab, ".repeat", "Shift+Tab")
    model.script(text("still three"))
    press(tab, "Enter", then=WORDS)
    expect(page.locator(".origin")).to_be_visible()
    tab.finished()
    # A question, changed, and one that is declined.
    keyboard.type(WRITE)
    press(tab, "Enter", then=WORDS)
    expect(tab.question).to_be_visible()
    reach(tab, ".question .change", "Shift+Tab")
    press(tab, "Enter", then=".question textarea")
    reach(tab, ".question .yes")
    press(tab, "Enter", then=WORDS)
    tab.finished()
    keyboard.type(WRITE)
    press(tab, "Enter", then=WORDS)
    expect(tab.question).to_be_visible()
    reach(tab, ".question .no", "Shift+Tab")
    press(tab, "Enter", then=".reason input")
    press(tab, "Escape", then=".question .no")
    press(tab, "Enter", then=".reason input")
    press(tab, "Enter", then=WORDS)
    tab.finished()
    # What runs is stopped by its button.
    keyboard.type("call:wait")
    press(tab, "Enter", then=WORDS)
    expect(tab.stop).to_be_visible()
    reach(tab, ".stop")
    press(tab, "Enter", then=WORDS)
    tab.finished()
    # The last words, and those of a message that is changed.
    press(tab, "ArrowUp", then=WORDS)
    expect(tab.words).to_have_value("call:wait")
    tab.words.fill("")
    reach(tab, ".said .edit", "Shift+Tab")
    press(tab, "Enter", then=WORDS)
    press(tab, "Escape", then=WORDS)


def test_conversations_and_settings_without_a_mouse(tab):
    keyboard, page = tab.page.keyboard, tab.page
    tab.said("about to be named")
    press(tab, "Control+k", then=".search input")
    reach(tab, ".conversation.shown .opener")
    press(tab, "Enter", then="[role=menuitem]")
    press(tab, "Enter", then="dialog.rename input")
    keyboard.type("a name")
    press(tab, "Enter", then=".conversation.shown .opener")
    named = tab.rows.filter(has_text="a name")
    expect(named).to_have_count(1)
    press(tab, "Enter", then="[role=menuitem]")
    press(tab, "Escape", then=".conversation.shown .opener")
    press(tab, "Enter", "ArrowUp", then="[role=menuitem].bad")
    press(tab, "Enter", then=".toast button")
    expect(named).to_have_count(0)
    press(tab, "Enter", then=WORDS)
    expect(named).to_have_count(1)
    expect(tab.said_texts).to_have_text("about to be named")
    # Deleted for good: the way back goes by itself, and the focus with it.
    reach(tab, ".conversation.shown .opener", "Shift+Tab")
    press(tab, "Enter", "ArrowUp", "Enter", then=".toast button")
    expect(page.locator(".toast")).to_have_count(0)
    tab.until(FOCUSED, WORDS)
    press(tab, "Control+Shift+o", then=WORDS)
    reach(tab, ".settings .opener", "Shift+Tab")
    press(tab, "Enter", then="[role=menuitemradio]")
    press(tab, "ArrowDown", "ArrowDown", then="[role=menuitemradio]")
    press(tab, "Enter", then=".settings .opener")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    press(tab, "Enter", "End", "Escape", then=".settings .opener")
    reach(tab, ".brand button", "Shift+Tab")
    press(tab, "Enter", then=".toggle")
    press(tab, "Enter", then=".brand button")


def test_a_drawer_and_a_bubble_are_left_where_they_were_entered(browser, server):
    with chatting(browser, root(server), viewport={"width": 390, "height": 700}) as tab:
        tab.connected()
        reach(tab, ".toggle")
        press(tab, "Enter", then=".brand button")
        press(tab, "Escape", then=".toggle")
