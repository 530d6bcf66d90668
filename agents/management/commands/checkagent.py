from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from agents.management.check_command import add_check_arguments, check
from agents.management.plain_command import PlainCommand, speak_early
from myagent.i18n import gettext as _


class Command(PlainCommand):
    """Looks at agent files without serving them; `myagent-ws check`."""

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.help = _("Load agent files without serving them, and say what is in them and what looks wrong.")
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        add_check_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        check(options, self.stdout)
