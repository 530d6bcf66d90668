from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from agents.audit import note_command, note_made
from agents.management.plain_command import PlainCommand, names, period, speak_early
from agents.models import AccessToken, HostedAgent, Invitation
from agents.models.invitation import LONGEST_LIFE
from agents.web.server_address import invitation_link, server_root
from myagent.i18n import gettext as _

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class Command(PlainCommand):
    """Makes an access token."""

    uses_tables = True

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.help = _("Make a token with which a program or page connects as a user. It is shown only once.")
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", metavar="USER", help=_("name of the user"))
        parser.add_argument("--name", default="", help=_("what the token is for"))
        parser.add_argument(
            "--agents", type=names, default=[], metavar="A,B", help=_("agents it is valid for (default: all)")
        )
        parser.add_argument(
            "--expires", type=period, metavar="PERIOD", help=_("how long it is valid, such as 30d (default: forever)")
        )
        parser.add_argument(
            "--link",
            nargs="?",
            const="",
            metavar="URL",
            help=_(
                "instead of a token print a link that logs in once, for 7 days at most; URL is the server's address"
            ),
        )
        parser.add_argument("--create-user", action="store_true", help=_("make the user if there is none"))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["link"] is not None:
            return self._invite(options)
        user = _user(options["username"], create=options["create_user"])
        expires_at = timezone.now() + options["expires"] if options["expires"] is not None else None
        token, plaintext = AccessToken.objects.issue(
            user, options["name"] or "createtoken", agents=options["agents"], expires_at=expires_at
        )
        note_made(token, _("Made for %(user)s.") % {"user": user.get_username()})
        if unknown := _unknown(options["agents"]):
            words = _("No server has loaded an agent of this name from this database: %(names)s")
            self.stderr.write("⚠️  " + words % {"names": ", ".join(unknown)}, lambda text: text)
        self.stdout.write(plaintext)
        return None

    def _invite(self, options: dict[str, Any]) -> None:
        life, agents = options["expires"] or LONGEST_LIFE, options["agents"]
        if agents:
            raise CommandError(_("A link logs in for all agents that its user may use: leave --agents out."))
        if life > LONGEST_LIFE:
            raise CommandError(_("A link is valid for 7 days at most: give --expires 7d or less."))
        root = server_root(options["link"])
        user = _user(options["username"], create=options["create_user"])
        if not user.is_active:
            raise CommandError(_("The user %(name)r is not active.") % {"name": user.get_username()})
        _invitation, secret = Invitation.objects.issue(user, life)
        note_command(user, _("Made a link to log in."))
        self.stdout.write(invitation_link(root, secret))


def _unknown(wanted: list[str]) -> list[str]:
    """Those of these names that no agent has; one of them may be loaded later."""
    known = set(HostedAgent.objects.filter(name__in=wanted).values_list("name", flat=True))
    return [name for name in wanted if name not in known]


def _user(username: str, *, create: bool) -> User:
    users = get_user_model().objects
    if create:
        # An unusable password: a token is all that such a user needs.
        return users.get_or_create(username=username, defaults={"password": "!"})[0]
    user = users.filter(username=username).first()
    if user is None:
        raise CommandError(
            _("There is no user %(name)r. Make one with --create-user, or with: manage.py createsuperuser")
            % {"name": username}
        )
    if not user.is_active:
        raise CommandError(_("The user %(name)r is not active, so a token would give no access.") % {"name": username})
    return user
