"""The command `myagent-ws`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from myagent import __version__
from myagent.cli.console import set_up_console
from myagent.cli.language import speak
from myagent.cli.new import new
from myagent.i18n import gettext as _

PROG = "myagent-ws"
COMMANDS = ("new", "check", "server", "chat")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; returns the exit code."""
    set_up_console()
    given = sys.argv[1:] if arguments is None else list(arguments)
    first, rest = (given[0], given[1:]) if given else ("", [])
    if first in COMMANDS:
        return _run(first, rest)
    if first == "--version":
        sys.stdout.write(f"{PROG} {__version__}\n")
        return 0
    speak(rest)
    if first in ("-h", "--help", "help"):
        sys.stdout.write(usage())
        return 0
    if first:
        known = ", ".join(COMMANDS)
        words = _("Unknown command %(command)r. Known commands: %(known)s") % {"command": first, "known": known}
        sys.stderr.write(f"❌ {words}\n")
        if first.endswith(".py"):
            meant = _("Did you mean: %(command)s") % {"command": f"{PROG} server {first}"}
            sys.stderr.write(f"   {meant}\n")
    sys.stderr.write(usage())
    return 2


def _run(command: str, arguments: Sequence[str]) -> int:
    if command == "new":
        return new(arguments, prog=f"{PROG} {command}")
    if command == "chat":
        # The client and what it draws with take a quarter of a second, which the other commands do not need.
        from myagent.cli.chat import main as chat

        return chat(arguments, prog=f"{PROG} {command}")
    # Django takes half a second, which the commands above do not need.
    from myagent.cli.check import check
    from myagent.cli.server import serve

    hand_over = check if command == "check" else serve
    hand_over(arguments, prog=(PROG, command))
    return 0


def usage() -> str:
    """The help of the whole command."""
    commands = {
        "new FILE": _("write an agent file to begin with"),
        "check FILE…": _("say what is in agent files and what looks wrong, without serving them"),
        "server FILE…": _("serve agent files over WebSocket"),
        "chat [URL]": _("talk to an agent of a running server"),
    }
    return "\n".join(
        [
            _("usage: %(prog)s COMMAND [options]") % {"prog": PROG},
            "",
            _("Serve LLM agents that are written as plain Python files."),
            "",
            *(f"  {command:<14} {words}" for command, words in commands.items()),
            "",
            _("The options of a command: %(prog)s COMMAND --help") % {"prog": PROG},
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
