"""What is typed at the prompt: a message, or a command that begins with a slash."""

from __future__ import annotations

from dataclasses import dataclass

from myagent.i18n import gettext as _


@dataclass(frozen=True, slots=True)
class Message:
    """Text for the agent."""

    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """One of `commands()`, by its name, and what follows it."""

    name: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something that looks like a command and is none."""

    words: str


def commands() -> dict[str, tuple[str, str]]:
    """The commands: what follows each, and what it does."""
    return {
        "sessions": (_("[WORDS]"), _("list your sessions, or those with these words, and resume one by its number")),
        "resume": (_("NUMBER or ID"), _("go on with another session")),
        "new": (_("[AGENT]"), _("begin a new session")),
        "title": (_("TEXT"), _("give the session a title")),
        "agents": ("", _("list the agents")),
        "cancel": ("", _("stop what goes on in the session, as Ctrl-C does while it answers")),
        "help": ("", _("show this list")),
        "quit": ("", _("leave, as Ctrl-D does")),
    }


def read(text: str) -> Message | Command | Mistake | None:
    """What `text` asks for; None when it is blank. A message that begins with a slash is written with two."""
    stripped = text.strip()
    if not stripped:
        return None
    if stripped.startswith("//"):
        return Message(stripped[1:])
    # A path such as /etc/hosts is something to talk about.
    head, _space, rest = stripped.partition(" ")
    if not stripped.startswith("/") or "/" in head[1:] or "\n" in head:
        return Message(stripped)
    name, argument = head[1:].lower(), rest.strip()
    known = commands()
    if name in ("exit", "q"):
        name = "quit"
    if name not in known:
        words = _(
            "There is no command /%(name)s. /help lists them; a message that begins with a slash is written with two."
        )
        return Mistake(words % {"name": name})
    if argument and not known[name][0]:
        return Mistake(_("/%(name)s takes nothing behind it.") % {"name": name})
    if not argument and name in ("resume", "title"):
        return Mistake(_("Write what is meant: /%(name)s %(argument)s") % {"name": name, "argument": known[name][0]})
    return Command(name, argument)
