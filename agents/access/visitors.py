"""What tells anonymous visitors apart: their address, which is not stored itself."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_network

from django.utils.crypto import salted_hmac

from agents.addresses import parse_address

MARK_LENGTH = 32
_SALT = "agents.access.visitors"


def visitor_mark(client: str) -> str:
    """A mark of the address that is the same after a restart and does not tell it: of IPv6 of its network of 64 bits,
    since everybody has that many addresses.
    """
    address = parse_address(client)
    if isinstance(address, IPv6Address):
        address_or_network = str(ip_network((address, 64), strict=False))
    else:
        address_or_network = str(address)  # of what has no address, such as a UNIX socket, all are one
    return salted_hmac(_SALT, address_or_network, algorithm="sha256").hexdigest()[:MARK_LENGTH]
