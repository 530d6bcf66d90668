"""The server under a part of a host's paths: through nginx, with the prefix left in or taken away, and without it."""

from __future__ import annotations

import json
import re
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.server.test_proxy import PASSWORD, ask, outcome, through
from tests.support.agent_server import AgentServer
from tests.support.backstage import Backstage
from tests.support.browser import browsing
from tests.support.nginx import NAME, Nginx

pytestmark = pytest.mark.slow  # nginx
UNDER_CHAT = {"location / {": "location /chat/ {"}
STRIPPED = UNDER_CHAT | {"proxy_pass http://127.0.0.1:": "rewrite ^/chat(/.*)$ $1 break;\nproxy_pass http://127.0.0.1:"}
BY_HEADER = STRIPPED | {'X-Forwarded-Prefix ""': "X-Forwarded-Prefix /chat"}
PUBLIC = {"MYAGENT_PUBLIC_URL": f"https://{NAME}/chat"}
PROXY = {"MYAGENT_TRUSTED_PROXIES": "127.0.0.1"}
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((UNDER_CHAT, PUBLIC, ()), id="public URL alone"),
        pytest.param((STRIPPED, PUBLIC | PROXY, ()), id="prefix taken away"),
        pytest.param((BY_HEADER, {"ALLOWED_HOSTS": NAME} | PROXY, ()), id="prefix in a header"),
        pytest.param((UNDER_CHAT, {"ALLOWED_HOSTS": NAME} | PROXY, ("--root-path", "/chat/")), id="option"),
    ],
)
def chat(request, model, tmp_path_factory):
    """A server with the path `/chat`, the nginx before it, and a token of Ann's."""
    edits, environment, options = request.param
    folder = tmp_path_factory.mktemp("chat")
    with AgentServer(folder, "tools.py", model=model, environment=environment, options=options) as server:
        with Backstage(server) as backstage:
            token = backstage.do(
                "ann = User.objects.create_superuser('ann', password=password);"
                "result = AccessToken.objects.issue(ann, 'flow')[1]",
                password=PASSWORD,
            )
        with Nginx(folder / "nginx", server.port, edits=edits) as nginx:
            yield server, nginx, token


def cookies_of(headers) -> SimpleCookie:
    found = SimpleCookie()
    for header in headers.get_all("Set-Cookie") or ():
        found.load(header)
    return found


def log_in(nginx) -> dict[str, str]:
    """Log in through nginx; returns the cookies of the browser, all of them for the server's own paths."""
    _, headers, page = ask(nginx, "/chat/admin/login/")
    (csrf,) = cookies_of(headers).values()
    form = {"username": "ann", "password": PASSWORD, "next": "/chat/admin/"}
    form["csrfmiddlewaretoken"] = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    headers = {"cookie": f"{csrf.key}={csrf.value}", "origin": f"https://{NAME}:{nginx.port}", "content_type": FORM}
    status, headers, _ = ask(nginx, "/chat/admin/login/", method="POST", body=urlencode(form), **headers)
    assert (status, headers["Location"]) == (302, "/chat/admin/")
    made = cookies_of(headers)
    assert {cookie["path"] for cookie in (csrf, *made.values())} == {"/chat"}
    return {key: cookie.value for key, cookie in made.items()}


async def test_pages_sockets_and_the_api_are_under_the_path(chat):
    _server, nginx, token = chat
    assert ask(nginx, "/chat/")[0] == 200
    assert ask(nginx, "/chat/healthz")[0] == 200
    assert ask(nginx, "/")[0] == 404
    for path in ("/chat/", "/chat/ws/", "/chat/ws/tools/"):
        async with through(nginx, path, token=token) as socket:
            assert "system.connected" in await socket.recv()
    assert await outcome(nginx, path="/chat/nowhere", token=token) == 4404
    assert await outcome(nginx, path="/chat/") == 4401
    status, _, text = ask(nginx, f"/chat/api/agents/?token={token}")
    assert (status, json.loads(text)["agents"][0]["path"]) == (200, "/chat/ws/tools/")


def test_redirects_stay_under_the_path(chat):
    _server, nginx, _token = chat
    for path, location in {
        "/chat/admin/": "/chat/admin/login/?next=/chat/admin/",
        "/chat/admin": "/chat/admin/",
        "/chat/favicon.ico": "/chat/static/sessions_app/icon.svg",
    }.items():
        status, headers, _ = ask(nginx, path)
        assert status in (301, 302)
        assert headers["Location"] == location
        assert ask(nginx, location)[0] == 200 or path == "/chat/admin"


def test_all_links_and_files_of_the_admin_are_under_the_path(chat):
    _server, nginx, _token = chat
    cookies = "; ".join(f"{key}={value}" for key, value in log_in(nginx).items())
    status, _, page = ask(nginx, "/chat/admin/", cookie=cookies)
    assert status == 200
    links = set(re.findall(r'(?:href|src|action)="(/[^"]*)"', page))
    assert len(links) > 10
    assert [link for link in links if not link.startswith("/chat/")] == []
    assert {ask(nginx, link, cookie=cookies)[0] for link in links if "/static/" in link} == {200}


async def test_the_login_counts_for_the_page_also_beside_another_application(chat):
    """Whose cookie has the same name, and the whole host for its path: browsers send it after ours."""
    _server, nginx, _token = chat
    session = log_in(nginx)["sessionid"]
    ours = f"https://{NAME}:{nginx.port}"
    for cookie in (f"sessionid={session}", f"sessionid={session}; sessionid=anotherapplications"):
        assert await outcome(nginx, path="/chat/", Cookie=cookie, origin=ours) == "system.connected"
        assert await outcome(nginx, path="/chat/", Cookie=cookie, origin="https://evil.example") == 403
        assert ask(nginx, "/chat/admin/", cookie=cookie)[0] == 200


def test_the_server_itself_has_both_paths(chat):
    """As whoever is on the machine finds them, without the proxy."""
    server, nginx, _token = chat
    by_configuration = f"http://localhost:{server.port}/chat/admin/" in server.banner
    paths = ["/", "/admin/login/", "/healthz"]
    for path in (*paths, *(f"/chat{path}" for path in paths if by_configuration)):
        assert ask(nginx, path, port=server.port, plain=True, Host="localhost")[0] == 200, path


def test_the_page_finds_its_server(chat):
    _server, nginx, token = chat
    with browsing() as browser, browser.new_context(ignore_https_errors=True, locale="en-US") as context:
        page = context.new_page()
        page.goto(f"https://127.0.0.1:{nginx.port}/chat/?token={token}")
        expect(page.locator("[data-link=open]")).to_be_attached()
        admin = page.evaluate("document.querySelector('myagent-chat').chat.server.page('admin/')")
        assert admin.endswith(f":{nginx.port}/chat/admin/")
        assert page.evaluate("location.href").endswith("/chat/")
