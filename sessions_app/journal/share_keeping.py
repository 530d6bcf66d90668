"""What one transaction of the journal lets sharers store: counted once for each of them, and kept in step."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from django.db.models import BigIntegerField, Count, Sum
from django.db.models.functions import Coalesce

from agents.budgets.shares import Held, OverQuota, Share, Sharer, Shares
from myagent.protocol.error_codes import ErrorCode
from sessions_app.journal.locked_rows import LockedSession
from sessions_app.journal.locks import Locks
from sessions_app.journal.refusal import Refused
from sessions_app.journal.writes import Writes
from sessions_app.models import Run, Session


class ShareKeeping:
    """Of sessions that are locked it reads what the transaction knows of them, of all others what is stored."""

    def __init__(self, locks: Locks, writes: Writes) -> None:
        self._locks = locks
        self._writes = writes
        self._elsewhere: dict[Sharer, Held] = {}
        self._queued: Counter[Sharer] = Counter()
        self._created = 0

    def check_new_session(self, sharer: Sharer, shares: Shares) -> None:
        """Raise `Refused` when this one may have no further session. Within the lock on the sharer."""
        self._check_own(sharer, shares.of(sharer), is_new=True)
        if sharer.user_id is None:
            before = shares.by_anonymous
            together = Held(stored_bytes=before.stored_bytes, sessions=before.sessions + self._created)
            _check(shares.of_anonymous, together, is_new=True)
            self._created += 1

    def check_room(self, session: LockedSession, shares: Shares, size: int = 1) -> None:
        """Raise `Refused` when `size` bytes more may not be stored in this session, whoever asks: it is its owner's
        share. What is said is short, so for it there is room as long as there is any.
        """
        self._check_own(session.sharer, shares.of(session.sharer), is_new=False, size=size)
        if session.user_id is None:
            _check(shares.of_anonymous, shares.by_anonymous, is_new=False, size=size)

    def check_copy(self, sharer: Sharer, shares: Shares, size: int) -> None:
        """Raise `Refused` when this one has no room for so many bytes."""
        share = shares.of(sharer)
        if share.stored_bytes is not None:
            held = self._held(sharer)
            _check(share, replace(held, stored_bytes=held.stored_bytes + size), is_new=False)
        if sharer.user_id is None:
            before = shares.by_anonymous
            together = replace(before, stored_bytes=before.stored_bytes + size)
            _check(shares.of_anonymous, together, is_new=False)

    def check_queue(self, session: LockedSession, shares: Shares) -> None:
        """Raise `Refused` when no further message may wait in all sessions of the owner of this one; counts it."""
        sharer, share = session.sharer, shares.of(session.sharer)
        if share.queued is None:
            return
        if sharer not in self._queued:
            self._writes.flush()
            waiting = Run.objects.filter(status=Run.Status.QUEUED, finished_at=None)
            self._queued[sharer] = waiting.filter(**_of(sharer, "session__")).count()
        try:
            share.check_queued(self._queued[sharer])
        except OverQuota as error:
            raise _refused(error) from error
        self._queued[sharer] += 1

    def _check_own(self, sharer: Sharer, share: Share, *, is_new: bool, size: int = 1) -> None:
        if share.stored_bytes is not None or (is_new and share.sessions is not None):
            _check(share, self._held(sharer), is_new=is_new, size=size)

    def _held(self, sharer: Sharer) -> Held:
        locked = [session for session in self._locks.sessions.values() if session.sharer == sharer]
        if sharer not in self._elsewhere:
            others = Session.objects.filter(**_of(sharer)).exclude(pk__in=[session.id for session in locked])
            found = others.aggregate(
                sessions=Count("pk"), stored_bytes=Coalesce(Sum("stored_bytes"), 0, output_field=BigIntegerField())
            )
            self._elsewhere[sharer] = Held(**found)
        elsewhere = self._elsewhere[sharer]
        return Held(
            stored_bytes=elsewhere.stored_bytes + sum(session.stored_bytes or 0 for session in locked),
            sessions=elsewhere.sessions + len(locked),
        )


def _of(sharer: Sharer, prefix: str = "") -> dict[str, Any]:
    if sharer.user_id is not None:
        return {f"{prefix}user": sharer.user_id}
    return {f"{prefix}user": None, f"{prefix}visitor": sharer.visitor}


def _check(share: Share, held: Held, *, is_new: bool, size: int = 1) -> None:
    try:
        share.check_bytes(held, size)
        if is_new:
            share.check_sessions(held)
    except OverQuota as error:
        raise _refused(error) from error


def _refused(error: OverQuota) -> Refused:
    return Refused(ErrorCode.OVER_QUOTA, quota=error.quota, limit=error.limit, scope=error.scope)
