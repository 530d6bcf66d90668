from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.table import Column, Table

from agents.audit import note_command
from agents.conf import get_config
from agents.management.check_command import add_check_arguments, check
from agents.management.plain_command import PlainCommand, speak_early
from agents.models import HostedAgent
from agents.supervisor.operator_socket import replace_workers
from myagent.i18n import gettext as _

WAIT_SECONDS = 60.0
LOOK_SECONDS = 0.2


class Command(PlainCommand):
    """Lists, checks, switches and reloads agents."""

    uses_tables = True

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.help = _("List, check, switch and reload agents.")
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("list", help=_("the agents that servers have loaded from this database"))
        add_check_arguments(actions.add_parser("check", help=_("load agent files without serving them")))
        for action, words in (
            ("enable", _("switch agents on")),
            ("disable", _("switch agents off: no new runs, active runs finish")),
            ("reload", _("let servers reload agents from their files, without a restart")),
        ):
            parser_of = actions.add_parser(action, help=words)
            parser_of.add_argument("names", nargs="*" if action == "reload" else "+", metavar="NAME")
        parser_of.add_argument("--wait", action="store_true", help=_("until a server has done it, and say how it went"))
        parser_of.add_argument(
            "--workers",
            action="store_true",
            help=_("replace the workers of this data folder, one after the other: new code of everything"),
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        if options.get("workers"):
            self.uses_tables = False  # a newer version must load before its tables are made
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        match options["action"]:
            case "list":
                self._list()
            case "check":
                check(options, self.stdout)
            case "reload" if options["workers"]:
                self._replace_workers(options["names"])
            case "reload" if not options["names"]:
                raise CommandError(_("Name the agents to reload, or --workers."))
            case "reload":
                self._reload(_known(options["names"]), wait=options["wait"])
            case action:
                self._switch(_known(options["names"]), enabled=action == "enable")

    def _list(self) -> None:
        names = Column(_("name"), no_wrap=True, overflow="fold")  # whole, since `enable` takes it
        table = Table(names, _("state"), _("tools"), _("model"), _("source"), _("loaded"))
        rows = list(HostedAgent.objects.all())
        for row in rows:
            table.add_row(
                row.name,
                str(row.state.label),
                _("chosen by each run") if row.dynamic_tools else ", ".join(tool["name"] for tool in row.tools),
                row.model,
                row.source,
                row.loaded_at.isoformat(sep=" ", timespec="seconds") if row.loaded_at else "",
            )
        Console(file=self.stdout, highlight=False, markup=False, emoji=False).print(table)  # type: ignore[arg-type]
        for row in rows:
            if row.error:
                self.stdout.write(f"❌ {row.name}: {row.error}")
            for tool, place in sorted(row.blocking.items()):
                words = _("the tool %(tool)s blocks its event loop again and again, at %(place)s")
                self.stdout.write(f"⚠️ {row.name}: {words % {'tool': tool, 'place': place}}")

    def _switch(self, rows: list[HostedAgent], *, enabled: bool) -> None:
        words = _("%(name)s is switched on.") if enabled else _("%(name)s is switched off.")
        for row in rows:
            row.enabled = enabled
            row.save(update_fields=["enabled"])
            note_command(row, words % {"name": row.name})
            self.stdout.write(words % {"name": row.name})

    def _reload(self, rows: list[HostedAgent], *, wait: bool) -> None:
        HostedAgent.objects.filter(pk__in=[row.pk for row in rows]).request_reload()
        for row in rows:
            note_command(row, _("Requested a reload."))
        if not wait:
            for row in rows:
                words = _("Servers reload %(name)s within seconds; 'agents list' shows the outcome.")
                self.stdout.write(words % {"name": row.name})
            return
        failed = [f"{row.name}: {row.error}" for row in self._answers(rows) if row.error]
        if failed:
            raise CommandError("\n❌ ".join(failed))

    def _replace_workers(self, names: list[str]) -> None:
        if names:
            raise CommandError(_("--workers reloads everything: name no agents."))
        found = False
        try:
            for outcome in replace_workers(get_config().data_dir):
                found = True
                if outcome.error:
                    words = _("%(count)d workers were replaced, the others stay as they are: %(error)s")
                    raise CommandError(words % {"count": outcome.replaced, "error": outcome.error})
                self.stdout.write("✅ " + _("%(count)d workers were replaced.") % {"count": outcome.replaced})
        except OSError as error:
            raise CommandError(_("The workers cannot be replaced: %(error)s") % {"error": error}) from error
        if not found:
            raise CommandError(
                _("No server with workers uses the data folder %(folder)s.") % {"folder": get_config().data_dir}
            )

    def _answers(self, rows: list[HostedAgent]) -> Iterator[HostedAgent]:
        """The rows as they are once a server has done what was asked. Raises `CommandError` when none does."""
        waiting = {row.pk: row for row in rows}
        until = time.monotonic() + WAIT_SECONDS
        while waiting:
            for row in HostedAgent.objects.filter(pk__in=list(waiting)):
                before = waiting[row.pk]
                if (row.loaded_at, row.failed_at) == (before.loaded_at, before.failed_at):
                    continue
                del waiting[row.pk]
                if not row.error:
                    self.stdout.write("✅ " + _("%(name)s was reloaded.") % {"name": row.name})
                yield row
            if waiting and time.monotonic() > until:
                names = ", ".join(row.name for row in waiting.values())
                words = _("No server has reloaded %(names)s within %(seconds)d s. Is a server running that serves it?")
                raise CommandError(words % {"names": names, "seconds": WAIT_SECONDS})
            time.sleep(LOOK_SECONDS)


def _known(names: list[str]) -> list[HostedAgent]:
    """The rows of these agents. Raises `CommandError` when one has none; then nothing is to be done to the others."""
    rows = {row.name: row for row in HostedAgent.objects.filter(name__in=names)}
    for name in names:
        if name not in rows:
            known = ", ".join(HostedAgent.objects.values_list("name", flat=True)) or _("none")
            words = _("There is no agent %(name)r. Known agents: %(known)s")
            raise CommandError(words % {"name": name, "known": known})
    return list(rows.values())
