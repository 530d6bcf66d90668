"""Who holds the socket of a client."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from agents.access import peer_owner
from agents.access.peer_owner import Holder, SocketEnd, holder_of, system_tells
from tests.support.other_user import as_nobody
from tests.support.patience import WAIT_SECONDS

HOLD = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as sock:
    print(sock.getsockname()[1], flush=True)
    sys.stdin.read()
"""
needs_tables = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux has these tables")


@pytest.fixture
def connect():
    """Connections to a server of the test; each comes as the client's socket, and both ends as the server sees them."""
    with ExitStack() as stack:

        def opened(address="127.0.0.1", *, to=None):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            listening = stack.enter_context(socket.create_server((address, 0), family=family))
            client = stack.enter_context(socket.create_connection((to or address, listening.getsockname()[1])))
            accepted = stack.enter_context(listening.accept()[0])
            return client, (SocketEnd.of(accepted.getpeername()), SocketEnd.of(accepted.getsockname()))

        yield opened


@pytest.fixture(params=["tables", "processes"])
def look(request, monkeypatch):
    """`holder_of`, by the tables of Linux and as on a system without them."""
    if request.param == "processes":
        monkeypatch.setattr(peer_owner, "_TABLES", (Path("/nowhere/tcp"), Path("/nowhere/tcp6")))
    elif not Path("/proc/net/tcp").exists():
        pytest.skip("only Linux has these tables")
    system_tells.cache_clear()
    yield holder_of
    system_tells.cache_clear()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1"])
def test_a_program_of_our_own_user(look, connect, address):
    if address.startswith("127.8") and sys.platform == "darwin":
        pytest.skip("macOS has one loopback address only")
    _client, ends = connect(address)
    assert look(*ends) is Holder.US


def test_a_program_that_uses_ipv4_through_a_socket_of_ipv6(look):
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket(socket.AF_INET6) as client:
        client.connect(("::ffff:127.0.0.1", listening.getsockname()[1]))
        accepted, peer = listening.accept()
        with accepted:
            assert look(SocketEnd.of(peer), SocketEnd.of(accepted.getsockname())) is Holder.US
            # As a server sees it that listens so itself.
            assert look(SocketEnd.of(client.getsockname()), SocketEnd.of(client.getpeername())) is Holder.US


def test_the_two_ends_are_not_mistaken_for_each_other(look, connect):
    client, (theirs, ours) = connect()
    client.close()
    assert look(theirs, ours) is not Holder.US


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_program_of_another_user(look, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listening:
        command = as_nobody(sys.executable, "-I", "-c", HOLD, address, str(listening.getsockname()[1]))
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            accepted, peer = listening.accept()
            with accepted:
                found = look(SocketEnd.of(peer), SocketEnd.of(accepted.getsockname()))
            process.communicate(timeout=WAIT_SECONDS)
    # Other users' processes do not show their sockets everywhere.
    assert found in (Holder.ANOTHER, Holder.NOBODY)


# --- closed sockets ---------------------------------------------------------------------------------------------------


@needs_tables
def test_a_socket_that_was_closed_belongs_to_nobody_we_know(connect):
    """The kernel answers for it then, and says that it is root's."""
    client, ends = connect()
    client.close()
    assert holder_of(*ends) is Holder.ANOTHER


@needs_tables
def test_a_socket_that_was_broken_off_is_gone(connect):
    client, ends = connect()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert holder_of(*ends) is Holder.NOBODY


@needs_tables
@pytest.mark.parametrize(
    ("state", "uid", "inode", "holder"),
    [
        ("01", os.geteuid(), 77, Holder.US),
        ("01", os.geteuid() + 1, 77, Holder.ANOTHER),
        ("01", os.geteuid(), 0, Holder.ANOTHER),
        ("04", os.geteuid(), 77, Holder.ANOTHER),
        ("05", 0, 0, Holder.ANOTHER),
        ("06", 0, 0, Holder.ANOTHER),
    ],
)
def test_only_an_open_socket_with_an_owner_counts(tmp_path, monkeypatch, state, uid, inode, holder):
    word = f"{int.from_bytes(bytes([127, 0, 0, 1]), sys.byteorder):08X}"
    table = tmp_path / "tcp"
    table.write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        f"   0: {word}:1F90 {word}:9C40 01 00000000:00000000 00:00000000 00000000  {os.geteuid()}        0 1 1 0 20\n"
        f"   1: {word}:9C40 {word}:1F90 {state} 00000000:00000000 00:00000000 00000000  {uid}        0 {inode} 1 0 20\n"
    )
    monkeypatch.setattr(peer_owner, "_TABLES", (table, tmp_path / "tcp6"))
    client, server = SocketEnd.of(("127.0.0.1", 40000)), SocketEnd.of(("127.0.0.1", 8080))
    assert holder_of(client, server) is holder


