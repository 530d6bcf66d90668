"""The pages of the real server in a real browser: they are complete, in both themes, and obey no markup."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import urllib.request
import uuid
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.conftest import connected
from tests.support.browser import Tab, browsing

SERVER = {"files": ("markup.py",), "options": ("--llm", "demo")}
EVIL = "<script>alert('user')</script><img src=x onerror=\"alert('user')\">"
KINDS = ("session", "run", "message", "toolcall", "confirmation", "event", "span")
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
PICTURES = (f"data:image/png;base64,{PNG}", "https://evil.example/d.png")
OTHER_PAGES = (
    "/",
    "/admin/",
    "/admin/agents/hostedagent/",
    "/admin/agents/hostedagent/1/change/",
    "/admin/agents/accesstoken/",
    "/admin/agents/accesstoken/1/change/",
    "/admin/agents/accesstoken/add/",
    "/admin/agents/userbudget/",
    "/admin/agents/groupbudget/",
    "/admin/agents/usage/",
    "/admin/auth/user/",
    "/admin/auth/user/1/change/",
    "/admin/auth/group/",
    "/admin/auth/group/1/change/",
    "/admin/admin/logentry/",
)


async def converse(server):
    """One session in which everything happens: an answer, a call, a failing call after a yes."""
    async with connected(server) as client:
        session_id = await client.create_session()
        await client.say(session_id, f"Read example.org {EVIL}")
        await client.until("agent.final_answer")
        await client.say(session_id, f"Pay Bob {EVIL}")
        asked = (await client.until("agent.user_confirm"))[-1]
        await client.respond(session_id, asked.step_id, True, args={"whom": EVIL})
        await client.until("agent.final_answer")
        pictures = [{"type": "image_url", "image_url": {"url": url}} for url in PICTURES]
        content = [{"type": "text", "text": f"Look {EVIL}"}, *pictures]
        await client.send({"event": "user.message", "session_id": session_id, "content": content})
        await client.until("agent.final_answer")
        return session_id


def spoil_people(connection):
    """The same of users, groups, their budgets and use, tokens, and the log of who did what."""
    short = EVIL[:64]
    connection.execute("UPDATE agents_accesstoken SET name = ?", (EVIL,))
    for statement, values in {
        "auth_group (id, name) VALUES (1, ?)": (EVIL,),
        "auth_user (id, username, first_name, last_name, email, password, is_superuser, is_staff, is_active,"
        " date_joined) VALUES (99, ?, ?, '', '', '!', 0, 0, 1, CURRENT_TIMESTAMP)": (EVIL, EVIL),
        "agents_userbudget (user_id) VALUES (99)": (),
        "agents_groupbudget (group_id) VALUES (1)": (),
        "agents_usage (day, user_id, agent, input_tokens, output_tokens, llm_calls)"
        " VALUES (CURRENT_DATE, 99, ?, 1, 1, 1)": (short,),
        "django_admin_log (action_time, user_id, object_id, object_repr, action_flag, change_message)"
        " VALUES (CURRENT_TIMESTAMP, 99, '1', ?, 2, ?)": (EVIL, EVIL),
    }.items():
        connection.execute(f"INSERT INTO {statement}", values)


def spoil(server, session_id):
    """Put markup where clients and agent files cannot, and return the pages that show it."""
    database = next((server.folder / "data").glob("*.sqlite3"))
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        columns = {
            "session": ("agent", "title"),
            "run": ("error_code",),
            "toolcall": ("tool", "error", "outcome"),
            "span": ("name", "error", "outcome", "finish"),
        }
        for kind, names in columns.items():
            for name in names:
                connection.execute(f"UPDATE sessions_app_{kind} SET {name} = ?", (EVIL[:200],))
        tools = json.dumps([{"name": EVIL, "description": EVIL, "parameters": {EVIL: EVIL}}])
        for name in ("name", "description", "source", "model", "error"):
            connection.execute(f"UPDATE agents_hostedagent SET {name} = ? WHERE id = 1", (EVIL[:64],))
        connection.execute("UPDATE agents_hostedagent SET tools = ? WHERE id = 1", (tools,))
        spoil_people(connection)
        paths = [f"/admin/sessions_app/session/{uuid.UUID(session_id)}/change/"]
        summary = (
            "INSERT INTO sessions_app_summary (session_id, upto_position, content, created_at) VALUES (?, 1, ?, ?)"
        )
        connection.execute(summary, (uuid.UUID(session_id).hex, EVIL, "2026-11-22 12:00:00"))
        keys = {"run": "id", "message": "id", "toolcall": "step_id", "confirmation": "step_id", "span": "id"}
        for kind, key in keys.items():
            for (pk,) in connection.execute(f"SELECT {key} FROM sessions_app_{kind}").fetchall():
                pk = uuid.UUID(pk) if kind in ("run", "span") else pk
                paths.append(f"/admin/sessions_app/{kind}/{pk}/change/")
        names = "SELECT max(id) FROM sessions_app_event GROUP BY name"
        paths += [f"/admin/sessions_app/event/{pk}/change/" for (pk,) in connection.execute(names).fetchall()]
    for kind in KINDS:
        paths.append(f"/admin/sessions_app/{kind}/")
        paths += [f"/admin/sessions_app/{kind}/?session={session_id}"] if kind != "session" else []
    return paths


@pytest.fixture(scope="module")
def paths(running_server):
    """The pages of one conversation."""
    session_id = asyncio.run(converse(running_server))
    return spoil(running_server, session_id)


@pytest.fixture(scope="module")
def browser(paths):
    with browsing() as browser:
        yield browser


class AdminTab(Tab):
    """A page of the admin; paths stand for its URLs."""

    def __init__(self, page, server):
        super().__init__(page)
        self.root = f"http://127.0.0.1:{server.port}"
        page.on("request", lambda asked: self._request(asked.url))

    def _request(self, url):
        if not url.startswith((self.root, "about:", "data:")):
            self.trouble.append(f"asks elsewhere: {url}")

    def open(self, path):
        return super().open(self.root + path)

    def log_in(self, password):
        self.open("/admin/login/")
        self.page.fill("#id_username", "local")
        self.page.fill("#id_password", password)
        self.page.click("[type=submit]")
        assert self.page.url.endswith("/admin/")


@pytest.fixture
def tab(browser, running_server, request):
    """A tab of the user `local`; the parameter has the options of the browser's context."""
    options = {"viewport": {"width": 1600, "height": 900}, "locale": "en", **getattr(request, "param", {})}
    with browser.new_context(**options) as context:
        tab = AdminTab(context.new_page(), running_server)
        tab.log_in(re.search(r"local, password (\S+)", running_server.banner)[1])
        yield tab


