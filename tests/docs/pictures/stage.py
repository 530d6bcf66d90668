"""A tab with the chat page of a real server, in which states of the page are entered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, expect

from tests.docs.pictures.scenes import AGENT_FILE, SECOND_AGENT_FILE, Scene
from tests.support.agent_server import AgentServer
from tests.support.chat_tab import ChatTab, root
from tests.support.model_replies import Reply
from tests.support.model_server import ModelServer, Status, tools
from tests.support.patience import WAIT_SECONDS

HAS_ADDRESS = "() => location.hash.length > 1"
"""The conversation has got its id, and the page has it in its address."""


@contextmanager
def served(folder: Path, model: ModelServer, scene: Scene) -> Iterator[AgentServer]:
    """The server of a scene, with two agents, which wants to know who comes."""
    files = [str(scene.folder / name) for name in (AGENT_FILE, SECOND_AGENT_FILE)]
    options = ("--require-auth", "--language", scene.language)
    with AgentServer(folder, *files, model=model, options=options) as server:
        yield server


@dataclass(frozen=True)
class Stage:
    """A tab with the page of a server whose model says what a state needs. Parts are found by class, not by words: the
    same states are entered in each language.
    """

    tab: ChatTab
    server: AgentServer
    model: ModelServer
    scene: Scene

    def begin(self) -> None:
        """A page that was just opened."""
        token = re.search(r"token=(mya_[\w-]+)", self.server.banner)
        assert token is not None
        self.tab.open(f"{root(self.server)}?token={token[1]}")
        self.tab.connected()
        expect(self.tab.page.locator(".welcome")).to_be_visible()

    def back_to(self, session_id: str) -> None:
        """The page of a conversation, opened anew."""
        self.begin()
        self.tab.page.goto(f"{root(self.server)}#{session_id}")
        expect(self.find(".said").first).to_be_visible()

    def find(self, selector: str) -> Locator:
        return self.tab.page.locator(selector)

    def ask(self, *replies: Reply | Status, words: str = "") -> Locator:
        """Say something that the model answers so; returns the turn."""
        self.model.script(*replies)
        return self.tab.said(words or self.scene.question)

    def begin_answer(self, reply: Reply, *before: Reply) -> Callable[[], None]:
        """Say something whose last answer stands still; returns what lets it go on to its end."""
        self.model.script(*before, reply)
        self.tab.say(self.scene.question)
        assert reply.gate.entered.wait(WAIT_SECONDS)
        self.tab.until(HAS_ADDRESS)

        def end() -> None:
            reply.gate.open()
            self.tab.finished()

        return end

    def ask_for_order(self) -> None:
        """Say something that makes the agent ask for a yes."""
        self.model.script(tools(("book_room", self.scene.booking)))
        self.tab.say(self.scene.order)
        expect(self.tab.question).to_be_visible()
        self.tab.until(HAS_ADDRESS)

    def stop(self) -> None:
        """End what is under way."""
        self.tab.stop.click()
        self.tab.finished()

    def show_list(self) -> None:
        """The side bar; on a phone it is behind a button."""
        if self.find(".toggle").count():
            self.find(".toggle").click()
        expect(self.tab.rows.first).to_be_visible()

    def choose(self, choice: str) -> None:
        """Choose something of the menu of the conversation that is shown."""
        self.show_list()
        self.find(".conversation.shown .opener").click()
        self.find(f".menu:popover-open {choice}").click()
