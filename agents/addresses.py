"""Names and addresses: who is on this machine, what `Host` and `Origin` point at. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple, Self
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network
DEFAULT_PORTS = {"http": 80, "https": 443}
_ROOT_PATH = re.compile(r"(/(?!\.\.?(/|$))[\w.~-]+)*", re.ASCII)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """`text` as an address (IPv4 inside IPv6 unpacked, zone left out), or None when it is not one."""
    try:
        address = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_network(text: str) -> Network:
    """An address or a network in CIDR notation. Raises `ValueError`."""
    return ip_network(text, strict=False)


def visitor_network(text: str) -> str:
    """The network that counts as one visitor: an IPv4 address, or the 64 bits of IPv6 that one household has."""
    address = parse_address(text)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address or "unknown")


def is_loopback(host: str) -> bool:
    """Whether a name or address without port is this machine by definition, and not because DNS says so."""
    address = parse_address(host)
    if address is not None:
        return address.is_loopback
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def is_in(peer: str, networks: Iterable[Network]) -> bool:
    """Whether the address `peer` lies in one of `networks`."""
    address = parse_address(peer)
    return address is not None and any(address in network for network in networks)


def split_host(value: str, *, scheme: str = "http") -> tuple[str, int | None] | None:
    """Host (lower case, without brackets) and port of a `Host` header, or None when it is malformed.

    A port that is left out is that of `scheme`; None when the scheme has none.
    """
    if not value or any(sign in value for sign in "/?#@\\ \t"):
        return None
    try:
        parts = urlsplit(f"//{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host:
        return None
    return host, port if port is not None else DEFAULT_PORTS.get(scheme)


def split_origin(value: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port of an `Origin` header, or None when it is `null`, malformed, or that of no web page.

    Whatever else has an origin (an extension, the page of an app) chooses the name in it as it likes.
    """
    scheme, separator, rest = value.partition("://")
    if not separator or scheme.lower() not in DEFAULT_PORTS:
        return None
    host = split_host(rest, scheme=scheme.lower())
    return (scheme.lower(), *host) if host is not None else None


def is_any_address(host: str) -> bool:
    """Whether listening on `host` means all addresses of this machine."""
    address = parse_address(host)
    return host == "" or (address is not None and address.is_unspecified)


def is_root_path(path: str) -> bool:
    """Whether our paths can begin so: nothing, or a slash and a name, once or several times."""
    return _ROOT_PATH.fullmatch(path) is not None


class PublicAddress(NamedTuple):
    """The parts of the URL under which a server is known outside; the path has no slash at its end."""

    scheme: str
    host: str
    origin: str
    path: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """The parts of `url`. Raises `ValueError` for what is no URL of pages."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}".lower()
        split, path = split_origin(origin), parts.path.rstrip("/")
        if split is None or parts.query or parts.fragment or not is_root_path(path):
            raise ValueError(url)
        return cls(scheme=split[0], host=split[1], origin=origin, path=path)
