"""`<myagent-chat>` on pages of others: in the place that they give it, in their colours, telling them what happens."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.template import engines
from playwright.sync_api import expect

from tests.support.chat_tab import chatting, root
from tests.support.javascript_client import CONSOLE
from tests.support.markdown import blocks
from tests.support.services import program

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


PAGES = ("docs/clients.md", "docs/clients.zh.md")


def snippet(name, at, server):
    """A snippet of the documentation; it names a server and an agent, for which those of this test are put."""
    text = blocks(name, mark="element")[at].text
    return text.replace("https://agents.example.com/", root(server)).replace("weather-assistant", "second")


def with_token(html, server):
    return html.replace("<myagent-chat ", f'<myagent-chat token="{token_of(server)}" ')


def rendered(template, **context):
    """As Django renders it; the files that it names are in the package."""
    for path in re.findall(r"{% static '([^']+)' %}", template):
        assert finders.find(path), path
    return engines["django"].from_string(template).render(context)


@contextmanager
def opened(browser, folder, html, **files):
    """A page on the site of somebody else."""
    (folder / "favicon.ico").touch()
    (folder / "shop.html").write_text(f"<!doctype html><meta charset=utf-8><title>A shop</title>{html}")
    for name, text in files.items():
        (folder / f"{name}.js").write_text(text)
    with another_site(folder) as site, chatting(browser, f"{site}shop.html") as tab:
        yield tab


@pytest.mark.parametrize("name", PAGES)
def test_the_plain_page_of_the_documentation(browser, server, tmp_path, name):
    plain = with_token(snippet(name, 0, server), server)
    listener = snippet(name, 1, server)
    with opened(browser, tmp_path, f"{plain}<script type=module>{listener}</script>") as tab:
        with tab.page.expect_console_message() as heard:
            tab.connected().said("as documented")
        assert heard.value.text == "You said: as documented"


@pytest.mark.parametrize("name", PAGES)
def test_the_template_of_the_same_server(browser, server, tmp_path, name):
    """Its page comes from the server itself, as the project's own view would answer it."""
    html = f"<!doctype html><meta charset=utf-8><title>A shop</title>{rendered(snippet(name, 2, server))}"
    # A page that comes from nowhere is a stranger to this machine for the browser.
    with chatting(browser, f"{root(server)}healthz", permissions=["local-network-access"]) as tab:
        tab.page.route("**/shop/", lambda route: route.fulfill(body=html, content_type="text/html"))
        tab.open(f"{root(server)}shop/")
        tab.page.get_by_role("button", name="Chat").click()
        tab.connected().said("from a template")
        expect(tab.texts).to_have_text(re.compile("from a template"))


@pytest.mark.parametrize("name", PAGES)
def test_the_view_of_the_same_server(settings, rf, tmp_path, name):
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [tmp_path]}]
    (tmp_path / "shop.html").write_text(blocks(name, mark="element")[2].text)
    views: dict[str, Any] = {}
    exec(blocks(name, mark="element")[3].text, views)
    answer = views["shop"](rf.get("/shop/"))
    assert "csrftoken" in answer.cookies
    assert f'src="{settings.STATIC_URL}console/element.js"' in answer.content.decode()


@pytest.mark.parametrize("name", PAGES)
def test_the_template_of_another_project(browser, server, tmp_path, name):
    html = rendered(snippet(name, 4, server), agent_token=token_of(server))
    with opened(browser, tmp_path, html) as tab:
        tab.connected().said("from another project")
        expect(tab.texts).to_have_text("You said: from another project")
        assert token_of(server) not in tab.page.locator("myagent-chat").evaluate("chat => chat.outerHTML")


REACT_PAGE = """import { createRoot } from "react-dom/client";
import { Chat } from "./chat";

createRoot(document.getElementById("app")!).render(<Chat token="TOKEN" onAnswer={(text) => console.log(text)} />);
"""
REACT_TYPES = ("--noEmit", "--strict", "--jsx", "react-jsx", "--module", "esnext", "--moduleResolution", "bundler")


@pytest.mark.parametrize("name", PAGES)
def test_the_component_for_react(browser, server, tmp_path, name):
    """Its types are right, and in a page it shows the element and hears of the answer."""
    modules = CONSOLE / "node_modules"
    if not (modules / "react-dom").exists():
        pytest.skip("React comes with `npm ci` in console")
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "chat.tsx").write_text(snippet(name, 5, server))
    (tmp_path / "app.tsx").write_text(REACT_PAGE.replace("TOKEN", token_of(server)))
    node = program("node")
    for command in (
        [node, modules / "typescript" / "bin" / "tsc", *REACT_TYPES, "--target", "es2022", "app.tsx"],
        [node, modules / "esbuild" / "bin" / "esbuild", "app.tsx", "--bundle", "--jsx=automatic", "--outfile=app.js"],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    script = f'<script type="module" src="{root(server)}static/console/element.js"></script>'
    page = f'{script}<div id="app"></div><script src="app.js"></script>'
    with opened(browser, tmp_path, page) as tab:
        with tab.page.expect_console_message(lambda line: line.text.startswith("You said")) as heard:
            tab.connected().said("from React")
        assert heard.value.text == "You said: from React"
        assert token_of(server) not in tab.page.content()