@needs_tables
@pytest.mark.parametrize("size", [7, 64, 100_000])
def test_a_table_is_read_in_pieces_of_whole_rows(connect, monkeypatch, size):
    """Pieces of any size: a row is found also where one piece ends and the next one begins."""
    monkeypatch.setattr(peer_owner, "_PIECE_BYTES", size)
    _client, ends = connect()
    assert holder_of(*ends) is Holder.US


# --- systems that do not tell -----------------------------------------------------------------------------------------


def test_a_system_whose_tables_cannot_be_read_does_not_tell(connect, monkeypatch):
    _client, ends = connect()

    def refused(*_ends):
        raise PermissionError

    monkeypatch.setattr(peer_owner, "_in_tables", refused)
    monkeypatch.setattr(peer_owner, "_in_processes", refused)
    system_tells.cache_clear()
    assert not system_tells()
    assert holder_of(*ends) is Holder.UNKNOWN
    system_tells.cache_clear()


def test_a_system_whose_tables_are_empty_does_not_tell(connect, monkeypatch, tmp_path):
    (tmp_path / "tcp").write_text("  sl  local_address ...\n")
    _client, ends = connect()
    monkeypatch.setattr(peer_owner, "_TABLES", (tmp_path / "tcp", tmp_path / "tcp6"))
    system_tells.cache_clear()
    assert holder_of(*ends) is Holder.UNKNOWN
    system_tells.cache_clear()


def test_a_system_without_tables_and_without_psutil_does_not_tell(connect, monkeypatch):
    _client, ends = connect()
    monkeypatch.setattr(peer_owner, "_TABLES", (Path("/nowhere/tcp"),))
    monkeypatch.setitem(sys.modules, "psutil", None)
    system_tells.cache_clear()
    assert holder_of(*ends) is Holder.UNKNOWN
    system_tells.cache_clear()


def test_a_process_that_shows_nothing_or_is_gone_is_passed_over(connect, monkeypatch):
    _client, ends = connect()

    class Hidden:
        def __init__(self, error):
            self.error = error

        def uids(self):
            raise self.error

    hidden = [Hidden(psutil.AccessDenied(1)), Hidden(psutil.NoSuchProcess(2))]
    monkeypatch.setattr(peer_owner, "_TABLES", (Path("/nowhere/tcp"),))
    monkeypatch.setattr(psutil, "process_iter", lambda: [*hidden, psutil.Process()])
    assert holder_of(*ends) is Holder.US


def test_this_system_tells():
    assert system_tells()


@pytest.mark.parametrize("pair", [None, (), ("/run/app.sock", None), ("testserver", "80"), ("testserver", 80), ["", 0]])
def test_what_is_no_end_of_a_connection(pair):
    assert SocketEnd.of(pair) is None


def test_an_address_inside_ipv6_is_unpacked():
    assert SocketEnd.of(["::ffff:127.0.0.1", 5, 0, 0]) == SocketEnd.of(("127.0.0.1", 5))
