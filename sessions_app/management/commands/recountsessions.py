from __future__ import annotations

from typing import Any

from agents.management.plain_command import PlainCommand, speak_early
from myagent.i18n import gettext as _
from sessions_app.journal.refusal import Refused
from sessions_app.management.progress import committed
from sessions_app.models import Session
from sessions_app.upkeep.housekeeping import recounts


class Command(PlainCommand):
    """Counts again what each session takes in the database, while servers run."""

    uses_tables = True

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.help = _(
            "Count again how many bytes each session takes in the database. Servers keep these sums by themselves; "
            "this is for rows that something else has written or deleted."
        )
        super().run_from_argv(argv)

    def handle(self, *args: Any, **options: Any) -> None:
        ids = list(Session.objects.order_by("id").values_list("id", flat=True))
        outcomes = committed(recounts(ids), total=len(ids), out=self.stdout)
        changes = [outcome for outcome in outcomes if not isinstance(outcome, Refused)]
        facts = {"sessions": len(changes), "wrong": sum(change != 0 for change in changes), "bytes": sum(changes)}
        self.stdout.write(_("Sessions counted: %(sessions)d, wrong: %(wrong)d, by %(bytes)+d bytes.") % facts)
