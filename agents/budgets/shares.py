"""Fair shares: what one user, or the anonymous visitors of one address, may store and have waiting. Nothing blocks.

What is used is read where it is written, in the journal; only the sums of all anonymous visitors are those of the last
look at them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from agents.conf import Config

Quota = Literal["stored_bytes", "sessions", "queued"]
Scope = Literal["user", "address", "anonymous"]


@dataclass(frozen=True, slots=True)
class Sharer:
    """Whose share it is: a user's, or that of an address of anonymous visitors, by its mark.

    Neither is known of anonymous sessions from before addresses were marked; only what all of these have is limited.
    """

    user_id: int | None
    visitor: str | None = None

    @property
    def scope(self) -> Scope:
        return "address" if self.user_id is None else "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is stored for somebody. With the log, the history and the files in bytes."""

    stored_bytes: int = 0
    sessions: int = 0


class OverQuota(Exception):
    """One thing more would be too much: `limit` is how much may be, `scope` whose share it is."""

    def __init__(self, quota: Quota, limit: int, scope: Scope) -> None:
        self.quota = quota
        self.limit = limit
        self.scope = scope
        super().__init__(quota)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The limits of one sharer; None for no limit."""

    scope: Scope
    stored_bytes: int | None
    sessions: int | None
    queued: int | None = None

    def check_bytes(self, held: Held, size: int = 1) -> None:
        """Raise `OverQuota` when `size` bytes more may not be stored."""
        self._check("stored_bytes", self.stored_bytes, held.stored_bytes + max(size, 1) - 1)

    def check_sessions(self, held: Held) -> None:
        """Raise `OverQuota` when there may be no further session."""
        self._check("sessions", self.sessions, held.sessions)

    def check_queued(self, waiting: int) -> None:
        """Raise `OverQuota` when no further message may wait."""
        self._check("queued", self.queued, waiting)

    def _check(self, quota: Quota, limit: int | None, used: int) -> None:
        if limit is not None and used >= limit:
            raise OverQuota(quota, limit, self.scope)


@dataclass(slots=True)
class Shares:
    """The limits that hold for this process's requests."""

    config: Config
    exempt: Collection[int] = ()
    """Users without a share: `local`, unless it is to have one."""
    by_anonymous: Held = field(default_factory=Held)
    """What all anonymous visitors together had stored when it was last looked at."""

    def of(self, sharer: Sharer) -> Share:
        """The limits of this one."""
        config = self.config
        limits: tuple[int | None, int | None, int | None] = None, None, None
        if sharer.user_id is None and sharer.visitor is not None:
            limits = config.address_stored_bytes, config.address_sessions, config.address_queued
        elif sharer.user_id is not None and sharer.user_id not in self.exempt:
            limits = config.user_stored_bytes, config.user_sessions, config.user_queued
        stored_bytes, sessions, queued = limits
        return Share(scope=sharer.scope, stored_bytes=stored_bytes, sessions=sessions, queued=queued)

    @property
    def of_anonymous(self) -> Share:
        """The limits of all anonymous visitors together."""
        config = self.config
        return Share(scope="anonymous", stored_bytes=config.anonymous_stored_bytes, sessions=config.anonymous_sessions)


@lru_cache(maxsize=1)
def shares_of(config: Config) -> Shares:
    """Those of this process."""
    return Shares(config)
