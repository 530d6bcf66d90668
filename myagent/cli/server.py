"""`python -m myagent.cli.server FILE…`: hands over to the `runagent` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import load_command_class

from myagent.cli.words import set_up_console


def set_up() -> None:
    """Make Django ready, with the settings of this server unless others are named. Exits when they cannot be used."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myagent_site.settings")
    set_up_console()
    try:
        django.setup()
    except (ImproperlyConfigured, OSError) as error:  # a data folder that cannot be made, a missing database driver
        sys.exit(f"❌ {error}")


def serve(arguments: Sequence[str], *, prog: tuple[str, str] = ("python -m", "myagent.cli.server")) -> None:
    """Run `runagent` with these arguments; `prog` is how the help calls it. Exits the process on errors."""
    set_up()
    load_command_class("agents", "runagent").run_from_argv([*prog, *arguments])


if __name__ == "__main__":
    serve(sys.argv[1:])
