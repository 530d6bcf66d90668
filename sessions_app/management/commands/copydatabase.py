from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error, connection, transaction

from agents.database.copying import CopyRefused, check_fit, copy_all, open_source
from agents.database.trouble import require_answer
from agents.management.plain_command import PlainCommand, speak_early
from myagent.i18n import gettext as _
from sessions_app.runs.process_locks import OwnerLock


class Command(PlainCommand):
    """Copies everything from an SQLite file to the database of DATABASE_URL."""

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.help = _(
            "Copy everything from an SQLite database to the one that DATABASE_URL names, which has its tables already "
            "(manage.py migrate) and is empty. The counts of all tables and the sequences are checked; it is all or "
            "nothing. Stop the server before."
        )
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help=_("the SQLite file, .myagent/myagent.sqlite3"))

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"].absolute()
        if not file.is_file():
            raise CommandError(_("There is no file %(file)s.") % {"file": file})
        target = Path(connection.settings_dict["NAME"])  # of PostgreSQL no path, and of SQLite perhaps none yet
        if connection.vendor == "sqlite" and target.exists() and file.samefile(target):
            raise CommandError(_("Source and target are the same file. Name the target in DATABASE_URL."))
        if OwnerLock(file.parent).others_alive():
            raise CommandError(_("A server works with this file. Stop it, so that nothing is left behind."))
        require_answer()
        open_source(file)
        try:
            check_fit()
            with transaction.atomic():
                counts = list(copy_all())
        except (CopyRefused, Error) as error:
            words = _("Nothing was copied: %(error)s")
            raise CommandError(words % {"error": error}) from error
        for table, count in counts:
            self.stdout.write(f"{count:>10,}  {table}")
        words = _("Copied and checked: %(count)d tables.")
        self.stdout.write(words % {"count": len(counts)})
