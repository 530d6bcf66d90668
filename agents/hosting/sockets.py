"""The sockets that a server listens on."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress

from agents.addresses import is_any_address, parse_address
from myagent.i18n import gettext as _
from myagent.i18n import gettext_noop

BACKLOG = 1024
_ATTEMPTS_AT_A_FREE_PORT = 10
_ERRORS_OF_ABSENT_ADDRESSES = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

_HINTS = {
    errno.EADDRINUSE: gettext_noop("Choose another port with --port, or stop the program that listens on %(port)s."),
    errno.EADDRNOTAVAIL: gettext_noop("%(host)s is no address of this machine. Use localhost, or 0.0.0.0 for all."),
    errno.EACCES: gettext_noop("Ports below 1024 are for the system. Choose another port with --port, such as 8080."),
}
_UNKNOWN_NAME = gettext_noop("%(host)s is no name that this machine knows. Use localhost, or 0.0.0.0 for all.")

_ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""An address of each family that is on no machine (RFC 5737, RFC 3849)."""

_Address = tuple[socket.AddressFamily, str]


def bind(host: str, port: int) -> list[socket.socket]:
    """Return bound sockets for `host` that do not listen yet, all on one port; port 0 chooses a free one.

    "localhost" is both 127.0.0.1 and ::1, because a browser may try either; "::" is all addresses of both families.
    Addresses that this machine lacks are left out unless none remains. Raises `OSError`.
    """
    addresses = _addresses(host)
    for attempt in range(_ATTEMPTS_AT_A_FREE_PORT):
        try:
            return _bind_all(addresses, port)
        except OSError as error:
            # A port that is free for IPv4 may be taken for IPv6.
            last = attempt == _ATTEMPTS_AT_A_FREE_PORT - 1
            if port != 0 or last or error.errno != errno.EADDRINUSE:
                raise
    raise AssertionError("unreachable")


def describe_start_error(error: Exception, host: str, port: int) -> str:
    """The text of an error of `bind` or of the start-up, with a second line that says what to do, if that is known."""
    hint = _UNKNOWN_NAME if isinstance(error, socket.gaierror) else _HINTS.get(getattr(error, "errno", None) or 0)
    return f"{error}\n   {_(hint) % {'host': host, 'port': port}}" if hint else str(error)


def outward_addresses(host: str) -> list[str]:
    """Under which addresses other machines reach a server that listens on `host`; empty unless those are all of them.

    One of each family: that from which this machine would ask the rest of the world. Nothing is sent.
    """
    if not is_any_address(host):
        return []
    found = []
    for family, elsewhere in _ELSEWHERE.items():
        if (family, _ANY[family]) in _addresses(host):
            with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.connect((elsewhere, 9))
                found.append(str(sock.getsockname()[0]))
    return [address for address in found if not _stays_here(address)]


def _stays_here(address: str) -> bool:
    parsed = parse_address(address)
    return parsed is None or parsed.is_loopback or parsed.is_unspecified or parsed.is_link_local


def _addresses(host: str) -> list[_Address]:
    if host == "localhost":
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    if host.strip("[]") == "::":
        return [(socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")]
    try:
        found = socket.getaddrinfo(host or None, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:  # what cannot be a name at all, such as "a..b"
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from error
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _bind_all(addresses: list[_Address], port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for address in addresses:
            try:
                sockets.append(_bind_one(address, port))
            except OSError as error:
                if error.errno not in _ERRORS_OF_ABSENT_ADDRESSES:
                    raise
                absent = error
                continue
            port = sockets[-1].getsockname()[1]
    except (OSError, OverflowError):
        for opened in sockets:
            opened.close()
        raise
    if absent is not None and not sockets:
        raise absent
    return sockets


def _bind_one(address: _Address, port: int) -> socket.socket:
    family, host = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # An IPv4 peer must never look like ::ffff:127.0.0.1.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except (OSError, OverflowError):
        sock.close()
        raise
    return sock
