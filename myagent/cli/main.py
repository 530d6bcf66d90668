"""The command `myagent-ws`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from myagent import __version__
from myagent.cli.server import serve, set_up
from myagent.i18n import gettext as _

PROG = "myagent-ws"
COMMANDS = ("server",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; returns the exit code."""
    first, *rest = [*(sys.argv[1:] if arguments is None else arguments), ""]
    if first in COMMANDS:
        serve(rest[:-1], prog=(PROG, first))
        return 0
    if first == "--version":
        sys.stdout.write(f"{PROG} {__version__}\n")
        return 0
    set_up()  # for the language
    if first in ("-h", "--help", "help"):
        sys.stdout.write(usage())
        return 0
    if first:
        known = ", ".join(COMMANDS)
        words = _("Unknown command %(command)r. Known commands: %(known)s") % {"command": first, "known": known}
        sys.stderr.write(f"❌ {words}\n")
    sys.stderr.write(usage())
    return 2


def usage() -> str:
    """The help of the command as a whole."""
    server = _("serve agent files over WebSocket")
    return "\n".join(
        [
            _("usage: %(prog)s COMMAND [options]") % {"prog": PROG},
            "",
            _("Serve LLM agents that are written as plain Python files."),
            "",
            f"  server FILE…   {server}",
            "",
            _("The options of a command: %(prog)s COMMAND --help") % {"prog": PROG},
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
