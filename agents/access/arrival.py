"""How a request came here: over which proxies, under which name. The one reader of forwarding headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from agents.addresses import is_in, is_root_path, parse_address, split_host
from agents.conf import Config

SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What the other end of a connection says of a request, and what of it counts: all of it from a trusted proxy.

    `client` is whom the proxies speak for, `host` the name that was asked for, `scheme` (`http` or `https`) how, where
    anything tells; `root_path` is where our paths begin on the outside, for which the configuration comes first.
    """

    client: str
    host: str
    scheme: str | None
    root_path: str

    @classmethod
    def of_scope(cls, scope: dict[str, Any], config: Config) -> Self:
        """Read the scope of an ASGI request or WebSocket."""
        return cls.read((scope.get("client") or ("", 0))[0], headers_of(scope), config)

    @classmethod
    def read(cls, peer: str, headers: Mapping[str, str], config: Config) -> Self:
        """`headers` are found by their names in lower case; one that came twice is a list with commas."""
        is_trusted = is_in(peer, config.trusted_networks)

        def told(name: str) -> str:
            """What the proxy next to us says in a list to which each proxy adds at the end."""
            return headers.get(f"x-forwarded-{name}", "").rpartition(",")[2].strip() if is_trusted else ""

        host = told("host") or headers.get("host", "")
        prefix = told("prefix").rstrip("/")
        return cls(
            client=_client(peer, headers.get("x-forwarded-for", ""), config) if is_trusted else peer,
            host=host,
            scheme=SCHEMES.get(told("proto").lower()) or _scheme_of_public_url(host, config),
            root_path=config.outer_path or (prefix if is_root_path(prefix) else ""),
        )


def headers_of(scope: dict[str, Any]) -> dict[str, str]:
    """Headers by lower-case name; doubled ones joined, so that a second `Host` or `Origin` matches nothing."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope.get("headers", ()):
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _scheme_of_public_url(host: str, config: Config) -> str | None:
    """That of `PUBLIC_URL` where it is asked for by its name, and no proxy that could know better is trusted."""
    public, parts = config.public_address, split_host(host)
    if public is None or config.trusted_proxies or parts is None or parts[0] != public.host:
        return None
    return public.scheme


def _client(peer: str, forwarded_for: str, config: Config) -> str:
    """The last address on the way to us that is no trusted proxy; those before it are whatever the client wrote."""
    for address in reversed([address.strip() for address in forwarded_for.split(",")]):
        if not is_in(address, config.trusted_networks):
            return address if parse_address(address) is not None else peer
    return peer
