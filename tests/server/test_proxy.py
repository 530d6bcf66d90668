"""The proxy and the settings that the documentation shows, run for real: what gets through nginx, and as whom."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlencode

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from myagent.client import Client
from myagent.client.connection import SingleConnection
from tests.support import forked
from tests.support.agent_server import AgentServer
from tests.support.backstage import Backstage
from tests.support.conversation import turn
from tests.support.markdown import blocks
from tests.support.nginx import NAME, Nginx
from tests.support.other_user import NOBODY
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow  # nginx
PASSWORD = "a long password 4711"


def production(folder) -> dict[str, str]:
    """The environment that the page shows, with its settings module."""
    (module,) = blocks("docs/operations.md", mark="file: production.py")
    (shell,) = blocks("docs/operations.md", mark="production")
    (folder / "production.py").write_text(module.text, encoding="utf-8")
    exported = dict(line.removeprefix("export ").split("=") for line in shell.commands if line.startswith("export "))
    assert set(exported) == {"DJANGO_SETTINGS_MODULE", "MYAGENT_PUBLIC_URL", "MYAGENT_TRUSTED_PROXIES"}
    return exported | {"PYTHONPATH": f"{folder}:{ROOT}", "MYAGENT_LANGUAGE": "en"}


@pytest.fixture(scope="module")
def proxied(model, tmp_path_factory):
    """A server as the page has it, the nginx before it, and a token of Ann's."""
    folder = tmp_path_factory.mktemp("production")
    with AgentServer(folder, "tools.py", model=model, environment=production(folder)) as server:
        with Backstage(server) as backstage:
            token = backstage.do(
                "ann = User.objects.create_user('ann', password=password, is_staff=True);"
                "result = AccessToken.objects.issue(ann, 'flow')[1]",
                password=PASSWORD,
            )
        with Nginx(folder / "nginx", server.port) as nginx:
            yield server, nginx, token


@asynccontextmanager
async def through(nginx, path="/", *, host=None, token=None, **headers):
    """A connection through nginx; `host` is what the client says it is asking for."""
    origin = headers.pop("origin", None)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    uri = f"wss://{host or f'{NAME}:{nginx.port}'}{path}" + (f"?token={token}" if token else "")
    way = {"host": "127.0.0.1", "port": nginx.port, "ssl": nginx.trust, "server_hostname": NAME}
    async with connect(uri, additional_headers=given, origin=origin, **way) as socket:
        yield socket


async def outcome(nginx, **facts):
    """The first frame's event, the code of a close, or the status of an answer that is no WebSocket's."""
    try:
        async with through(nginx, **facts) as socket:
            return re.search(r'"event":"([^"]+)"', await socket.recv())[1]
    except InvalidStatus as refused:
        return refused.response.status_code
    except ConnectionClosed as closed:
        return closed.rcvd.code


def ask(nginx, path, *, method="GET", body=None, port=None, plain=False, **headers):
    """An answer by HTTP: status, headers, text."""
    kind = http.client.HTTPConnection if plain else http.client.HTTPSConnection
    options = {} if plain else {"context": nginx.trust}
    connection = kind("127.0.0.1", port or nginx.port, timeout=30, **options)
    given = {"Host": f"{NAME}:{nginx.port}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body=body, headers=given)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, text


def log_in(nginx) -> str:
    """The cookie of a login in the admin, through nginx and its TLS."""
    _, headers, page = ask(nginx, "/admin/login/")
    cookie = headers["Set-Cookie"].partition(";")[0]
    assert "Secure" in headers["Set-Cookie"]
    form = {"username": "ann", "password": PASSWORD, "next": "/admin/"}
    form["csrfmiddlewaretoken"] = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    origin = f"https://{NAME}:{nginx.port}"
    kind = "application/x-www-form-urlencoded"
    status, headers, _ = ask(
        nginx, "/admin/login/", method="POST", body=urlencode(form), cookie=cookie, origin=origin, content_type=kind
    )
    assert status == 302
    (session,) = [value for value in headers.get_all("Set-Cookie") if value.startswith("sessionid=")]
    assert "Secure" in session and "HttpOnly" in session and "SameSite=Lax" in session
    return session.partition(";")[0]


# --- as the page has it -----------------------------------------------------------------------------------------------


async def test_a_conversation_goes_through(proxied):
    _, nginx, token = proxied
    async with through(nginx, "/", token=token) as socket:
        client = Client(SingleConnection(socket, None))
        await client.wait_for("system.connected")
        frames = await turn(client, await client.create_session(), "tokens:20")
        assert frames[-1].event == "agent.final_answer"
        with suppress(ConnectionClosed):
            await client.close()
    assert token not in nginx.access_log
    assert '"GET /" 101' in nginx.access_log


async def test_a_token_in_a_header_goes_through(proxied):
    _, nginx, token = proxied
    assert await outcome(nginx, Authorization=f"Bearer {token}") == "system.connected"


async def test_without_credentials_nobody_gets_in(proxied):
    server, nginx, _ = proxied
    server.forget_log()
    assert await outcome(nginx) == 4401
    assert await outcome(nginx, token="mya_wrong") == 4401
    assert "everybody needs credentials" in server.wait_log("everybody needs credentials")


async def test_the_login_cookie_counts_from_the_pages_of_this_server_only(proxied):
    _, nginx, _ = proxied
    cookie = log_in(nginx)
    ours = f"https://{NAME}:{nginx.port}"
    assert await outcome(nginx, Cookie=cookie, origin=ours) == "system.connected"
    assert await outcome(nginx, Cookie=cookie) == 4401
    for foreign in (
        "https://evil.example",
        f"http://{NAME}:{nginx.port}",
        f"https://{NAME}:1",
        "null",
        "http://localhost",
    ):
        assert await outcome(nginx, Cookie=cookie, origin=foreign) == 403, foreign


@pytest.mark.parametrize(
    "forged",
    [
        {"X_Forwarded_For": "127.0.0.1"},
        {"X_Forwarded_Host": "localhost"},
        {"X_Forwarded_Host": "evil.example"},
        {"X_Forwarded_Proto": "http"},
        {"Forwarded": "for=127.0.0.1;host=localhost"},
        {"X_Real_IP": "127.0.0.1"},
    ],
)
async def test_forged_forwarding_headers_change_nothing(proxied, forged):
    _, nginx, token = proxied
    assert await outcome(nginx, **forged) == 4401
    assert await outcome(nginx, token=token, **forged) == "system.connected"
    status, headers, _ = ask(nginx, "/admin/", **forged)
    assert (status, headers["Location"]) == (302, "/admin/login/?next=/admin/")


@pytest.mark.parametrize("host", ["evil.example", f"{NAME}.evil.example", f"evil.{NAME}"])
async def test_a_forged_host_gets_nothing(proxied, host):
    _, nginx, token = proxied
    assert await outcome(nginx, host=host) == 403
    assert ask(nginx, "/admin/login/", Host=host)[0] == 400
    assert ask(nginx, "/healthz", Host=host)[0] == 200
    # Whoever has a token needs no name.
    assert await outcome(nginx, host=host, token=token) == "system.connected"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "app.localhost", "192.0.2.7"])