@pytest.mark.parametrize("path", ["/static/admin/css/base.css", "/static/sessions_app/admin.css", "/favicon.ico"])
def test_static_files_are_served_without_debug(running_server, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{running_server.port}{path}", timeout=30) as answer:
        assert answer.status == 200
        assert answer.headers["content-type"].split(";")[0] in {"text/css", "image/svg+xml"}
        assert answer.read()


THEMES = [
    pytest.param({"color_scheme": "light"}, id="light"),
    pytest.param({"color_scheme": "dark", "viewport": {"width": 400, "height": 900}}, id="dark-narrow"),
]


@pytest.mark.parametrize("tab", THEMES, indirect=True)
def test_no_markup_of_users_or_tools_is_obeyed(tab, paths):
    for path in (*paths, *OTHER_PAGES):
        page = tab.open(path)
        assert page.locator("img[src=x], img[src^=http], [href^='javascript' i]").count() == 0, path
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= page.viewport_size["width"], f"{path} is too wide"
    assert tab.trouble == []


LISTS = [f"/admin/sessions_app/{kind}/" for kind in KINDS]
LISTS += [path for path in OTHER_PAGES if path.count("/") == 4]
CUT_OFF = """() => [...document.querySelectorAll("#result_list :is(td, th)")].filter(cell => {
    const right = Math.min(innerWidth, cell.closest(".results").getBoundingClientRect().right);
    return cell.getBoundingClientRect().right > right + 1;
}).map(cell => cell.className)"""
NARROW = {"viewport": {"width": 1280, "height": 800}}


@pytest.mark.parametrize("tab", [pytest.param(NARROW, id="1280")], indirect=True)
def test_no_list_is_cut_off_beside_the_navigation(tab, paths):
    for path in LISTS:
        page = tab.open(path)
        assert page.locator("#result_list tbody tr").count(), path
        assert page.evaluate(CUT_OFF) == [], path


@pytest.mark.parametrize("tab", [pytest.param(NARROW, id="1280")], indirect=True)
def test_a_title_does_not_lie_under_the_buttons(tab, paths):
    for path in (paths[0], "/admin/auth/user/99/change/"):
        page = tab.open(path)
        title, buttons = page.locator("#content > h2").bounding_box(), page.locator(".object-tools").bounding_box()
        assert title["y"] + title["height"] <= buttons["y"], path


@pytest.mark.parametrize("tab", THEMES, indirect=True)
def test_pages_can_be_used_by_everybody(tab, paths):
    found = []
    for path in (paths[0], *LISTS, *(path for path in OTHER_PAGES if path not in LISTS), "/account/"):
        page = tab.open(path)
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        for problem in Axe().run(page).response["violations"]:
            if problem["impact"] in ("serious", "critical"):
                found.append((path, problem["id"], problem["nodes"][0]["html"][:200]))
    assert found == []


def test_this_test_would_notice(tab):
    page = tab.open("/healthz")  # without the policy that the admin's pages have
    page.set_content(f"<p>{EVIL}</p>", wait_until="load")
    tab.until("document.images.length && document.images[0].complete")
    assert "dialog user" in tab.trouble


def test_markup_that_got_through_would_not_be_obeyed_either(tab, paths):
    page = tab.open(paths[0])
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=alert(1)>')")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'alert(2)'}))")
    page.evaluate("document.body.append(Object.assign(new Image(), {src: 'https://evil.example/e.png'}))")
    tab.until("document.images[document.images.length - 1].complete")
    assert not [trouble for trouble in tab.trouble if trouble.startswith("dialog")]
    assert len([trouble for trouble in tab.trouble if "Content Security Policy" in trouble]) >= 3


def test_a_conversation_is_folded_and_unfolds(tab, paths):
    page = tab.open(paths[0])
    assert page.title().startswith("<script>alert")
    call = page.locator("details.called").first
    result = call.locator("pre").last
    assert not result.is_visible()
    call.locator("summary").click()
    assert result.is_visible()
    assert "example.org: </pre></details><script>" in result.inner_text()
    asked = page.locator("details.called").last
    asked.locator("summary").click()
    assert "approved" in asked.locator(".asked").inner_text()
    assert tab.trouble == []


def test_a_picture_is_shown_and_one_elsewhere_is_named(tab, paths):
    page = tab.open(paths[0])
    picture = page.locator(".said .picture img")
    picture.scroll_into_view_if_needed()
    tab.until("picture => picture.complete && picture.naturalWidth === 1", picture.element_handle())
    assert "evil.example/d.png" in page.locator(".said .part").inner_text()
    assert tab.trouble == []


def test_a_timeline_is_drawn_and_read_by_keyboard_too(tab, paths):
    page = tab.open(paths[0])
    timeline = page.locator("details.timeline").first
    timeline.locator("summary").first.click()
    bars = [bar.bounding_box() for bar in timeline.locator(".fill").all()]
    assert len(bars) == 3
    for earlier, later in pairwise(bars):
        assert earlier["x"] + earlier["width"] <= later["x"] + 4, "one after the other, from left to right"
        assert earlier["y"] < later["y"]
    facts = timeline.locator("dl").first
    assert not facts.is_visible()
    bar = timeline.locator(".bar summary").first
    assert "duration" in bar.get_attribute("title")
    bar.focus()
    page.keyboard.press("Enter")
    assert "duration" in facts.inner_text()
    assert tab.trouble == []


def test_a_conversation_is_exported(tab, paths):
    page = tab.open(paths[0])
    with page.expect_download() as waiting:
        page.locator(".object-tools").get_by_text("Export").click()
    document = json.loads(Path(waiting.value.path()).read_text())
    assert [run["messages"][0]["role"] for run in document["runs"]] == ["user"] * 3


@pytest.mark.parametrize(
    ("tab", "dark"), [({"color_scheme": "light"}, False), ({"color_scheme": "dark"}, True)], indirect=["tab"]
)
def test_the_theme_reaches_the_conversation(tab, paths, dark):
    page = tab.open(paths[0])
    colours = "element => {const style = getComputedStyle(element); return [style.backgroundColor, style.color]}"
    background, colour = page.locator(".said").first.evaluate(colours)
    assert (brightness(background) < brightness(colour)) is dark
    assert abs(brightness(background) - brightness(colour)) > 300


def brightness(colour):
    return sum(map(int, re.findall(r"\d+", colour)[:3]))


def test_the_links_lead_somewhere(tab, paths):
    page = tab.open(paths[0])
    for name in ("Runs", "Messages", "Tool calls", "Confirmations", "Spans", "Events"):
        page = tab.open(paths[0])
        page.locator(".object-tools").get_by_text(name).click()
        page.wait_for_load_state()
        assert page.locator("#result_list tbody tr").count() > 0, name
        page.locator("#result_list tbody th a").first.click()
        page.wait_for_load_state()
        assert page.url.split("?")[0].endswith("/change/"), name
    assert tab.trouble == []
