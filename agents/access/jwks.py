"""The public keys of a single sign-on that are fetched from its JWKS URL (RFC 7517), and renewed as it changes them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import cache
from threading import Lock
from typing import Any

import jwt

from agents.conf import Config

logger = logging.getLogger("myagent.access")

_LIFESPAN = 300.0
_TIMEOUT = 5.0
_RETRY = 10.0
"""Seconds: for how long keys are not fetched again, how long a fetch may take, and the pause after a failed one."""


class KeySource:
    """The keys at a URL. The client of PyJWT caches them, and fetches again for an unknown key at most every 30 s.

    While the URL does not answer, the last keys count: a single sign-on that is away locks nobody out who has a token.
    """

    def __init__(self, url: str) -> None:
        self._client = jwt.PyJWKClient(url, lifespan=_LIFESPAN, timeout=_TIMEOUT)
        self._known: list[jwt.PyJWK] = []
        self._failed_at: float | None = None
        self._lock = Lock()

    def keys_for(self, text: str) -> list[Any]:
        """The keys that may have signed this token; blocks while they are fetched."""
        try:
            key_id = jwt.get_unverified_header(text).get("kid")
        except jwt.PyJWTError:
            return []
        with self._lock:
            if self._failed_at is None or time.monotonic() - self._failed_at >= _RETRY:
                self._renew(key_id)
            return [key.key for key in self._known if key_id is None or key.key_id == key_id]

    def _renew(self, key_id: str | None) -> None:
        try:
            self._known = self._client.get_signing_keys()
            if key_id is not None and all(key.key_id != key_id for key in self._known):
                self._client.get_signing_key(key_id)  # fetches again, unless it did so a moment ago
                self._known = self._client.get_signing_keys()
            self._failed_at = None
        except jwt.PyJWKClientConnectionError as error:
            self._failed_at = time.monotonic()
            logger.warning("The keys of the single sign-on cannot be fetched; those known before count: %s", error)
        except jwt.PyJWTError as error:  # no such key, or no keys at all
            logger.info("No key of the single sign-on fits: %s", error)


async def signing_keys(text: str, config: Config) -> Sequence[Any]:
    """The keys that this token is checked with: those of the settings, and those of the URL that fit it."""
    if config.jwt_jwks_url is None:
        return config.jwt_keys
    # Not on the threads of the database, which others wait for.
    fetched = await asyncio.to_thread(_source(config.jwt_jwks_url).keys_for, text)
    return (*config.jwt_keys, *fetched)


@cache
def _source(url: str) -> KeySource:
    return KeySource(url)
