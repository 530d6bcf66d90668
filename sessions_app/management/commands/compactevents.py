from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from agents.management.plain_command import PlainCommand, period, speak_early
from myagent.i18n import gettext as _
from sessions_app.journal.refusal import Refused
from sessions_app.management.progress import committed
from sessions_app.upkeep.housekeeping import compactions, streamed_answers


class Command(PlainCommand):
    """Removes the pieces in which answers were streamed; servers do the same by themselves."""

    uses_tables = True

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.help = _(
            "Remove the pieces in which final answers were streamed; the answers hold the whole text. Servers do this "
            "by themselves after an hour."
        )
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            type=period,
            default=timedelta(hours=1),
            metavar="PERIOD",
            help=_("of answers that came before this period, such as 30m or 7d (default: 1h)"),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        answers = streamed_answers(timezone.now() - options["older_than"])
        outcomes = committed(compactions(answers), total=len(answers), out=self.stdout)
        removed = sum(outcome for outcome in outcomes if not isinstance(outcome, Refused))
        facts = {"pieces": removed, "answers": len(answers)}
        self.stdout.write(_("Pieces removed: %(pieces)d, of answers: %(answers)d") % facts)
