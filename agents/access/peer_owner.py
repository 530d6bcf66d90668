"""Whose program is at the other end of a connection on this machine. All of it blocks.

An address says on which machine a client is; who it is, says the owner of its socket. A program that the server's own
user runs is the operator's; a proxy, a forwarder or a shell of another user of the machine is somebody else's, although
all of them come from 127.0.0.1.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum, auto
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, NamedTuple, Self

from agents.addresses import parse_address

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED = b"01"
_PROBE_SECONDS = 5
_PIECE_BYTES = 32_768


class Holder(Enum):
    """Who holds the socket of a client."""

    US = auto()
    """A program of the server's own user."""
    ANOTHER = auto()
    """A program of another user, or nobody any more: a closed socket belongs to nobody."""
    NOBODY = auto()
    """The system, which knows such things, knows of no such socket."""
    UNKNOWN = auto()
    """This system does not tell."""


class SocketEnd(NamedTuple):
    """An address and a port. An IPv4 address inside IPv6 is unpacked."""

    address: IPv4Address | IPv6Address
    port: int

    @classmethod
    def of(cls, pair: Any) -> Self | None:
        """An end of a connection as ASGI and `socket` have it; None for what is no address with a port."""
        if not pair or not isinstance(pair[0], str) or not isinstance(pair[1], int):
            return None  # such as the path of a Unix domain socket
        address = parse_address(pair[0])
        return cls(address, pair[1]) if address is not None else None

    def spellings(self) -> list[bytes]:
        """How Linux writes it in its tables: IPv4 in both, since an IPv6 socket may use it, too."""
        addresses: list[IPv4Address | IPv6Address] = [self.address]
        if isinstance(self.address, IPv4Address):
            addresses.append(IPv6Address(b"\0" * 10 + b"\xff\xff" + self.address.packed))
        return [b"%s:%04X" % (_words(address.packed), self.port) for address in addresses]


def holder_of(client: SocketEnd, server: SocketEnd) -> Holder:
    """Who holds the socket at the end `client` of a connection to `server`."""
    found = _look_for(client, server)
    return Holder.UNKNOWN if found is Holder.NOBODY and not system_tells() else found


@cache
def system_tells() -> bool:
    """Whether this system tells who holds a socket: asked of a connection of our own."""
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as listening,
            socket.create_connection(listening.getsockname()[:2], _PROBE_SECONDS) as ours,
        ):
            client, server = SocketEnd.of(ours.getsockname()), SocketEnd.of(ours.getpeername())
            return client is not None and server is not None and _look_for(client, server) is Holder.US
    except OSError:
        return False


def _look_for(client: SocketEnd, server: SocketEnd) -> Holder:
    try:
        return _in_tables(client, server) if _TABLES[0].exists() else _in_processes(client, server)
    except (OSError, ImportError):
        return Holder.UNKNOWN


# --- Linux ------------------------------------------------------------------------------------------------------------


def _in_tables(client: SocketEnd, server: SocketEnd) -> Holder:
    """Read the kernel's tables of connections; nothing is kept, since the next client may have the same port."""
    ends = [b" %s %s " % pair for pair in zip(client.spellings(), server.spellings(), strict=True)]
    for table in _TABLES:
        with suppress(FileNotFoundError):  # a system without IPv6
            for rows in _pieces_of(table):
                # Searched and not parsed: there may be ten thousand, and meanwhile nothing else of this process runs.
                for at in filter(lambda at: at >= 0, map(rows.find, ends)):
                    # The two ends, local one first, the state, ...: see proc(5).
                    _, _, state, _, _, _, uid, _, inode, *_ = rows[at : rows.index(b"\n", at)].split()
                    return _holder(state=state, uid=uid, inode=inode)
    return Holder.NOBODY


def _pieces_of(table: Path) -> Iterator[bytes]:
    """A table, some whole rows at a time: read at once, it would grow the memory of each thread that reads one."""
    rest = b""
    with table.open("rb", buffering=0) as rows:
        while piece := rows.read(_PIECE_BYTES):
            piece, _, rest = (rest + piece).rpartition(b"\n")
            yield piece + b"\n"


def _holder(*, state: bytes, uid: bytes, inode: bytes) -> Holder:
    # Once a socket is closed the kernel answers for it, with the user 0 and no inode.
    is_held = state == _ESTABLISHED and int(inode) != 0
    return Holder.US if is_held and int(uid) == os.geteuid() else Holder.ANOTHER


def _words(packed: bytes) -> bytes:
    """An address as the kernel prints it: as numbers of four bytes, in the order of this processor."""
    numbers = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
    return b"".join(b"%08X" % number for number in numbers)


# --- other systems ----------------------------------------------------------------------------------------------------


def _in_processes(client: SocketEnd, server: SocketEnd) -> Holder:
    """Look through the processes of our user, the only ones that show their sockets to us."""
    import psutil  # a dependency where there are no tables; elsewhere it would cost every start

    uid = os.geteuid()
    for process in psutil.process_iter():
        # Those of others, and those that are ending, refuse.
        with suppress(psutil.Error):
            if process.uids().effective == uid and any(
                connection.status == psutil.CONN_ESTABLISHED
                and SocketEnd.of(connection.laddr) == client
                and SocketEnd.of(connection.raddr) == server
                for connection in process.net_connections("tcp")
            ):
                return Holder.US
    return Holder.NOBODY
