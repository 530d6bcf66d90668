"""The chat page in a tab, as a person uses it: says something, reads what comes, looks through the list."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.agent_server import AgentServer
from tests.support.browser import Tab, browsing
from tests.support.patience import WAIT_SECONDS

PATIENCE = WAIT_SECONDS * 1000
WIDE = {"width": 1280, "height": 800}

expect.set_options(timeout=PATIENCE)


class ChatTab(Tab):
    """A tab with the page. All that is asked of it waits for what a person would wait for."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.words = page.locator(".composer textarea")
        self.turns = page.locator(".turn")
        self.texts = page.locator(".turn .text")
        self.said_texts = page.locator(".said .bubble")
        self.rows = page.locator(".conversation a")
        self.stop = page.locator(".composer .stop")
        self.question = page.locator(".question:not(.answered)")
        self.calls = page.locator(".call summary")

    def connected(self) -> ChatTab:
        """Wait until the page is connected, and has told everything that is past."""
        expect(self.page.locator("[data-link=open]")).to_be_attached()
        expect(self.page.locator(".loading")).to_have_count(0)
        return self

    def lost(self) -> None:
        """Wait until the page says that the connection is gone."""
        expect(self.page.locator(".trouble-line")).to_be_visible()

    def say(self, words: str) -> None:
        self.words.fill(words)
        self.words.press("Enter")

    def said(self, words: str) -> Locator:
        """Say something and wait for the end of the answer; returns its turn."""
        turn = self.turns.nth(self.turns.count())
        self.say(words)
        expect(turn).to_have_class("turn ended")
        self.finished()
        return turn

    def finished(self) -> None:
        """Wait until nothing is under way."""
        expect(self.page.locator(".said.unsent")).to_have_count(0)
        expect(self.turns.last).to_be_visible()
        expect(self.page.locator(".turn:not(.ended)")).to_have_count(0)
        expect(self.stop).to_have_count(0)

    @property
    def session(self) -> str:
        """The conversation's id, as it stands in the address."""
        return self.page.url.partition("#")[2]

    def transcript(self) -> str:
        """What is said in the conversation, as it is read."""
        return self.page.locator(".column").inner_text()

    def menu(self, row: Locator, choice: str) -> None:
        """Choose something of the menu of a conversation in the list."""
        row.locator("xpath=..").locator(".opener").click()
        self.page.get_by_role("menuitem", name=choice).click()


def root(server: AgentServer) -> str:
    return f"http://localhost:{server.port}/"


@contextmanager
def chatting(browser: Browser, url: str, **options: Any) -> Iterator[ChatTab]:
    """The page in a browser that knows nothing yet; nothing may go wrong in it until the end."""
    with browser.new_context(**{"locale": "en-US", "viewport": WIDE, **options}) as context:
        context.set_default_timeout(PATIENCE)
        tab = ChatTab(context.new_page())
        tab.open(url)
        yield tab
        assert tab.trouble == [], tab.trouble


@pytest.fixture(scope="module")
def browser(running_server: AgentServer) -> Iterator[Browser]:
    """One for all tests of a module; it is gone before the server is."""
    with browsing() as browser:
        yield browser


@pytest.fixture
def tab(browser: Browser, server: AgentServer) -> Iterator[ChatTab]:
    """The page, in a browser that knows nothing yet."""
    with chatting(browser, root(server)) as tab:
        yield tab.connected()
