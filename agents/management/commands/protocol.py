from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from agents.management.plain_command import PlainCommand, speak_early
from myagent.i18n import gettext as _
from myagent.protocol.asyncapi import asyncapi
from myagent.protocol.frame_schemas import json_schema
from myagent.protocol.typescript import typescript

FORMS: dict[str, Callable[[], str]] = {
    "typescript": typescript,
    "json-schema": lambda: _written(json_schema()),
    "asyncapi": lambda: _written(asyncapi()),
}
"""How the events can be written, by the option that asks for it."""


class Command(PlainCommand):
    """Prints the events of the protocol, made from the classes of the server."""

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.help = _("Print the events of the protocol in a form for programs.")
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        words = {
            "typescript": _("as types of TypeScript"),
            "json-schema": _("as a JSON schema of every frame"),
            "asyncapi": _("as an AsyncAPI document"),
        }
        form = parser.add_mutually_exclusive_group(required=True)
        for name in FORMS:
            form.add_argument(f"--{name}", dest="form", action="store_const", const=name, help=words[name])

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(FORMS[options["form"]](), ending="")


def _written(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
