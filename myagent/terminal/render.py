"""The look of a conversation, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

from myagent.i18n import gettext as _
from myagent.loop.limit_words import name_of_limit
from myagent.terminal.blocks import (
    Answer,
    Answered,
    Block,
    Failed,
    Finished,
    Note,
    Stopped,
    Thought,
    ToolOutcome,
    UserText,
    Voided,
)
from myagent.terminal.safe_text import one_line, plain, signature
from myagent.terminal.text_layout import AnswerMarkdown, Wrapped
from myagent.terminal.transcript import Transcript

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
PROMPT = "❯ "
_ICONS = {"success": ("✓", "green"), "declined": ("✗", "yellow"), "unknown": ("?", "yellow")}
_FAILED = ("✗", "red")
_WIDEST_GIST = 160


class OneLine:
    """A line that is built for the width of the terminal."""

    def __init__(self, build: Callable[[int], Text]) -> None:
        self._build = build

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = self._build(options.max_width)
        line.no_wrap, line.overflow, line.end = True, "ellipsis", "\n"
        yield line


def render(block: Block) -> RenderableType:
    """What is printed for a block."""
    match block:
        case UserText(text):
            return Wrapped(Text.assemble((PROMPT, "bold cyan"), (plain(text), "bold")))
        case Answer(text):
            return AnswerMarkdown(text)
        case Voided():
            return Text(_("(The text above is void: it was interrupted, and is written again.)"), style="dim")
        case Thought(seconds, gist):
            words = _("Thought for %(time)s:") % {"time": duration(seconds)}
            return OneLine(lambda width: Text(f"✻ {words} {_head(gist)}", style="dim"))
        case ToolOutcome():
            return Group(OneLine(lambda width: _called(block, width)), *_why(block), *_pictures(block))
        case Answered(confirmed, reason):
            words = _("allowed elsewhere") if confirmed else _("declined elsewhere")
            return Text(f"  ↳ {words}{': ' if reason else ''}{one_line(reason)}", style="dim")
        case Finished():
            return OneLine(lambda width: Text(_finished(block), style="dim"))
        case Stopped(words):
            return Wrapped(Text(f"■ {one_line(words)}", style="yellow"))
        case Failed(words, code):
            parts = ("✗ ", "bold red"), (plain(words), "red"), (f" ({one_line(code)})", "dim red")
            return Wrapped(Text.assemble(*parts))
        case Note(words, kind):
            return Wrapped(Text(plain(words), style="yellow" if kind == "warning" else "dim"))


def status(transcript: Transcript, note: str = "") -> Iterator[RenderableType]:
    """Lines for what is in progress: the model, the tools, and `note`."""
    now = transcript.clock()
    spinner = SPINNER[int(now * 10) % len(SPINNER)]
    step = transcript.step
    if note:
        yield OneLine(lambda width: Text(f"{spinner} {note}", style="dim"))
    asking = {question.call_step_id for question in transcript.questions.values()}
    for key, call in transcript.calls.items():
        percent = "" if call.percent is None else f"{call.percent:.0f} %"
        words = " ".join(
            filter(None, [percent, one_line(call.progress), _("waits for your answer") if key in asking else ""])
        )
        time = duration(now - call.began)
        yield _running(spinner, signature(call.tool, call.args), time, words)
    if not transcript.calls and not note and transcript.is_busy and not (step and step.text):
        words = one_line(step.reasoning[-_WIDEST_GIST:]) if step else ""
        what = one_line(transcript.place) or _("Thinking…")
        yield _running(spinner, what, duration(now - step.began) if step else "", words)


def _running(spinner: str, what: str, time: str, words: str) -> OneLine:
    def build(width: int) -> Text:
        line = Text.assemble(
            (f"{spinner} ", "cyan"), _cut(what, width - 4 - len(time)), (f" {time}" if time else "", "dim")
        )
        return _with_tail(line, f" · {words}" if words else "", width)

    return OneLine(build)


def _called(block: ToolOutcome, width: int) -> Text:
    icon, colour = _ICONS.get(block.status, _FAILED)
    time = duration(block.seconds)
    name = _cut(signature(block.tool, block.args), width - 3 - len(time))
    line = Text.assemble((f"{icon} ", colour), name, (f" {time}", "dim"))
    return _with_tail(
        line, f" → {_head(block.output)}" if block.status == "success" and block.output.strip() else "", width
    )


def _why(block: ToolOutcome) -> Iterator[RenderableType]:
    """Why a call has no result, in a line of its own."""
    if block.status != "success" and (words := block.error or block.output):
        yield Padding(
            OneLine(lambda width: Text(_head(words), style=_ICONS.get(block.status, _FAILED)[1])), (0, 0, 0, 2)
        )


def _pictures(block: ToolOutcome) -> Iterator[RenderableType]:
    """A line for each picture of a result, which a terminal cannot show."""
    for words in block.pictures:
        yield Padding(_dim_line(words), (0, 0, 0, 2))


def _dim_line(words: str) -> RenderableType:
    return OneLine(lambda width: Text(_head(words), style="dim"))


def _with_tail(line: Text, tail: str, width: int) -> Text:
    """The line with `tail` as far as there is room for it, and without when there is hardly any."""
    room = width - line.cell_len
    if tail and room >= 12:
        end = Text(tail, style="dim")
        end.truncate(room, overflow="ellipsis")
        line.append_text(end)
    return line


def _cut(text: str, width: int) -> Text:
    line = Text(text)
    line.truncate(max(width, 8), overflow="ellipsis")
    return line


def _head(text: str) -> str:
    """As much of a long text as may have room in a line."""
    return one_line(text[: 4 * _WIDEST_GIST])[:_WIDEST_GIST]


def _finished(block: Finished) -> str:
    facts = [_("steps: %(steps)d") % {"steps": block.steps}, duration(block.seconds)]
    if block.input_tokens or block.output_tokens:  # not every endpoint tells
        used = {"input": block.input_tokens, "output": block.output_tokens}
        facts.append(_("tokens: %(input)d + %(output)d") % used)
    if block.cost is not None:
        facts.append(one_line(block.cost))
    if block.finish == "max_steps":
        facts.append(_("the limit of steps was reached"))
    elif block.limit or block.finish == "limit":
        facts.append(_("a limit was reached (%(what)s)") % {"what": name_of_limit(block.limit)})
    if block.finish == "refused":
        facts.append(_("refused by a rule of the agent"))
    if block.finish == "length":
        facts.append(_("the answer was cut off at the model's length limit"))
    return " · ".join(facts)


def duration(seconds: float) -> str:
    """A duration for people."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
