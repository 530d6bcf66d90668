from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connection

from agents.database.backup import BackupFailed, back_up
from agents.management.plain_command import PlainCommand, speak_early
from myagent.i18n import gettext as _


class Command(PlainCommand):
    """Copies the database to a file."""

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.help = _(
            "Copy the database to a new file, while servers run. SQLite: a file to put in the place of the database; "
            "PostgreSQL: one for pg_restore. The secret of the data folder is not in it."
        )
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help=_("the new file"))

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        if path.exists():
            raise CommandError(_("%(file)s is there already. Name a new file.") % {"file": path})
        try:
            back_up(connection.settings_dict, path)
        except (BackupFailed, OSError) as error:
            words = _("There is no backup: %(error)s")
            raise CommandError(words % {"error": error}) from error
        words = _("%(file)s: %(size).1f MiB")
        self.stdout.write(words % {"file": path, "size": path.stat().st_size / 2**20})
