"""The limit of open files of this process; every connection is one."""

from __future__ import annotations

import logging
import resource
import sys

logger = logging.getLogger("myagent.server")

OWN_FILES = 1_000
"""Files beside the clients' connections: connections to models and databases, and real files."""
_INFINITE = sys.maxsize


def allow_connections(count: int) -> None:
    """Raise the limit of open files for `count` clients; log a warning when the hard limit is lower."""
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
