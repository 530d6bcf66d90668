from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from agents.management.named_user import find_user
from agents.management.plain_command import PlainCommand, period, speak_early
from myagent.i18n import gettext as _
from sessions_app.journal.refusal import Refused
from sessions_app.management.progress import committed
from sessions_app.management.unused_files import delete_files
from sessions_app.models import Session
from sessions_app.upkeep.housekeeping import prunable, prunes


class Command(PlainCommand):
    """Deletes conversations that nobody has touched for long."""

    uses_tables = True

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.help = _(
            "Delete conversations that were last active before a period, with all their stored data. Works while "
            "servers run; a conversation with an active run is skipped."
        )
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than", type=period, required=True, metavar="PERIOD", help=_("such as 12h, 30d or 8w")
        )
        parser.add_argument("--dry-run", action="store_true", help=_("say how many there are and delete nothing"))
        parser.add_argument("--closed-only", action="store_true", help=_("only conversations that were closed"))
        parser.add_argument("--agent", metavar="NAME", help=_("only conversations with this agent"))
        parser.add_argument("--user", metavar="NAME", help=_("only conversations of this user"))

    def handle(self, *args: Any, **options: Any) -> None:
        agent = options["agent"]
        if agent is not None and not Session.objects.filter(agent=agent).exists():
            known = ", ".join(Session.objects.order_by("agent").values_list("agent", flat=True).distinct()) or _("none")
            words = _("There is no conversation with an agent %(name)r. There are conversations with: %(known)s")
            raise CommandError(words % {"name": agent, "known": known})
        before = timezone.now() - options["older_than"]
        user_id = find_user(options["user"]).pk if options["user"] is not None else None
        sessions = prunable(before, closed_only=options["closed_only"], agent=agent, user_id=user_id)
        if options["dry_run"]:
            self.stdout.write(_("Conversations that would be deleted: %(count)d") % {"count": len(sessions)})
            return
        outcomes = committed(prunes(sessions, before), total=len(sessions), out=self.stdout)
        delete_files()
        spared = sum(isinstance(outcome, Refused) for outcome in outcomes)
        self.stdout.write(_("Conversations deleted: %(count)d") % {"count": len(sessions) - spared})
        if spared:
            self.stdout.write(_("In use again, or gone already: %(count)d") % {"count": spared})
