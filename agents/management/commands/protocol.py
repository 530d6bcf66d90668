from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from agents.management.plain_command import PlainCommand, speak_early
from myagent.i18n import gettext as _
from myagent.protocol.typescript import typescript

FORMS = {"typescript": typescript}
"""How the events can be written, by the option that asks for it."""


class Command(PlainCommand):
    """Prints the events of the protocol, made from the classes of the server."""

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.help = _("Print the events of the protocol in a form for programs.")
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        form = parser.add_mutually_exclusive_group(required=True)
        form.add_argument(
            "--typescript", dest="form", action="store_const", const="typescript", help=_("as types of TypeScript")
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(FORMS[options["form"]](), ending="")
