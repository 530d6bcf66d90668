"""What the commands of this server have in common: plain errors, and an --help without Django's own options."""

from __future__ import annotations

import argparse
import re
import sys
import traceback
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, SystemCheckError

from agents.conf import get_config
from agents.database.migrate import bring_up_to_date
from agents.setting_values import MOST_WORKERS, ConfigError
from agents.supervisor.cores import usable_cores
from myagent.cli.language import add_language_option, asked_language
from myagent.i18n import gettext as _
from myagent.i18n import use_language

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class PlainCommand(BaseCommand):
    """Reports a mistake of the operator in one message that begins with a cross, without a traceback."""

    suppressed_base_arguments = {
        *("--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color"),
    }

    uses_tables = False
    """Whether the command needs the tables; those of the embedded database are made when they are not there yet."""

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **{"conflict_handler": "resolve"} | options)
        # Django adds this one without asking for the list above.
        parser.add_argument("--skip-checks", action="store_true", help=argparse.SUPPRESS)
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            self.check_settings()
            if self.uses_tables:
                bring_up_to_date()
            return super().execute(*args, **options)
        except SystemCheckError:
            raise
        except CommandError as error:
            if not getattr(self, "_called_from_command_line", False):
                raise  # call_command(): the caller's to handle
            if options.get("debug") or options.get("traceback"):
                self.stderr.write(traceback.format_exc(), lambda text: text)
            self.stderr.write(f"❌ {error}", lambda text: text)
            sys.exit(error.returncode)

    @staticmethod
    def check_settings() -> None:
        """Raise `CommandError` for what Django's own checks would tell in many more words."""
        try:
            get_config()
        except ConfigError as error:
            raise CommandError(str(error)) from error


def speak_early(argv: list[str]) -> None:
    """Obey `--language` before the parser is built, so that the help has that language too."""
    if (language := asked_language(argv)) is not None:
        use_language(language)


def add_language(parser: CommandParser) -> None:
    """The option `--language`."""
    add_language_option(parser, _("language of what the server says"))


def port(text: str) -> int:
    """A port number as an argument; 0 means any free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(_("%(text)r is not a port; it is a number from 0 to 65535") % {"text": text})
    return int(text)


def seconds(text: str) -> float:
    """A number of seconds as an argument, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(_("%(text)r is not a number of seconds") % {"text": text})
    return value


def workers(text: str) -> int:
    """A number of processes as an argument; `auto` is the number of cores."""
    if text == "auto":
        return usable_cores()
    if not text.isdecimal() or not 0 < int(text) <= MOST_WORKERS:
        words = _("%(text)r is not a number of processes; write auto, or a number from 1 to %(most)d")
        raise argparse.ArgumentTypeError(words % {"text": text, "most": MOST_WORKERS})
    return int(text)


def period(text: str) -> timedelta:
    """A period as an argument: a number and m, h, d or w (minutes to weeks)."""
    match = re.fullmatch(r"([1-9]\d{0,5})([mhdw])", text)
    if match is None:
        raise argparse.ArgumentTypeError(_("%(text)r is not a period; write 12h, 30d or 8w") % {"text": text})
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def names(text: str) -> list[str]:
    """Names with commas between them as an argument; at least one, since an empty list may mean all."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise argparse.ArgumentTypeError(_("%(text)r names nothing; write a or a,b") % {"text": text})
    return found
