from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.table import Column, Table

from agents.exceptions import AgentFileError
from agents.management.base import PlainCommand, speak_early
from agents.models import HostedAgent
from agents.registry import Registry
from myagent.i18n import gettext as _


class Command(PlainCommand):
    """Lists, checks and switches agents."""

    uses_tables = True

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.help = _("List, check and switch agents.")
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("list", help=_("the agents that servers have loaded from this database"))
        check = actions.add_parser("check", help=_("load agent files without serving them"))
        check.add_argument("files", nargs="+", metavar="FILE")
        for action, words in (("enable", _("switch an agent on")), ("disable", _("switch an agent off"))):
            actions.add_parser(action, help=words).add_argument("name", metavar="NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        match options["action"]:
            case "list":
                self._list()
            case "check":
                self._check(options["files"])
            case action:
                self._switch(options["name"], enabled=action == "enable")

    def _list(self) -> None:
        names = Column(_("name"), no_wrap=True, overflow="fold")  # whole, since `enable` takes it
        table = Table(names, _("state"), _("tools"), _("model"), _("source"), _("loaded"))
        for row in HostedAgent.objects.all():
            table.add_row(
                row.name,
                _("on") if row.enabled else _("off"),
                ", ".join(tool["name"] for tool in row.tools),
                row.model,
                row.source,
                row.loaded_at.isoformat(sep=" ", timespec="seconds") if row.loaded_at else "",
            )
        Console(file=self.stdout, highlight=False, markup=False, emoji=False).print(table)  # type: ignore[arg-type]

    def _check(self, files: list[str]) -> None:
        try:
            registry = Registry.from_sources(files)
        except AgentFileError as error:
            raise CommandError(str(error)) from error
        for loaded in registry:
            tools = ", ".join(tool.name for tool in loaded.agent.tools) or _("none")
            words = _("%(name)s in %(file)s is all right; tools: %(tools)s")
            self.stdout.write("✅ " + words % {"name": loaded.name, "file": loaded.source, "tools": tools})

    def _switch(self, name: str, *, enabled: bool) -> None:
        if not HostedAgent.objects.filter(name=name).update(enabled=enabled):
            known = ", ".join(HostedAgent.objects.values_list("name", flat=True)) or _("none")
            raise CommandError(
                _("There is no agent %(name)r. Known agents: %(known)s") % {"name": name, "known": known}
            )
        words = _("%(name)s is switched on.") if enabled else _("%(name)s is switched off.")
        self.stdout.write(words % {"name": name})
