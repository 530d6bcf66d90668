"""Questions of conversations that nobody looks at: the browser tells of them, if it may and the reader wants it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.browser import browsing
from tests.support.chat_tab import chatting, root
from tests.support.model_server import tools

SERVER = {"files": ("tools.py",), "options": ("--language", "en")}
KEEP = """
window.told = [];
window.Notification = class extends Notification {
    constructor(title, options) {
        super(title, options);
        told.push(Object.assign(this, { said: [title, options.body] }));
    }
};
"""
"""The browser's own notifications, kept so that a test can click on one."""
ANSWER = """answer => {
    let permission = "default";
    window.Notification = class {
        static get permission() { return permission; }
        static async requestPermission() { return permission = answer; }
        constructor() { throw new Error("without permission"); }
    };
}"""
"""A person who was not asked before, and says this."""


@pytest.fixture(scope="module")
def browser(running_server):
    with browsing() as browser:
        yield browser


def switch(tab):
    """Choose to be notified, or not."""
    tab.page.locator(".settings .opener").click()
    tab.page.get_by_role("menuitemcheckbox", name="Notify me of questions").click()


def expect_switched(tab, is_on):
    tab.page.locator(".settings .opener").click()
    choice = tab.page.get_by_role("menuitemcheckbox", name="Notify me of questions")
    expect(choice).to_have_attribute("aria-checked", str(is_on).lower())
    tab.page.keyboard.press("Escape")


def question_elsewhere(tab, model, words):
    """A conversation asks for a yes while another one is shown; returns its id."""
    tab.page.get_by_role("button", name="New chat").click()
    reply = tools(("write", {"path": "/dev/null", "text": "a"}), hang=0)
    model.script(reply)
    tab.say(words)
    expect(tab.turns).to_have_count(1)
    tab.until("() => location.hash.length > 1")
    asking = tab.session
    tab.page.get_by_role("button", name="New chat").click()
    reply.gate.open()
    expect(tab.page.locator(".conversation.waiting", has_text=words)).to_have_count(1)
    return asking


def test_a_notification_leads_to_its_question(browser, server, model):
    with chatting(browser, "about:blank", permissions=["notifications"]) as tab:
        tab.page.add_init_script(KEEP)
        tab.open(root(server))
        tab.connected()
        expect_switched(tab, False)
        question_elsewhere(tab, model, "before it was wanted")
        assert tab.page.evaluate("told.length") == 0
        switch(tab)
        expect_switched(tab, True)
        tab.page.reload()
        expect_switched(tab.connected(), True)
        asking = question_elsewhere(tab, model, "please write")
        tab.until("() => told.length === 1")
        title, body = tab.page.evaluate("told[0].said")
        assert "please write" in title
        assert "write" in body
        tab.page.evaluate("told[0].onclick()")
        expect(tab.question).to_be_visible()
        assert tab.session == asking
        tab.question.locator(".yes").click()
        tab.finished()
        switch(tab)
        expect_switched(tab, False)
        question_elsewhere(tab, model, "once more")
        assert tab.page.evaluate("told.length") == 1


@pytest.mark.parametrize(("answer", "is_on"), [("granted", True), ("denied", False), ("default", False)])
def test_somebody_is_asked_when_they_choose_it(browser, server, model, answer, is_on):
    with chatting(browser, root(server)) as tab:
        tab.connected().page.evaluate(ANSWER, answer)
        switch(tab)
        said = tab.page.locator(".toast").filter(has_text="does not permit notifications")
        expect(said).to_have_count(0 if is_on else 1)
        expect_switched(tab, is_on)
        question_elsewhere(tab, model, f"write, said {answer}")
        expect(tab.page.locator(".toast").filter(has_text="A question waits")).to_have_count(1)
