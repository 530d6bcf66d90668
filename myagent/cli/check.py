"""`myagent-ws check FILE…`: hands over to the `checkagent` command."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.management import load_command_class

from myagent.cli.server import set_up


def check(arguments: Sequence[str], *, prog: tuple[str, str]) -> None:
    """Run `checkagent` with these arguments; `prog` is how the help calls it. Exits the process on errors."""
    set_up()
    load_command_class("agents", "checkagent").run_from_argv([*prog, *arguments])
