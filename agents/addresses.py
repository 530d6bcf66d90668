"""Names and addresses: who is on this machine, what `Host` and `Origin` point at. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network
DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


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
    """Scheme, host and port of an `Origin` header, or None when it is malformed or `null`."""
    scheme, separator, rest = value.partition("://")
    host = split_host(rest, scheme=scheme.lower()) if separator else None
    return (scheme.lower(), *host) if host is not None else None
