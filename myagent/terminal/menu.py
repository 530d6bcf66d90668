"""The lists that commands show: the commands themselves, and sessions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from myagent.client import SessionInfo
from myagent.i18n import gettext as _
from myagent.terminal.commands import commands
from myagent.terminal.render import OneLine
from myagent.terminal.safe_text import one_line


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
    if session.status == "closed":
        yield _("closed")


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
