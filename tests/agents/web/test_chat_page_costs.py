"""What an answer cost, on the page: in the reader's own way to write money, and not at all without prices."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from myagent.llm.http.endpoint import DEFAULT_MODEL
from tests.support.backstage import Backstage
from tests.support.chat_tab import ChatTab, root
from tests.support.model_server import text

SERVER = {"files": ("tools.py",)}
PRICES = """
from agents.models import ModelPrice
ModelPrice.objects.all().delete()
for price in prices:
    ModelPrice.objects.create(model=model, input_price=price, output_price=0)
"""


@pytest.mark.parametrize(
    ("locale", "prices", "shown"),
    [
        ("en-US", [700], "tokens · $0.0049"),
        ("zh-CN", [2_000_000], "token · US$14.00"),
        ("en-US", [], "tokens"),
    ],
)
def test_the_line_below_an_answer_says_what_it_cost(browser, server, model, locale, prices, shown):
    """A request of this model reads 7 tokens."""
    with Backstage(server) as backstage:
        backstage.do(PRICES, model=DEFAULT_MODEL, prices=prices)
    server.kill()
    server.start()
    with browser.new_context(locale=locale, viewport={"width": 390, "height": 800}) as context:
        tab = ChatTab(context.new_page())
        tab.open(root(server))
        model.script(text("Hello!"))
        costs = tab.connected().said("hi").locator(".costs")
        expect(costs).to_contain_text(shown)
        assert costs.text_content().endswith(shown.partition(" ")[2])
        tab.page.reload()
        expect(tab.page.locator(".costs")).to_contain_text(shown)
        width = tab.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, "nothing is pushed aside on a phone"
        assert tab.trouble == []
