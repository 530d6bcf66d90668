"""Who gets in: decisions about a WebSocket handshake, and later looks at whether they still hold.

A credential that a browser adds by itself (the place it connects from, a cookie) counts only when the page that opened
the connection is known to be one of ours; a token counts from anywhere, since no page can have it by accident. So a
page that points its own name at this machine (DNS rebinding) gets nothing: its `Host` and `Origin` are foreign.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from agents.access import brakes, credentials
from agents.access.agent_permissions import denied_to
from agents.access.credentials import Identity, Login
from agents.access.handshake import Handshake
from agents.access.host_rule import serves, why_not_served
from agents.access.jwks import signing_keys
from agents.access.local_rule import has_loopback_origin, holder_of_peer, is_local, why_not_local
from agents.access.peer_owner import Holder
from agents.access.sso import JWTRefused
from agents.access.visitors import visitor_mark
from agents.addresses import is_loopback, split_host, split_origin
from agents.conf import Config
from agents.database.threads import in_thread
from agents.models.access_token import TOKEN_PREFIX

logger = logging.getLogger("myagent.access")

Kind = Literal["local", "anonymous", "token", "jwt", "cookie"]
_OUR_SITES = ("same-origin", "none")
"""`Sec-Fetch-Site` of what our own pages ask, and of an address that a person typed."""
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, OVER_LIMIT = 4401, 4403, 4404, 4429


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a connection may do: as whom, and with which agents.

    `agents` is what a token is limited to (None means all), `denied` what is limited to groups that the user is in none
    of. `expires_at` and `login` are there where the credential has an end of its own. `is_staff` permits nothing: pages
    show staff the way to the admin.
    """

    kind: Kind
    user_id: int | None = None
    username: str | None = None
    is_staff: bool = field(default=False, compare=False)
    agents: frozenset[str] | None = None
    denied: frozenset[str] = frozenset()
    token_id: int | None = None
    sso_identity_id: int | None = None
    expires_at: datetime | None = None
    login: Login | None = None
    visitor: str = ""
    """Of an anonymous one, the mark of the address."""

    def allows(self, agent: str) -> bool:
        """Whether the agent of that name may be used, if there is one."""
        return agent not in self.denied and (self.agents is None or agent in self.agents)

    @classmethod
    def of(cls, kind: Kind, identity: Identity) -> Grant:
        """What a user who was recognised may do."""
        return cls(
            kind=kind,
            user_id=identity.user_id,
            username=identity.username,
            is_staff=identity.is_staff,
            agents=identity.agents,
            denied=identity.denied,
            token_id=identity.token_id,
            sso_identity_id=identity.sso_identity_id,
            expires_at=identity.expires_at,
            login=identity.login,
        )


class HandshakeForbidden(Exception):
    """Answer the handshake with HTTP 403: the `Host` or the `Origin` is foreign. `reason` is for the log only."""

    status = 403

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


class ConnectionRefused(Exception):
    """Accept the handshake and close at once with `close_code`, so that a browser learns why.

    `code` is for the client (it fits a close frame), `reason` for the log; `retry_after` is when to try again, in
    seconds.
    """

    def __init__(self, close_code: int, code: str, reason: str, *, retry_after: int | None = None) -> None:
        self.close_code = close_code
        self.code = code
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(reason)


async def authorize(scope: dict[str, Any], config: Config) -> Grant:
    """Decide on a handshake. Raises `HandshakeForbidden`, `ConnectionRefused`; both are logged with the cure."""
    return await _decide(Handshake.from_scope(scope, config), config)


async def authorize_request(scope: dict[str, Any], config: Config) -> Grant:
    """Decide on an HTTP request that changes nothing as on a handshake, and raise the same.

    With such requests of our own pages browsers send no `Origin`; that they are these is in `Sec-Fetch-Site`, and where
    there is no TLS in the header that our pages add: of others a browser asks first, and no answer permits it.
    """
    handshake = Handshake.from_scope(scope, config)
    is_ours = handshake.fetch_site in _OUR_SITES or (handshake.fetch_site is None and handshake.by_script)
    if handshake.origin is None and is_ours:
        handshake = replace(handshake, origin=f"{handshake.scheme or scope.get('scheme', 'http')}://{handshake.host}")
    return await _decide(handshake, config)


async def _decide(handshake: Handshake, config: Config) -> Grant:
    try:
        return await _authorize(handshake, config)
    except (HandshakeForbidden, ConnectionRefused) as refusal:
        logger.warning("Refused a connection from %s to %r: %s", handshake.client, handshake.path, refusal.reason)
        raise


