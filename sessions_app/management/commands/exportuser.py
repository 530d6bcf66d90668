from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, Any

import orjson
from django.core.management.base import CommandError, CommandParser

from agents.audit import note_command
from agents.database.private_files import make_file
from agents.management.named_user import find_user
from agents.management.plain_command import PlainCommand, speak_early
from myagent.i18n import gettext as _
from sessions_app.management.personal_data import records


class Command(PlainCommand):
    """Writes everything that is stored of one person as JSON lines."""

    uses_tables = True

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.help = _(
            "Write everything that is stored of a user as JSON lines: the account, tokens, use, entries of the audit "
            "log, and each conversation in a line of its own. Without secrets."
        )
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", metavar="USER", help=_("name of the user"))
        parser.add_argument("--output", type=Path, metavar="FILE", help=_("a new file; without it, standard output"))

    def handle(self, *args: Any, **options: Any) -> None:
        user = find_user(options["username"])
        path: Path | None = options["output"]
        if path is None:
            self._write(user, sys.stdout.buffer)
        else:
            if path.exists():
                raise CommandError(_("%(file)s is there already. Name a new file.") % {"file": path})
            try:
                make_file(path)
                with path.open("wb") as file:
                    self._write(user, file)
            except OSError as error:
                raise CommandError(f"{path}: {error.strerror}") from error
        note_command(user, _("Exported."))

    @staticmethod
    def _write(user: Any, file: IO[bytes]) -> None:
        for record in records(user):
            file.write(orjson.dumps(record, str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS))
        file.flush()
