"""Other users of the server's own machine are strangers to it, and so are their proxies and forwarders."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from agents.access.peer_owner import system_tells
from tests.support.agent_server import AgentServer
from tests.support.backstage import Backstage
from tests.support.other_user import NOBODY, as_nobody

CLIENT = Path(__file__).parents[1] / "support" / "stranger.py"
ADDRESSES = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
LET_IN = {"api": "200 agents", "socket": "system.connected"}
REFUSED = {"api": "401 credentials_required", "socket": "4401 credentials_required"}
FOREIGN_HOST = {"api": "403 bad_host", "socket": "403"}

BREAK_OFF = """
import socket, struct, sys
port = int(sys.argv[1])
lines = ["GET /ws/ HTTP/1.1", f"Host: localhost:{port}", "Upgrade: websocket", "Connection: Upgrade"]
lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {'A' * 22}==", "", ""]
request = "\\r\\n".join(lines).encode()
frame = b'{"event": "user.create_session"}'
for number in range(100):
    with socket.create_connection(("127.0.0.1", port)) as sock:
        if number % 2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.sendall(request + bytes([0x81, 0x80 | len(frame)]) + bytes(4) + frame)
"""

pytestmark = pytest.mark.skipif(not system_tells(), reason="this system does not tell who owns a connection")


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    with AgentServer(
        tmp_path_factory.mktemp("server"), "tools.py", model=model, environment={"ALLOWED_HOSTS": "agents.example.com"}
    ) as server:
        yield server


@pytest.fixture(scope="module")
def program():
    """The client in a folder that every user can read."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield shutil.copy(CLIENT, folder)


def asked(program, server, address="127.0.0.1", host="localhost", *, nobody=False):
    command = [sys.executable, "-I", program, address, str(server.port), host]
    command = as_nobody(*command) if nobody else command
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_program_of_the_same_user_is_the_user_local(server, program, address):
    """Also where the server has a name: naming it changes nothing for those who connect as before."""
    assert asked(program, server, address) == LET_IN
    assert asked(program, server, address, "127.0.0.1") == LET_IN


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_program_of_another_user_is_a_stranger(server, program, address):
    server.forget_log()
    assert asked(program, server, address, nobody=True) == REFUSED
    assert "belongs to another user" in server.wait_log("belongs to another user")


@pytest.mark.parametrize("nobody", [False, True])
def test_whoever_asks_for_another_name_is_refused_by_it(server, program, nobody):
    assert asked(program, server, host="evil.example", nobody=nobody) == FOREIGN_HOST
    assert asked(program, server, host="agents.example.com", nobody=nobody) == REFUSED
    assert asked(program, server, host="192.0.2.7", nobody=nobody) == REFUSED


async def test_a_page_is_not_local_because_it_may_connect(model, tmp_path):
    """`--allow-origin` is for pages with credentials of their own."""
    options = ("--allow-origin", "https://app.example", "--allow-origin", "null")
    with AgentServer(tmp_path, "tools.py", model=model, options=options) as server:
        with Backstage(server) as backstage:
            token = backstage.do("result = AccessToken.objects.issue(User.objects.get(username='local'), 'page')[1]")
        for origin in ("https://app.example", "null"):
            async with connect(server.url, origin=origin) as refused:
                await refused.wait_closed()
            assert (refused.close_code, refused.close_reason) == (4401, "credentials_required")
            async with connect(f"{server.url}?token={token}", origin=origin) as page:
                assert "system.connected" in await page.recv()
        async with connect(server.url, origin="http://localhost:3000") as page:
            assert "system.connected" in await page.recv()


def test_a_stranger_who_breaks_off_at_once_has_done_nothing(server):
    """The kernel says of a closed socket that it is root's, and of a broken one nothing; both may have said a lot."""
    server.forget_log()
    command = as_nobody(sys.executable, "-I", "-c", BREAK_OFF, str(server.port))
    subprocess.run(command, check=True, timeout=60)
    server.wait_log("belongs to another user")
    with Backstage(server) as backstage:
        assert backstage.do("result = Session.objects.count()") == 0


def test_a_server_of_another_user_has_that_user_for_its_own(model, program):
    """Whose machine it is does not matter: root is a stranger there."""
    with tempfile.TemporaryDirectory(prefix="myagent-") as folder:
        as_nobody()  # skips
        with AgentServer(Path(folder), "tools.py", model=model, user=NOBODY) as server:
            assert "runs as root" not in server.banner
            assert "programs of the user nobody" in server.banner
            assert asked(program, server, nobody=True) == LET_IN
            assert asked(program, server) == REFUSED
