"""People who log in at the real server: with passwords and links, while others guess, until they log out."""

from __future__ import annotations

import http.client
import json
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import expect
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed

from tests.conftest import connected
from tests.support.backstage import Backstage
from tests.support.browser import Tab, browsing

SERVER = {
    "options": ("--require-auth", "--debug"),
    "settings": {"GRANTS_SECONDS": 0.1},
}
PASSWORD = "a-good-password-9"

NINE_GUESSES = """
from agents.access import brakes
for number in range(9):
    brakes.note_failure(brakes.Attempt.of("ann", f"192.0.2.{number}").counters)
"""

pytestmark = pytest.mark.database


@pytest.fixture(scope="module", autouse=True)
def backstage(running_server):
    with Backstage(running_server) as backstage:
        backstage.do(f"User.objects.create_user('ann', password={PASSWORD!r})")
        yield backstage


class Visitor:
    """A browser without a window, at an address of this machine."""

    def __init__(self, server, address: str = "127.0.0.1") -> None:
        self.origin = f"http://127.0.0.1:{server.port}"
        self._port, self._address = server.port, address
        self._cookies: dict[str, str] = {}

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def ask(self, path: str, **form: str) -> tuple[int, http.client.HTTPMessage, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60, source_address=(self._address, 0))
        headers = {"Cookie": self.cookie, "Accept-Language": "en"}
        if form:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.origin}
        connection.request("POST" if form else "GET", path, urlencode(form) if form else None, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        for line in answer.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer.status, answer.headers, text

    def send(self, path: str, page: str | None = None, **form: str):
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.ask(page or path)[2])[1]
        return self.ask(path, csrfmiddlewaretoken=token, **form)

    def log_in(self, name: str = "ann", password: str = PASSWORD):
        return self.send("/login/", username=name, password=password)

    def connect(self):
        return open_websocket(
            f"ws://127.0.0.1:{self._port}/", origin=self.origin, additional_headers={"Cookie": self.cookie}
        )


async def test_whoever_logs_in_can_chat_until_they_log_out_everywhere(server):
    desk, laptop = Visitor(server), Visitor(server)
    for visitor in (desk, laptop):
        assert visitor.log_in()[0] == 302
    async with desk.connect() as one, laptop.connect() as two, connected(server, token=token(server)) as program:
        for socket in (one, two):
            metadata = json.loads(await socket.recv())["metadata"]
            assert (metadata["user"], metadata["credential"]) == ("ann", "cookie")
            assert "staff" not in metadata
        status, headers, _ = desk.send("/account/logout/", "/account/")
        assert (status, headers["Location"]) == (302, "/login/?left=1")
        for socket in (one, two):
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd.code == 4401
        assert await program.create_session()
    assert laptop.ask("/account/")[0] == 302


def token(server) -> str:
    return server.manage("createtoken", "ann").strip()


def test_a_link_is_in_no_log(server):
    url = urlsplit(server.manage("createtoken", "new", "--create-user", "--link").strip())
    visitor = Visitor(server)
    path, secret = f"{url.path}?{url.query}", url.query.removeprefix("token=")
    assert visitor.ask(path)[0] == 200
    assert visitor.send(url.path, path, token=secret)[0] == 302
    assert "new" in visitor.ask("/account/")[2]
    assert Visitor(server).ask(path)[0] == 410
    said = server.wait_log("new has logged in from 127.0.0.1")
    assert "GET /login/link/" in said and secret not in said


def test_guessers_are_refused_and_ann_is_not(server, backstage):
    """From many addresses at once, at her name: where she has been she gets in, and nowhere else."""
    ann = Visitor(server)
    assert ann.log_in()[0] == 302
    backstage.do(NINE_GUESSES)
    guessers = [Visitor(server, f"127.0.0.{number}") for number in range(2, 6)]
    with ThreadPoolExecutor(len(guessers) + 1) as people:
        guesses = [people.submit(guesser.log_in, password="wrong") for guesser in guessers]
        assert people.submit(Visitor(server).log_in).result()[0] == 302
        outcomes = [guess.result() for guess in guesses]
    assert sorted(status for status, _, _ in outcomes) == [200, 429, 429, 429], "each waited for the one before"
    refused = next(headers for status, headers, _ in outcomes if status == 429)
    assert 0 < int(refused["Retry-After"]) <= 60
    assert Visitor(server, "127.0.0.99").log_in()[0] == 429
    assert Visitor(server).log_in()[0] == 302
    assert ann.ask("/account/")[0] == 200


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_person_in_a_browser(server, backstage, scheme):
    """Strangers are shown the way to the login, and led back; each page fits a telephone and has a way out."""
    backstage.do(
        "User.objects.get_or_create(username='eve', defaults={'password': User.objects.get(username='ann').password})"
    )
    root = f"http://127.0.0.1:{server.port}"
    options = {"locale": "zh-CN", "color_scheme": scheme, "viewport": {"width": 390, "height": 800}}
    with browsing() as browser, browser.new_context(**options) as context:
        tab = Tab(context.new_page())
        page = tab.page
        tab.open(f"{root}/?agent=tools")
        page.click("dialog.door .login")
        page.wait_for_url("**/login/**")
        page.fill("#id_username", "eve")
        page.fill("#id_password", PASSWORD)
        page.click("[type=submit]")
        expect(page.locator("[data-link=open]")).to_be_attached()
        assert page.url == f"{root}/?agent=tools"
        page.get_by_role("button", name="显示对话列表").click()
        expect(page.locator(".who")).to_have_text("eve")
        page.click(".settings .opener")
        expect(page.get_by_role("menuitem", name="退出")).to_be_visible()
        expect(page.get_by_role("menuitem", name="管理")).to_have_count(0)
        page.keyboard.press("Escape")
        page.click(".who")
        for path in ("/account/", "/account/password/", "/logout/"):
            tab.open(root + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
            expect(page.get_by_text("eve").first).to_be_visible()
            expect(page.get_by_text("退出").first).to_be_visible()
        tab.open(f"{root}/")
        expect(page.locator("[data-link=open]")).to_be_attached()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_role("button", name="显示对话列表").click()
        page.click(".settings .opener")
        page.get_by_role("menuitem", name="退出").click()
        page.click("main [type=submit]")
        page.wait_for_url("**/login/**")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_role("link", name="令牌").click()
        expect(page.locator("dialog.door")).to_be_visible()
        assert tab.trouble == []
