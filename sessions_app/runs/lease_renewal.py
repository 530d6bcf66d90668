"""Renews the leases of this process's runs, in a thread of its own that no commit holds up."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Collection
from typing import Any

from django.db import Error, close_old_connections

from agents.database.threads import is_away
from myagent.daemon_threads import DaemonPool
from sessions_app.journal.entries.ownership import Lease, RenewLeases, renew_unlocked
from sessions_app.journal.entry import NO_SESSION
from sessions_app.journal.writer import Journal

logger = logging.getLogger("myagent.runner")


class LeaseRenewal:
    """Lives on the event loop."""

    def __init__(self, journal: Journal, lease: Lease) -> None:
        self._journal = journal
        self._lease = lease
        self._pool = DaemonPool(1, name="leases")
        self._has_stopped = False
        self._in_journal: asyncio.Future[Any] | None = None

    async def renew(self, run_ids: Collection[uuid.UUID]) -> None:
        """Renew the leases of these runs, unless nothing that they write has been stored for as long as a lease lasts:
        others may be able to, and take the runs over.
        """
        if self._must_stop():
            return
        try:
            left = await self._pool.run(lambda: _renew(self._lease, run_ids), label="Renewing leases")
        except Error as error:
            if not is_away(error):
                raise
            left = list(run_ids)
        # These are locked, most likely by the journal, which is about to commit; or the database is away, and the
        # journal is the first to know when it is back.
        if left and (self._in_journal is None or self._in_journal.done()):
            self._in_journal = self._journal.offer(RenewLeases(session_id=NO_SESSION, lease=self._lease, run_ids=left))

    def _must_stop(self) -> bool:
        must_stop = self._journal.age > self._lease.seconds
        if must_stop and not self._has_stopped:
            words = "Nothing was stored for %g s: leases are not renewed, so that other processes resume the runs."
            logger.warning(words, self._journal.age)
        self._has_stopped = must_stop
        return must_stop


def _renew(lease: Lease, run_ids: Collection[uuid.UUID]) -> list[uuid.UUID]:
    close_old_connections()
    try:
        return renew_unlocked(lease, run_ids)
    finally:
        close_old_connections()
