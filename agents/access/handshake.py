"""What a WebSocket handshake, or a request, says of who is asking, read once from the ASGI scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs

from django.conf import settings
from django.http import parse_cookie

from agents.addresses import is_in, parse_address
from agents.conf import Config
from myagent.text import clean

_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
_FORWARDING = ("forwarded", "via", "x-real-ip")


@dataclass(frozen=True, kw_only=True)
class Handshake:
    """The facts that decide. `repr` holds no secret.

    `peer` is the other end of the connection, `client` what a trusted proxy says of its own peer, for the log.
    `forwarded` tells that a proxy was involved, `scheme` (`http` or `https`) how the client asked a trusted one.
    """

    path: str
    peer: str
    client: str
    host: str
    scheme: str | None
    origin: str | None
    fetch_site: str | None
    forwarded: bool
    token: str | None
    session_key: str | None

    def __repr__(self) -> str:
        return f"Handshake({self.client} -> {self.host}{self.path}, origin={self.origin})"

    @classmethod
    def from_scope(cls, scope: dict[str, Any], config: Config) -> Self:
        """Read the scope; forwarding headers count only when the peer is a trusted proxy."""
        headers = _headers(scope)
        peer = (scope.get("client") or ("", 0))[0]
        trusted = is_in(peer, config.trusted_networks)
        forwarded = (
            {name: value for name, value in headers.items() if name.startswith("x-forwarded-")} if trusted else {}
        )
        return cls(
            path=scope.get("path", ""),
            peer=peer,
            client=_client(peer, forwarded.get("x-forwarded-for", ""), config),
            host=_nearest(forwarded.get("x-forwarded-host")) or headers.get("host", ""),
            scheme=_SCHEMES.get(_nearest(forwarded.get("x-forwarded-proto")).lower()),
            origin=headers.get("origin"),
            fetch_site=headers.get("sec-fetch-site"),
            forwarded=any(name in _FORWARDING or name.startswith("x-forwarded-") for name in headers),
            token=_token(scope, headers),
            session_key=browser_session(parse_cookie(headers.get("cookie", ""))),
        )


def browser_session(cookies: Mapping[str, str]) -> str | None:
    """The key of Django's session that these cookies name; one that no database can hold counts as none."""
    key = cookies.get(settings.SESSION_COOKIE_NAME) or None
    return key if key is not None and clean(key) == key else None


def _nearest(value: str | None) -> str:
    """What the proxy next to us says in a list to which each proxy adds at the end."""
    return (value or "").rpartition(",")[2].strip()


def _client(peer: str, forwarded_for: str, config: Config) -> str:
    """The last address on the way to us that is no trusted proxy; those before it are whatever the client wrote."""
    for address in reversed([address.strip() for address in forwarded_for.split(",")]):
        if not is_in(address, config.trusted_networks):
            return address if parse_address(address) is not None else peer
    return peer


def _headers(scope: dict[str, Any]) -> dict[str, str]:
    """Headers by lower-case name; doubled ones joined, so that a second `Host` or `Origin` matches nothing."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope.get("headers", ()):
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _token(scope: dict[str, Any], headers: dict[str, str]) -> str | None:
    """The token of the query, else of the `Authorization` header; an empty one counts as none."""
    query: str = scope.get("query_string", b"").decode("latin-1")
    if values := parse_qs(query).get("token"):
        return values[0]
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None
