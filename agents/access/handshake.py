"""What a WebSocket handshake, or a request, says of who is asking, read once from the ASGI scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs

from django.conf import settings
from django.http import parse_cookie

from agents.access.arrival import Arrival, headers_of
from agents.access.peer_owner import SocketEnd
from agents.access.subprotocol import offered_token
from agents.conf import Config
from myagent.text import clean

_FORWARDING = ("forwarded", "via", "x-real-ip")


@dataclass(frozen=True, kw_only=True)
class Handshake:
    """The facts that decide. `repr` holds no secret.

    `peer` is the other end of the connection; `client`, `host` and `scheme` are those of its `Arrival`. `forwarded`
    tells that a proxy was involved. `connection` has the client's and our end, `is_served` tells that a server made
    the scope: one that runs the lifespan of the application. `by_script` tells of a header that pages may send to their
    own origin alone.
    """

    path: str
    peer: str
    client: str
    host: str
    scheme: str | None
    origin: str | None
    fetch_site: str | None
    by_script: bool
    forwarded: bool
    token: str | None
    session_key: str | None
    connection: tuple[SocketEnd, SocketEnd] | None
    is_served: bool

    def __repr__(self) -> str:
        return f"Handshake({self.client} -> {self.host}{self.path}, origin={self.origin})"

    @classmethod
    def from_scope(cls, scope: dict[str, Any], config: Config) -> Self:
        """Read the scope; forwarding headers count only when the peer is a trusted proxy."""
        headers = headers_of(scope)
        arrival = Arrival.of_scope(scope, config)
        return cls(
            path=scope.get("path", ""),
            peer=(scope.get("client") or ("", 0))[0],
            client=arrival.client,
            host=arrival.host,
            scheme=arrival.scheme,
            origin=headers.get("origin"),
            fetch_site=headers.get("sec-fetch-site"),
            by_script="x-csrftoken" in headers,
            forwarded=any(name in _FORWARDING or name.startswith("x-forwarded-") for name in headers),
            token=_token(scope, headers),
            session_key=browser_session(read_cookies(headers.get("cookie", ""))),
            connection=_connection(scope),
            is_served="state" in scope,
        )


def read_cookies(header: str) -> dict[str, str]:
    """The cookies of a request by name; of several of one name the first, as browsers put that of the nearest path.

    Django takes the last one, which on a server with several applications may be another application's.
    """
    return dict(parse_cookie(";".join(reversed(header.split(";")))))


def browser_session(cookies: Mapping[str, str]) -> str | None:
    """The key of Django's session that these cookies name; one that no database can hold counts as none."""
    key = cookies.get(settings.SESSION_COOKIE_NAME) or None
    return key if key is not None and clean(key) == key else None


def _connection(scope: dict[str, Any]) -> tuple[SocketEnd, SocketEnd] | None:
    client, server = SocketEnd.of(scope.get("client")), SocketEnd.of(scope.get("server"))
    return (client, server) if client is not None and server is not None else None


def _token(scope: dict[str, Any], headers: dict[str, str]) -> str | None:
    """The token of the query, else of the `Authorization` header, else among the subprotocols; none if it is empty."""
    query: str = scope.get("query_string", b"").decode("latin-1")
    if values := parse_qs(query).get("token"):
        return values[0]
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return offered_token(scope)
