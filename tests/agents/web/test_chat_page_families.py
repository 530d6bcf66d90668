"""The side bar of the page to chat on where conversations have copies: one entry for all of them, which unfolds."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.model_server import text

SERVER = {"files": ("tools.py",)}


def test_copies_are_folded_to_the_newest_and_unfolded_by_keyboard(tab, model):
    model.script(text("red"), text("green"), text("blue"))
    tab.said("about families")
    original = tab.session
    for answer in ("green", "blue"):
        tab.turns.last.get_by_label("Answer again").click()
        expect(tab.texts).to_have_text([answer])
        tab.finished()
    family = tab.page.locator(".family").filter(has_text="about families")
    expect(family.locator("a")).to_have_count(1)
    fold = family.get_by_role("button", name="2 more versions of “about families”")
    expect(fold).to_have_attribute("aria-expanded", "false")
    fold.press("Enter")
    expect(fold).to_have_attribute("aria-expanded", "true")
    expect(fold).to_be_focused()
    copies = family.get_by_role("list", name="Versions of “about families”").locator("a")
    expect(copies).to_have_count(2)
    expect(copies.last).to_contain_text("Original")
    copies.last.press("Enter")
    expect(tab.texts).to_have_text(["red"])
    assert tab.session == original
    fold.press("Enter")
    expect(copies).to_have_count(1)  # the one that is shown
    expect(copies).to_have_attribute("aria-current", "page")
    tab.page.reload()
    expect(tab.connected().texts).to_have_text(["red"])
    expect(family.locator("a")).to_have_count(2)
    # Whichever is used comes to the front.
    model.script(text("yellow"))
    tab.said("and what else?")
    expect(family.locator("a").first).to_have_attribute("aria-current", "page")
    expect(family.locator("a")).to_have_count(1)
    tab.menu(family.locator("a"), "Delete")
    expect(family.get_by_role("button", name="1 more version of “about families”")).to_be_visible()
    tab.page.get_by_label("Search conversations").fill("families")
    expect(tab.rows).to_have_count(1)


def test_what_a_copy_asks_is_seen_while_it_is_folded_away(tab, model):
    model.script(text("red"), text("green"))
    tab.said("to be asked")
    tab.turns.last.get_by_label("Answer again").click()
    expect(tab.texts).to_have_text(["green"])
    tab.finished()
    tab.say('call:write {"path": "/dev/null", "text": "a"}')
    expect(tab.question).to_be_visible()
    tab.page.get_by_role("button", name="Show the original").click()
    expect(tab.question).to_have_count(0)
    tab.said("newer than the copy")
    tab.page.reload()
    family = tab.connected().page.locator(".family").filter(has_text="to be asked")
    expect(family.get_by_role("button", name="waits for your answer")).to_be_visible()
    tab.page.get_by_role("button", name="Hide conversations").click()
    expect(tab.page.locator(".toggle .badge")).to_have_text("1")
