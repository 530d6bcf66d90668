"""A database that cannot be used, in words that say what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError
from django.db import connection

from agents.database.threads import is_away
from myagent.i18n import gettext as _
from myagent.i18n import gettext_noop

# What drivers say, and what helps. The first that fits counts.
_CURES = (
    (r"(database|role) \S+ does not exist", gettext_noop("Make it in PostgreSQL, or correct DATABASE_URL.")),
    (r"authentication|no password|pg_hba", gettext_noop("Check the user and the password in DATABASE_URL.")),
    (
        r"resolve|translate host|refused|time(d )?out|no route|unreachable|starting up|server closed|not? answer|"
        r"connection after",
        gettext_noop("Check that PostgreSQL runs, and host and port in DATABASE_URL."),
    ),
    (
        r"not a database|malformed",
        gettext_noop(
            "%(name)s is damaged or not a database. Move it away to start with an empty one, or restore a backup."
        ),
    ),
    (
        r"readonly|unable to open|permission|disk i/o",
        gettext_noop("This user needs the right to write %(name)s and the folder that it is in."),
    ),
    (r"locked", gettext_noop("Another program holds %(name)s. Wait for it, or end it, and try again.")),
    (r"is full", gettext_noop("Make room on the disk that holds %(name)s.")),
)


def unusable(error: Exception) -> CommandError:
    """What a command raises because of `error`, which came from the database."""
    said = " ".join(str(error).split())
    words = _("The database cannot be used: %(error)s") % {"error": said}
    helps = cure(said, translate=_)
    return CommandError(f"{words}\n   {helps}" if helps else words)


def words_about(error: Exception) -> str | None:
    """What a program says of `error` before it ends, if that came from a database that is locked or away. Blocking."""
    if not is_away(error):
        return None
    try:
        require_answer()  # the pool only says that it had to wait
    except CommandError as reason:
        return str(reason)
    return str(unusable(error))


def cure(said: str, *, translate: Callable[[str], str] = str) -> str:
    """What helps against what a driver said, or nothing; for the log in English."""
    cures = (words for pattern, words in _CURES if re.search(pattern, said, re.IGNORECASE))
    return translate(next(cures, "")) % {"name": connection.settings_dict["NAME"]}


def require_answer() -> None:
    """Ask a PostgreSQL once, by a connection of its own, whether it lets us in. Raises `CommandError`.

    The pool, which is used from then on, would try for seconds, log each attempt, and keep the reason to itself.
    """
    if connection.vendor != "postgresql":
        return
    driver: Any = connection.Database  # type: ignore[attr-defined] # psycopg; every backend has its own
    try:
        driver.connect(**connection.get_connection_params()).close()
    except driver.Error as error:
        raise unusable(error) from error
