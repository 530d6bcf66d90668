from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import CommandError, CommandParser
from django.db.models import Q

from agents.audit import note_made
from agents.management.plain_command import PlainCommand, speak_early
from myagent.i18n import gettext as _

_READ = tuple(
    f"sessions_app.view_{kind}"
    for kind in (
        "session",
        "run",
        "message",
        "toolcall",
        "confirmation",
        "event",
        "span",
        "summary",
        "sessionfile",
        "memory",
    )
)
_OF_MONEY = ("userbudget", "groupbudget", "modelprice")
ROLES = {
    "Viewer": (*_READ, "sessions_app.view_any_session", "agents.view_hostedagent", "agents.view_usage"),
    "Operator": (
        *_READ,
        "sessions_app.view_any_session",
        "sessions_app.cancel_any_run",
        "sessions_app.export_session",
        "agents.view_hostedagent",
        "agents.change_hostedagent",
        "agents.use_agent",
        "agents.view_usage",
        *(f"agents.{verb}_{kind}" for kind in _OF_MONEY for verb in ("view", "add", "change")),
        "auth.view_user",
        "auth.view_group",
        "admin.view_logentry",
    ),
    "Lead": (*_READ, "sessions_app.view_led_session", "sessions_app.cancel_any_run", "agents.view_hostedagent"),
}
"""The permissions of each ready-made group."""


class Command(PlainCommand):
    """Makes the groups Viewer, Operator and Lead."""

    uses_tables = True

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.help = _(
            "Make the groups Viewer, Operator and Lead with their permissions. A group that is there gets what it "
            "lacks and keeps what it has."
        )
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        """There is nothing to choose."""

    def handle(self, *args: Any, **options: Any) -> None:
        for name, wanted in ROLES.items():
            group, is_new = Group.objects.get_or_create(name=name)
            given = self._permissions(wanted)
            lacking = given.exclude(pk__in=group.permissions.values("pk"))
            added = len(lacking)
            group.permissions.add(*lacking)
            if is_new:
                note_made(group, _("Made by setuproles."))
                self.stdout.write(_("%(group)s: made, %(count)d permissions") % {"group": name, "count": added})
            else:
                self.stdout.write(_("%(group)s: there already, %(count)d added") % {"group": name, "count": added})

    def _permissions(self, names: tuple[str, ...]) -> Any:
        match = Q()
        for name in names:
            app, codename = name.split(".")
            match |= Q(content_type__app_label=app, codename=codename)
        found = Permission.objects.filter(match)
        if found.count() != len(names):
            raise CommandError(_("The database lacks permissions. Run: python manage.py migrate"))
        return found
