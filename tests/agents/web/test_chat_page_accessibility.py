"""The page to chat on by the rules of axe-core: nothing serious in any state, wide and narrow, light and dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.chat_tab import chatting, root
from tests.support.model_server import Status, text, tools
from tests.support.paths import ROOT

SERVER = {"files": ("tools.py", "filing.py"), "options": ("--language", "en")}
AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
WRITE = 'call:write {"path": "/dev/null", "text": "a"}'
RICH = text(
    "# Title\n\n**word**, `code`, [a link](https://example.org).\n\n```python\nx = 1  # one\n```\n\n|a|b|\n|-|-|\n|1|2|"
)
LOOK = """async () => {
    const element = document.querySelector("myagent-chat");
    // Half faded in, no colour has its contrast.
    for (const one of element.shadowRoot.getAnimations()) one.cancel();
    const { violations, passes } = await axe.run(document);
    if (!passes.some(({ id }) => id === "color-contrast")) throw new Error("no colours were looked at");
    return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => [id, ...nodes.map(({ any, html }) => `${html}: ${any.map(one => one.message)}`)]);
}"""
STILL = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("* { transition: none !important; animation: none !important; }");
    const { shadowRoot } = document.querySelector("myagent-chat");
    shadowRoot.adoptedStyleSheets = [...shadowRoot.adoptedStyleSheets, sheet];
}"""

pytestmark = pytest.mark.skipif(not AXE.exists(), reason="axe-core comes with `npm ci` in console")


def findings(tab):
    return tab.page.evaluate(LOOK)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_found(browser, server, model, scheme, width):
    found = {}
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    with chatting(browser, root(server), **options) as tab:
        page = tab.connected().page
        page.evaluate(AXE.read_text(encoding="utf-8"))
        page.evaluate(STILL)
        expect(page.locator(".welcome h2")).to_be_visible()
        found["empty"] = findings(tab)
        model.script(RICH)
        turn = tab.said("something rich")
        expect(turn.locator("[class^=hljs]").first).to_be_visible()
        turn.get_by_label("Good answer").click()
        found["answer"] = findings(tab)
        reply = text("one two three", hang=2)
        model.script(tools(("add", {"a": 1, "b": 2})), reply)
        tab.say("streaming")
        expect(tab.texts.last).to_contain_text("one")
        tab.calls.last.click()
        found["streaming"] = findings(tab)
        reply.gate.open()
        tab.finished()
        tab.say(WRITE)
        expect(tab.question).to_be_visible()
        tab.question.get_by_role("button", name="Change the arguments").click()
        found["question"] = findings(tab)
        tab.question.locator(".no").click()
        tab.question.locator(".no").click()
        tab.finished()
        model.script(Status(400))
        tab.said("fails")
        tab.page.locator("input[type=file]").set_input_files(
            {"name": "a.txt", "mimeType": "text/plain", "buffer": b"a"}
        )
        found["error"] = findings(tab)
        if width < 900:
            page.get_by_role("button", name="Show conversations").click()
        expect(tab.rows.first).to_be_visible()
        page.locator(".settings .opener").click()
        expect(page.get_by_role("menuitemradio").first).to_be_visible()
        found["list"] = findings(tab)
    assert {state: all for state, all in found.items() if all} == {}
