"""The names of this server, for pages, the admin, the API and WebSockets alike.

A page of a stranger can point its own name at this machine (DNS rebinding), and its browser then takes us for that
page's server. It needs a name for that: what is asked for as `localhost` or by an address comes from no such page.
"""

from __future__ import annotations

from django.http.request import validate_host

from agents.addresses import is_loopback, parse_address, split_host
from agents.conf import Config


def serves(host: str, config: Config) -> bool:
    """Whether a `Host` header asks for this server: by `localhost`, by any address, or by a name that it was given."""
    parts = split_host(host)
    if parts is None:
        return False
    name = parts[0].rstrip(".")
    public = [config.public_address.host] if config.public_address is not None else []
    written = f"[{name}]" if ":" in name else name
    return (
        is_loopback(name)
        or parse_address(name) is not None
        or validate_host(written, [*config.allowed_hosts, *config.served_hosts, *public])
    )


def why_not_served(host: str) -> str:
    """What is wrong with a `Host`, and what to set; for the log."""
    return f"the Host {host!r} is not a name of this server. If it is one, add it to ALLOWED_HOSTS."
