"""`<myagent-chat>` on pages of others: in the place that they give it, in their colours, telling them what happens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import expect

from tests.support.chat_tab import chatting, root
from tests.support.markdown import blocks

SERVER = {"files": ("tools.py", "second.py")}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A shop</title>
<script type="module" src="{root}static/console/element.js"></script>
<style>myagent-chat {{ height: 30rem; --myagent-accent: rgb(1, 2, 3) }}</style>
<h1>A shop</h1>{element}
<script type="module">
const chat = document.querySelector("myagent-chat");
window.happened = [];
for (const name of ["session", "event"])
    chat.addEventListener(`myagent-${{name}}`, ({{ detail }}) => {{
        happened.push(detail.event ?? `session ${{detail.session_id}}`);
    }});
</script>"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing of it."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def another_site(folder: Path) -> Iterator[str]:
    """A server of somebody else, with the files of a folder; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as site:
        thread = Thread(target=site.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{site.server_port}/"
        finally:
            site.shutdown()
            thread.join()


def token_of(server):
    return re.search(r"token=(mya_[\w-]+)", server.banner)[1]


@pytest.mark.parametrize("mode", ["panel", "bubble"])
def test_a_page_of_another_origin_shows_it(browser, server, tmp_path, mode):
    element = f'<myagent-chat mode="{mode}" agent="second" heading="Ask us" token="{token_of(server)}"></myagent-chat>'
    (tmp_path / "favicon.ico").touch()
    (tmp_path / "shop.html").write_text(PAGE.format(root=root(server), element=element))
    with another_site(tmp_path) as site, chatting(browser, f"{site}shop.html") as tab:
        if mode == "bubble":
            tab.page.get_by_role("button", name="Ask us").click()
        expect(tab.page.locator(".heading")).to_have_text("Ask us")
        expect(tab.page.locator(".sidebar")).to_have_count(0)
        tab.connected().said("from a shop")
        expect(tab.texts).to_have_text("You said: from a shop")
        assert tab.page.url == f"{site}shop.html"  # the address is the page's own
        assert tab.page.title() == "A shop"
        colour = "node => getComputedStyle(node).backgroundColor"
        tab.words.fill("x")
        expect(tab.page.locator(".send")).to_be_enabled()
        assert tab.page.locator(".send").evaluate(colour) == "rgb(1, 2, 3)"
        happened = tab.page.evaluate("happened")
        assert happened[-1] == "agent.final_answer"
        assert re.fullmatch(r"session [\w-]{36}", happened[0])
        tab.page.reload()
        if mode == "bubble":
            tab.page.get_by_role("button", name="Ask us").click()
        expect(tab.connected().texts).to_have_text("You said: from a shop")


@pytest.mark.parametrize("name", ["docs/clients.md", "docs/clients.zh.md"])
def test_the_snippets_of_the_documentation(browser, server, tmp_path, name):
    plain, listener, template = (block.text for block in blocks(name, mark="element"))
    (tmp_path / "favicon.ico").touch()
    for at, snippet in enumerate((plain, template)):
        page = snippet.replace("https://agents.example.com/", root(server)).replace("weather-assistant", "second")
        page = page.replace("{% static 'console/element.js' %}", f"{root(server)}static/console/element.js")
        page = page.replace("<myagent-chat ", f'<myagent-chat token="{token_of(server)}" ')
        page += f"<meta charset=utf-8><script type=module>{listener}</script>"
        (tmp_path / f"{at}.html").write_text(page)
    with another_site(tmp_path) as site:
        with chatting(browser, f"{site}0.html") as tab, tab.page.expect_console_message() as heard:
            tab.connected().said("as documented")
        assert heard.value.text == "You said: as documented"
        with chatting(browser, f"{site}1.html") as tab:
            tab.page.get_by_role("button", name="Chat").click()
            tab.connected().said("from a template")
