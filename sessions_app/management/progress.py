"""Work on the stored conversations in many small transactions, beside running servers, with a progress bar."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.management.base import CommandError
from django.db import Error
from rich.console import Console
from rich.progress import Progress

from agents.database.threads import is_away
from myagent.i18n import gettext as _
from sessions_app.journal.commit import commit
from sessions_app.journal.entry import Entry

PAUSE_SHARE = 0.5
"""Of the time that the last transaction took: for so long others get the database to themselves."""


def committed(batches: Iterable[Sequence[Entry]], *, total: int, out: Any) -> list[Any]:
    """The outcomes of all entries, each batch committed by itself. Raises `CommandError` when the database does not
    take one; what was committed before stays.
    """
    outcomes: list[Any] = []
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    # Only for people who watch: a file would get a line of bars.
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        for batch in batches:
            began = time.monotonic()
            try:
                outcomes += commit(batch).results
            except Error as error:
                if not is_away(error):
                    raise
                words = _(
                    "The database could not complete the operation (%(error)s). What was done before is kept; "
                    "run the command again."
                )
                raise CommandError(words % {"error": error}) from error
            progress.advance(task, len(batch))
            time.sleep((time.monotonic() - began) * PAUSE_SHARE)
    return outcomes
