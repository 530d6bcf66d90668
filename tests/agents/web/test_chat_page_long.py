"""The page to chat on with a conversation of 5,000 events: all of it is there, and nothing moves while it is drawn."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from bench.scrolling import talk
from tests.support.browser import browsing
from tests.support.chat_tab import chatting, root
from tests.support.paths import ROOT

SERVER = {"files": (str(ROOT / "bench" / "talkative.py"),)}
EVENTS = 5_000
SIZE = 100_000
SCROLLER = 'document.querySelector("myagent-chat").shadowRoot.querySelector(".scroller")'
STANDS = f"""place => {{
    const box = {SCROLLER}, {{top}} = box.getBoundingClientRect();
    const seen = [...box.querySelectorAll(".said, .undrawn")].find((node) => node.getBoundingClientRect().top > top);
    const now = seen.textContent + (seen.getBoundingClientRect().top - top);
    const stood = window.place === now;
    window.place = now;
    return stood;
}}"""
"""Whether what is read has not moved since this was asked before."""

FIND = """words => {
    if (!window.find(words, false, false, true)) return false;
    const { anchorNode } = document.querySelector("myagent-chat").shadowRoot.getSelection();
    anchorNode.parentElement.scrollIntoView({ block: "center" });
    return true;
}"""
"""As the browser's own search does it: from here to the end, on from the beginning, and there."""


@pytest.fixture(scope="module")
def browser(running_server):
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def sessions(running_server):
    """A conversation of 5,000 events, and one with an answer of 100 kB."""
    with ThreadPoolExecutor(1) as elsewhere:  # the browser's loop runs on this thread
        return elsewhere.submit(asyncio.run, talk(running_server.url, events=EVENTS, size=SIZE)).result()


@pytest.fixture
def tab(browser, server, sessions):
    with chatting(browser, f"{root(server)}#{sessions[0]}") as tab:
        yield tab.connected()


def scroll(tab, to: str) -> None:
    """Put the scroll bar there and wait until what is in sight is drawn and stands still."""
    tab.page.evaluate(f"() => {{ {SCROLLER}.scrollTop = {to}; }}")
    stands(tab)


def stands(tab) -> None:
    tab.until(STANDS)
    tab.until(STANDS)


def drawn(tab) -> None:
    """Wait until nothing is left to be drawn."""
    expect(tab.page.locator(".undrawn")).to_have_count(0, timeout=60_000)


def test_all_of_it_is_found_by_scrolling(tab):
    """From the newest answer to the first message, screen by screen: each message comes once, and in its order."""
    expect(tab.turns.last).to_be_in_viewport()
    seen: dict[str, None] = {}
    numbers = "nodes => nodes.map(node => node.textContent.trim().split('\\n')[0]).reverse()"
    while "exchange 1" not in seen:
        seen |= dict.fromkeys(tab.page.locator(".said .bubble").evaluate_all(numbers))
        scroll(tab, f"{SCROLLER}.scrollTop - {SCROLLER}.clientHeight")
    assert [name.split()[1] for name in seen] == [str(number) for number in range(len(seen), 0, -1)]
    tab.page.locator(".newest").click()
    expect(tab.turns.last).to_be_in_viewport()
    expect(tab.page.locator(".newest")).to_have_count(0)


def test_what_is_read_stays_where_it_is_while_the_rest_is_drawn(tab):
    scroll(tab, f"{SCROLLER}.scrollHeight / 2")
    before = tab.page.evaluate("window.place")
    drawn(tab)
    tab.page.evaluate(STANDS)
    assert tab.page.evaluate("window.place") == before


def test_words_far_above_are_found_before_and_after_they_are_drawn(tab):
    tab.until(FIND, "Section 5:")  # as soon as what is past is there
    drawn(tab)
    for words in ("Section 5:", "Section 6:"):
        assert tab.page.evaluate(FIND, words)
        found = tab.page.locator(".text p").filter(has_text=words)
        expect(found).to_be_in_viewport()
        stands(tab)
        expect(found).to_be_in_viewport()
        assert tab.page.evaluate("String(getSelection())") == words


def selected(tab, paragraph) -> str:
    """Select a paragraph as a person does, by three clicks; returns its words."""
    paragraph.click(click_count=3, position={"x": 20, "y": 10})
    words = tab.page.evaluate("String(getSelection()).trim()")
    assert words.startswith(("Section ", "Part "))
    return words


def test_a_selection_stays_while_an_answer_comes(tab):
    earlier = tab.texts.last.locator("p").first
    tab.say(f"write {SIZE}")
    expect(tab.turns.last.locator(".text h4").nth(2)).to_be_attached()
    earlier.scroll_into_view_if_needed()
    words = selected(tab, earlier)
    pieces = tab.turns.last.locator(".text h4")
    count = pieces.count()
    expect(pieces.nth(count + 5)).to_be_attached()
    assert tab.page.evaluate("String(getSelection()).trim()") == words
    words = selected(tab, tab.turns.last.locator(".text p").first)
    tab.finished()
    assert tab.page.evaluate("String(getSelection()).trim()") == words
