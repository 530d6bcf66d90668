"""The words of argparse in the server's language, and streams that can print whatever a sentence holds."""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from myagent.i18n import gettext, ngettext, ngettext_noop
from myagent.i18n import gettext_noop as _


def set_up_console() -> None:
    """To be called by a program of ours before it does anything else.

    argparse looks its words up in whatever catalogue the environment names, which never has them in Chinese; here it
    looks into ours. A console that cannot show a character is given a question mark instead of a traceback, and a
    stream that was closed by whoever started the program reads and writes nothing.
    """
    _open_closed_streams()
    argparse._ = gettext  # type: ignore[attr-defined]
    argparse.ngettext = ngettext  # type: ignore[attr-defined]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def _open_closed_streams() -> None:
    # Python has None for them, and the system gives their numbers to whatever is opened next, such as a socket.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - to the end


class HelpFormatter(argparse.HelpFormatter):
    """Breaks lines by the columns that characters take; argparse counts a Chinese one, which takes two, as one."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        words = Text(" ".join(text.split()))
        return [line.plain.rstrip() for line in words.wrap(Console(width=width), width)]

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in self._split_lines(text, width - len(indent)))


ARGPARSE_WORDS = (
    _("usage: "),
    _("positional arguments"),
    _("options"),
    _("subcommands"),
    _("%(heading)s:"),
    _(" (default: %(default)s)"),
    _("show this help message and exit"),
    _("show program's version number and exit"),
    _("%(prog)s: error: %(message)s\n"),
    _("%(prog)s: warning: %(message)s\n"),
    _("argument %(argument_name)s: %(message)s"),
    _("argument '%(argument_name)s' is deprecated"),
    _("option '%(option)s' is deprecated"),
    _("command '%(parser_name)s' is deprecated"),
    _("the following arguments are required: %s"),
    _("one of the arguments %s is required"),
    _("unrecognized arguments: %s"),
    _("not allowed with argument %s"),
    _("ignored explicit argument %r"),
    _("expected one argument"),
    _("expected at most one argument"),
    _("expected at least one argument"),
    _("ambiguous option: %(option)s could match %(matches)s"),
    _("unexpected option string: %s"),
    _("unknown parser %(parser_name)r (choices: %(choices)s)"),
    _("invalid %(type)s value: %(value)r"),
    _("invalid choice: %(value)r (choose from %(choices)s)"),
    _("invalid choice: %(value)r, maybe you meant %(suggestion)r? (choose from %(choices)s)"),
    _("can't open '%(filename)s': %(error)s"),
)
"""What argparse of any Python that we support says to people; what it says to programmers stays as it is."""

ARGPARSE_COUNTS = (ngettext_noop("expected %s argument", "expected %s arguments"),)
