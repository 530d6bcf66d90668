"""How many files this process may have open; every connection is one."""

from __future__ import annotations

import logging
import resource
import sys

logger = logging.getLogger("myagent.server")

OWN_FILES = 1_000
"""Beside the clients' connections: those to models and databases, and the files themselves."""
_INFINITE = sys.maxsize


def allow_connections(count: int) -> None:
    """Raise the limit of open files so far that `count` clients may be connected; say so where that is not allowed."""
    soft, hard = (_INFINITE if limit == resource.RLIM_INFINITY else limit for limit in _limits())
    wanted = count + OWN_FILES
    allowed = max(soft, min(wanted, hard))
    if allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, _limits()[1]))
    if allowed < wanted:
        logger.warning(
            "Only %d files may be open, too few for MAX_CONNECTIONS=%d. Raise the limit (ulimit -Hn, LimitNOFILE).",
            allowed,
            count,
        )


def _limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)
