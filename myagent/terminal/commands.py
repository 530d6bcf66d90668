"""What is typed at the prompt: a message, or a command that begins with a slash; and the lists that commands show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from myagent.client import SessionInfo
from myagent.i18n import gettext as _
from myagent.i18n import ngettext
from myagent.terminal.render import OneLine
from myagent.terminal.safe_text import one_line
from myagent.text import short_id


@dataclass(frozen=True, slots=True)
class MessageLine:
    """Text for the agent."""

    text: str


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """One of `commands()`, by its name, and what follows it."""

    name: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something that looks like a command and is not one."""

    words: str


def commands() -> dict[str, tuple[str, str]]:
    """The commands: what follows each, and what it does."""
    return {
        "sessions": (_("[WORDS]"), _("list your sessions, or those with these words, and resume one by its number")),
        "resume": (_("NUMBER or ID"), _("resume another session")),
        "versions": ("", _("list this session with its forks, and resume one by its number")),
        "fork": (
            _("[NUMBER [WORDS]]"),
            _("continue in a copy from before a message (1: the newest), which is said again or in these words"),
        ),
        "new": (_("[AGENT]"), _("begin a new session")),
        "title": (_("TEXT"), _("give the session a title")),
        "agents": ("", _("list the agents")),
        "cancel": ("", _("stop the active run of the session, as Ctrl-C does while it answers")),
        "help": ("", _("show this list")),
        "quit": ("", _("leave, as Ctrl-D does")),
    }


def read(text: str) -> MessageLine | SlashCommand | Mistake | None:
    """Parse a line; None when it is blank. A message that begins with a slash is written with two."""
    stripped = text.strip()
    if not stripped:
        return None
    if stripped.startswith("//"):
        return MessageLine(stripped[1:])
    # A path such as /etc/hosts is something to talk about.
    head, _space, rest = stripped.partition(" ")
    if not stripped.startswith("/") or "/" in head[1:] or "\n" in head:
        return MessageLine(stripped)
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
        return Mistake(_("/%(name)s takes no argument.") % {"name": name})
    if not argument and name in ("resume", "title"):
        return Mistake(_("Write what is meant: /%(name)s %(argument)s") % {"name": name, "argument": known[name][0]})
    return SlashCommand(name, argument)


def help_table() -> Table:
    """The commands and keys."""
    known = {f"/{name} {argument}".rstrip(): words for name, (argument, words) in commands().items()}
    known |= {
        "Enter": _("send"),
        "Alt-Enter": _("begin a new line"),
        "Ctrl-C": _("stop the answer; at the prompt, leave"),
        "Ctrl-D": _("leave"),
    }
    table = Table.grid(padding=(0, 2))
    for key, words in known.items():
        table.add_row(Text(key, style="cyan"), Text(words, style="dim"))
    return table


def session_lines(
    sessions: Iterable[SessionInfo], *, current: str | None = None, now: datetime | None = None
) -> Iterator[OneLine]:
    """A line for each session, with its number from 1; `now` is an aware time."""
    now = now or datetime.now(UTC)
    for number, session in enumerate(sessions, start=1):
        yield _session_line(number, session, is_current=session.session_id == current, now=now)


def _session_line(number: int, session: SessionInfo, *, is_current: bool, now: datetime) -> OneLine:
    def build(width: int) -> Text:
        line = Text.assemble((f"{number:>3} ", "cyan"), (f"{age(session.active_at, now):>8}  ", "dim"))
        line.append(one_line(session.title) or _("(no title)"), style="bold" if is_current else "")
        return line.append(f"  {' · '.join(_marks(session))}", style="dim")

    return OneLine(build)


def _marks(session: SessionInfo) -> Iterator[str]:
    yield one_line(session.agent)
    match session.run_status:
        case "running":
            yield _("is answering")
        case "waiting":
            yield _("waits for your answer")
        case "queued":
            yield _("waits for its turn")
        case "idle" if session.failed:
            yield _("failed")
    if session.status == "closed":
        yield _("closed")
    if session.family is not None:
        count = int(session.family.get("size", 1)) - 1
        yield ngettext("%(count)d more version", "%(count)d more versions", count) % {"count": count}
        if session.run_status == "idle" and session.family.get("run_status") == "waiting":
            yield _("another version waits for your answer")
    if session.forked_from is not None:
        yield _("forked from %(id)s") % {"id": one_line(short_id(session.forked_from["session_id"]))}


def age(moment: str, now: datetime) -> str:
    """How long ago a time of the server is, or its day when that is more than a week."""
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return ""
    minutes = max(int((now - then).total_seconds() // 60), 0)
    if minutes < 1:
        return _("now")
    if minutes < 60:
        return _("%(count)d min") % {"count": minutes}
    if minutes < 24 * 60:
        return _("%(count)d h") % {"count": minutes // 60}
    if minutes < 7 * 24 * 60:
        return _("%(count)d d") % {"count": minutes // (24 * 60)}
    return then.astimezone().strftime("%y-%m-%d")
