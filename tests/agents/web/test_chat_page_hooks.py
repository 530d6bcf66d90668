"""Questions of hooks on the page: about no call, and over when the run moves on."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.model_server import text

SERVER = {"files": ("asking.py",)}


def test_a_hook_asks_before_the_model_is_asked(tab, model):
    model.script(text("Here you are."))
    tab.say("ask at user_message")
    expect(tab.question.locator("strong")).to_have_text("Go on at user_message?")
    expect(tab.question.locator(".change")).to_have_count(0)
    tab.question.locator(".yes").click()
    tab.finished()
    expect(tab.page.locator(".answered")).to_contain_text("Go on at user_message?: Allowed")
    tab.say("ask at answer")
    tab.question.locator(".no").click()
    tab.question.locator(".no").click()
    tab.finished()
    expect(tab.page.locator("body")).to_contain_text("Stopped at answer.")
