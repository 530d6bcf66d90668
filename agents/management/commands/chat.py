from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from agents.management.plain_command import PlainCommand, speak_early
from myagent.cli.chat import add_arguments, chat, description


class Command(PlainCommand):
    """Talks to an agent of a running server; the same as `myagent-ws chat`."""

    requires_system_checks: list[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.help = description()
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if code := chat(options):
            sys.exit(code)
