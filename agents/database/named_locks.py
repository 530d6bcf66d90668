"""Locks on what has no row: who holds one has it until the commit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from django.db import connection


def lock_names(names: Iterable[str]) -> None:
    """Wait until no other transaction has any of these, which rows would have to be made and deleted for otherwise.

    On SQLite one process writes at a time anyway.
    """
    if connection.vendor != "postgresql":
        return
    # In one order, so that no two wait for each other.
    keys = sorted({int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True) for name in names})
    if keys:
        with connection.cursor() as cursor:
            cursor.executemany("SELECT pg_advisory_xact_lock(%s)", [(key,) for key in keys])