async def test_a_forged_address_makes_nobody_local(proxied, host):
    _, nginx, token = proxied
    assert await outcome(nginx, host=host) == 4401
    assert await outcome(nginx, host=host, origin=f"https://{host}") == 4401
    assert await outcome(nginx, host=host, token=token) == "system.connected"


async def test_headers_of_strangers_who_reach_the_server_itself(proxied):
    """Whoever gets past the proxy is on the machine itself here, and is the proxy as far as the server can know."""
    server, nginx, _ = proxied
    status, headers, _ = ask(nginx, "/admin/login/", port=server.port, plain=True)
    # Without TLS no browser sends the cookies back, nor does it learn that it should use TLS.
    assert status == 200
    assert "Secure" in headers["Set-Cookie"]
    assert "Strict-Transport-Security" not in headers
    assert ask(nginx, "/healthz", port=server.port, plain=True)[0] == 200


def test_pages_are_for_tls_only(proxied):
    _, nginx, _ = proxied
    status, headers, _ = ask(
        nginx,
        "/",
    )
    assert status == 200
    assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    status, headers, _ = ask(nginx, "/admin/?x=1", port=nginx.plain_port, plain=True, Host=NAME)
    assert (status, headers["Location"]) == (301, f"https://{NAME}/admin/?x=1")


def test_the_deploy_check_has_nothing_to_say(proxied):
    server, _, _ = proxied
    command = [sys.executable, str(ROOT / "manage.py"), "check", "--deploy", "--fail-level", "INFO"]
    done = forked.run(
        command, cwd=server.folder, env=server.environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


# --- forgotten --------------------------------------------------------------------------------------------------------


async def test_a_proxy_that_the_server_was_not_told_of_makes_nobody_local(model, tmp_path):
    """The headers of the page are enough, even if the proxy runs as the server's own user, as it does here."""
    with AgentServer(tmp_path, "tools.py", model=model) as server, Nginx(tmp_path / "nginx", server.port) as nginx:
        async with connect(server.url) as socket:
            assert "system.connected" in await socket.recv()
        assert await outcome(nginx, host="localhost") == 4401
        assert await outcome(nginx, host="127.0.0.1") == 4401
        assert await outcome(nginx) == 403
        assert "came through a proxy" in server.log


HEADERS = {
    f"        proxy_set_header {name};\n": ""
    for name in ("X-Forwarded-Host $http_host", "X-Forwarded-Proto $scheme", "X-Forwarded-For $remote_addr")
}


async def test_a_proxy_of_another_user_makes_nobody_local(model, tmp_path):
    """Nobody told the server of it, and it does not say that it is one."""
    with AgentServer(tmp_path, "tools.py", model=model) as server:
        with Nginx(tmp_path / "nginx", server.port, edits=HEADERS, user=NOBODY) as nginx:
            for host in ("localhost", "127.0.0.1", "[::1]"):
                assert await outcome(nginx, host=host) == 4401
                status, _, answer = ask(nginx, "/api/agents/", Host=host)
                assert (status, json.loads(answer)["code"]) == (401, "credentials_required")
        assert "belongs to another user" in server.log
        with Nginx(tmp_path / "ours", server.port, edits=HEADERS) as nginx:
            # The same user is the same person.
            assert await outcome(nginx, host="localhost") == "system.connected"


# --- Caddy ------------------------------------------------------------------------------------------------------------


def test_the_caddyfile_is_one(tmp_path):
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("caddy is not installed")
    (page,) = blocks("docs/operations.md", mark="caddy")
    (tmp_path / "Caddyfile").write_text(page.text, encoding="utf-8")
    command = [caddy, "validate", "--adapter", "caddyfile", "--config", "Caddyfile"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
