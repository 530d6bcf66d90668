"""The local rule: who is the user `local` without credentials, because the program that connects is the operator's."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from agents.access.handshake import Handshake
from agents.access.peer_owner import Holder, holder_of
from agents.addresses import is_loopback, split_host, split_origin
from agents.conf import Config

THREADS = 2


async def holder_of_peer(handshake: Handshake) -> Holder:
    """Who holds the socket of this client. The answer is for now: the port is another client's as soon as it is free.

    In threads of their own: those of the database may have to wait for it.
    """
    if handshake.connection is None:
        return Holder.UNKNOWN
    found = await asyncio.get_running_loop().run_in_executor(_threads(), holder_of, *handshake.connection)
    if found is Holder.NOBODY and not handshake.is_served:
        return Holder.UNKNOWN  # there was no connection in the first place
    return found


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="myagent-peers")


def is_local(handshake: Handshake, config: Config, holder: Holder = Holder.UNKNOWN) -> bool:
    """Whether the connection certainly comes from a program or page of the operator on this machine."""
    return _objection(handshake, config, holder) is None


def why_not_local(handshake: Handshake, config: Config, holder: Holder = Holder.UNKNOWN) -> str:
    """Why credentials are needed, and where to get them; for the log."""
    objection = _objection(handshake, config, holder) or "credentials are needed"
    return f"{objection}. Connect with ?token=…; the server prints one at its start, manage.py createtoken makes more."


def _objection(handshake: Handshake, config: Config, holder: Holder) -> str | None:
    host = split_host(handshake.host)
    if config.require_auth:
        return "the server was started with --require-auth"
    if config.trusted_proxies:
        return "MYAGENT_TRUSTED_PROXIES is set, so everybody needs credentials"
    if not is_loopback(handshake.peer):
        return "the client is not on this machine"
    if host is None or not is_loopback(host[0]):
        return f"the Host {handshake.host!r} is not localhost"
    if handshake.forwarded:
        return "the connection came through a proxy"
    if handshake.origin is not None and not has_loopback_origin(handshake):
        return f"the page's Origin {handshake.origin!r} is not on this machine"
    if holder is Holder.UNKNOWN and (config.allowed_hosts or config.public_url):
        return "the server has a name, and this system does not tell whose program a client is, so it may be a proxy"
    if holder in (Holder.ANOTHER, Holder.NOBODY):
        return "the client's program has left already or belongs to another user of this machine, as a proxy's does"
    return None


def has_loopback_origin(handshake: Handshake) -> bool:
    """Whether a page of this machine connects."""
    origin = split_origin(handshake.origin) if handshake.origin is not None else None
    return origin is not None and is_loopback(origin[1])
