"""Bringing the database's tables up to date."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import nullcontext

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from rich.console import Console

from agents.conf import get_config
from agents.database.data_folder import lock
from agents.database.threads import is_away
from agents.database.trouble import require_answer, unusable
from myagent.i18n import gettext as _

_OUR_APPS = ("agents", "sessions_app")
_OTHER_TABLES = re.compile(r"no such (table|column)|has no column")


def bring_up_to_date() -> None:
    """Migrate the embedded database; of any other one only ask that it is up to date.

    Raises `CommandError` when it is not, or cannot be used.
    """
    config = get_config()
    require_answer()
    try:
        if config.embedded_database:
            # Two servers may share the folder and start at the same moment.
            with lock(config.data_dir, "migrate", group_access=config.group_access):
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
    if unknown := unknown_migrations(executor.loader):
        words = _("The database belongs to a newer version of this program, which made: %(names)s")
        cure = _("Start that version, or restore a backup from before.")
        raise CommandError(f"{words % {'names': ', '.join(unknown)}}\n   {cure}")
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def unknown_migrations(loader: MigrationLoader | None = None) -> list[str]:
    """Our migrations that the database has and this program does not know: a newer version has made them. Blocking."""
    loader = loader or MigrationLoader(connection)
    known = {*loader.disk_migrations, *(old for new in loader.disk_migrations.values() for old in new.replaces)}
    applied = loader.applied_migrations or ()
    return sorted(f"{app}.{name}" for app, name in applied if app in _OUR_APPS and (app, name) not in known)


def newer_schema(names: Sequence[str]) -> str:
    """What the log says of migrations that this running program does not know."""
    made = ", ".join(names)
    return f"A newer version of this program has changed the database ({made}). Restart this server with that version."


class SchemaIsNewer(OperationalError):
    """A statement failed because the tables are not those that this program knows; a newer one will succeed."""


def explained(error: Exception) -> Exception:
    """`error`, or what lies behind it: the tables were changed by a newer version. Blocking."""
    # SQLite says of a missing column what it says of a lock.
    is_about_tables = not is_away(error) or _OTHER_TABLES.search(str(error))
    if isinstance(error, DatabaseError) and is_about_tables and (names := unknown_migrations()):
        return SchemaIsNewer(newer_schema(names))
    return error
