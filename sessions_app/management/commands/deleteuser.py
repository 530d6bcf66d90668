from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from agents.access.sso import RESERVED
from agents.audit import note_command
from agents.management.named_user import find_user
from agents.management.plain_command import PlainCommand, speak_early
from myagent.i18n import gettext as _
from sessions_app.management.personal_data import erase
from sessions_app.management.progress import committed
from sessions_app.management.unused_files import delete_files
from sessions_app.models import Session
from sessions_app.upkeep.housekeeping import deletions


class Command(PlainCommand):
    """Deletes a user and everything that is stored of them."""

    uses_tables = True

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.help = _(
            "Delete a user with all conversations, tokens and settings; what runs is stopped. The audit log stays, "
            "without the name. Works while servers run."
        )
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", metavar="USER", help=_("name of the user"))
        parser.add_argument("--yes", action="store_true", help=_("do not ask"))

    def handle(self, *args: Any, **options: Any) -> None:
        user = find_user(options["username"])
        name = user.get_username()
        if name in RESERVED:
            raise CommandError(_("The user %(name)r belongs to the server itself.") % {"name": name})
        sessions = Session.objects.of(user.pk)
        if not options["yes"]:
            self._ask(name, sessions.count())
        # Running servers close the connections of an inactive user, so that no new conversation begins meanwhile.
        user.is_active = False
        user.save(update_fields=["is_active"])
        count = 0
        while rows := list(sessions.values_list("pk", "last_seq")):
            committed(deletions(rows), total=len(rows), out=self.stdout)
            count += len(rows)
        delete_files()
        note_command(user, _("Deleted, with %(count)d conversations.") % {"count": count})
        erase(user)
        words = _("Deleted the user %(name)r, and conversations: %(count)d")
        self.stdout.write(words % {"name": name, "count": count})

    @staticmethod
    def _ask(name: str, count: int) -> None:
        if not sys.stdin.isatty():
            raise CommandError(_("Nobody is here to be asked. Say --yes to delete without a question."))
        words = _("Delete the user %(name)r and conversations: %(count)d? This cannot be undone. Type the name: ")
        if input(words % {"name": name, "count": count}).strip() != name:
            raise CommandError(_("Nothing was deleted."))
