"""Bringing the database's tables up to date."""

from __future__ import annotations

import sqlite3
from contextlib import nullcontext

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from rich.console import Console

from agents.conf import get_config
from agents.database.data_folder import lock
from agents.database.trouble import require_answer, unusable
from myagent.i18n import gettext as _


def bring_up_to_date() -> None:
    """Migrate the embedded database; of any other one only ask that it is up to date.

    Raises `CommandError` when it is not, or cannot be used.
    """
    config = get_config()
    require_answer()
    try:
        if config.embedded_database:
            # Two servers may share the folder and start at the same moment.
            with lock(config.data_dir, "migrate"):
                if missing := _missing_migrations():
                    _migrate(missing)
        elif missing := _missing_migrations():
            raise CommandError(
                _("The database lacks %(count)d migrations. Run: python manage.py migrate") % {"count": missing}
            )
    except (DatabaseError, sqlite3.Error) as error:
        raise unusable(error) from error


def _migrate(missing: int) -> None:
    console = Console(stderr=True, highlight=False)
    words = _("Bringing the database up to date: %(count)d steps…") % {"count": missing}
    # Only for people who watch: with many conversations it takes a while, and looks like a start that hangs.
    with console.status(words) if console.is_terminal else nullcontext():
        call_command("migrate", verbosity=0, interactive=False)


def _missing_migrations() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