async def _authorize(handshake: Handshake, config: Config) -> Grant:
    # A token that is shown decides alone, so that a mistyped or revoked one is noticed everywhere.
    if handshake.token is not None:
        if config.allowed_hosts:
            check_host(handshake, config)
        return await _token_grant(handshake.token, handshake.client, config)
    check_host(handshake, config)
    check_origin(handshake, config)
    if handshake.session_key is not None and is_own_page(handshake, config):
        user = await in_thread(credentials.user_of_session, handshake.session_key)
        if user is not None:
            return Grant.of("cookie", user)
    # Who holds the client's socket is looked for last of all, and only where it matters.
    holder = await holder_of_peer(handshake) if is_local(handshake, config, Holder.US) else Holder.UNKNOWN
    if is_local(handshake, config, holder):
        return await _local_grant()
    if config.allow_anonymous:
        return Grant(kind="anonymous", denied=await in_thread(denied_to, None), visitor=visitor_mark(handshake.client))
    raise ConnectionRefused(UNAUTHORIZED, "credentials_required", why_not_local(handshake, config, holder))


async def _token_grant(token: str, client: str, config: Config) -> Grant:
    if config.has_sso and not token.startswith(TOKEN_PREFIX):
        keys = await signing_keys(token, config)
        try:
            return Grant.of("jwt", await in_thread(credentials.user_of_sso_token, token, config, keys))
        except JWTRefused as error:
            reason = f"The token of the single sign-on is refused: {error}."
            raise await _invalid_token(client, reason) from error
    identity = await in_thread(credentials.user_of_token, token)
    if identity is None:
        reason = "The token is unknown, expired or revoked. Make one with: manage.py createtoken USER"
        raise await _invalid_token(client, reason)
    return Grant.of("token", identity)


async def _invalid_token(client: str, reason: str) -> ConnectionRefused:
    """Why a token is refused. Late after many of that address, and after too many in other words; a valid token is
    never asked for them.
    """
    failed = await in_thread(brakes.note_wrong_token, client)
    await asyncio.sleep(failed.delay)
    if failed.refused_for:
        too_many = f"too many invalid tokens from there; further ones are refused for {failed.refused_for} s"
        return ConnectionRefused(OVER_LIMIT, "too_many_attempts", too_many, retry_after=failed.refused_for)
    return ConnectionRefused(UNAUTHORIZED, "invalid_token", reason)


async def _local_grant() -> Grant:
    identity = await in_thread(credentials.local_user)
    if identity is None:
        reason = "There is no active user 'local'. Start the server with runagent."
        raise ConnectionRefused(UNAUTHORIZED, "local_user_missing", reason)
    return Grant.of("local", identity)


def check_host(handshake: Handshake, config: Config) -> None:
    """Raise `HandshakeForbidden` for a `Host` that is not a name of this server."""
    if not serves(handshake.host, config):
        raise HandshakeForbidden("bad_host", why_not_served(handshake.host))


def check_origin(handshake: Handshake, config: Config) -> None:
    """Raise `HandshakeForbidden` for a page that is neither of this server nor of this machine nor allowed."""
    if handshake.origin is None and handshake.fetch_site not in (None, *_OUR_SITES):
        raise HandshakeForbidden("bad_origin", "a page of another site may not ask without a token")
    if handshake.origin is None or config.allows_origin(handshake.origin) or is_own_page(handshake, config):
        return
    host = split_host(handshake.host)
    if has_loopback_origin(handshake) and host is not None and is_loopback(host[0]):
        return
    raise HandshakeForbidden(
        "bad_origin",
        f"a page of {handshake.origin!r} may not connect without a token. To let it in, start the server with "
        f"--allow-origin {handshake.origin}",
    )


def is_own_page(handshake: Handshake, config: Config) -> bool:
    """Whether the page that connects came from this server: from where it is asked now, or from its public URL."""
    public = config.public_address
    return is_same_origin(handshake) or (
        public is not None
        and handshake.origin is not None
        and split_origin(handshake.origin) == split_origin(public.origin)
    )


def is_same_origin(handshake: Handshake) -> bool:
    """Whether the page that connects came from where it connects to: `Origin` names the same host and port.

    The scheme, too, where a trusted proxy tells it: a page that was not encrypted may be anybody's.
    """
    origin = split_origin(handshake.origin) if handshake.origin is not None else None
    if origin is None or handshake.scheme not in (None, origin[0]):
        return False
    return origin[1:] == split_host(handshake.host, scheme=origin[0])


def require_agent(grant: Grant, name: str, available: Iterable[str]) -> None:
    """Raise `ConnectionRefused` unless the agent may be used; one that may not looks as if it did not exist."""
    # Asked and written down in every case, in the same words: the time it takes must not tell what the words do not.
    exists, allowed = name in available, grant.allows(name)
    if not (exists and allowed):
        logger.warning(
            "Refused %s the agent %r: there is none, or the user may not use it.", grant.username, name[:100]
        )
        raise ConnectionRefused(NOT_FOUND, "agent_not_found", f"there is no agent {name!r}")
