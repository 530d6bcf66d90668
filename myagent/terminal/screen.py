"""Where a conversation is shown: on a terminal, or line by line where there is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.text import Text

from myagent.client import ServerFrame
from myagent.i18n import gettext as _
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
    Voided,
)
from myagent.terminal.live_region import Lines, Region, Rows
from myagent.terminal.render import render, status
from myagent.terminal.streaming_markdown import Flow, ending
from myagent.terminal.text_layout import THEME, AnswerMarkdown
from myagent.terminal.transcript import Transcript

_MARGIN = 3
"""Rows of the screen that the moving part leaves free."""
_LONG = 4
"""Times the room for it that a text has lines of which only the end is drawn while it grows."""


def console_for(stream: TextIO) -> Console:
    """A console that shows text as it is, without taking anything in it for markup."""
    return Console(file=stream, theme=THEME, highlight=False, markup=False, emoji=False)


class Screen:
    """What every screen can do; this one shows nothing."""

    def frame(self, frame: ServerFrame) -> None:
        """A frame has come, as it is."""

    def show(self, blocks: Iterable[Block]) -> None:
        """Print blocks, which stay."""

    def watch(self, transcript: Transcript, note: str = "") -> None:
        """Show what is in progress, below what was printed; `note` is a line about it."""

    def rest(self) -> None:
        """Remove what is in progress from the screen, so that the user can type."""

    def put(self, *things: RenderableType, about: str = "own") -> None:
        """Print something for the user of this terminal; an empty line separates what is `about` something else."""

    def ready(self) -> None:
        """Prepare for a prompt."""

    def answer(self, text: str) -> None:
        """Print the one answer that was asked for."""


class TerminalScreen(Screen):
    """Blocks, below them the answer that is being written, and a line for each call in progress."""

    _prints_early = True
    """Whether what has no room on the screen is printed before the text is finished."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._region = Region(console)
        self._flow = Flow()
        self._group = ""
        self._rendered: tuple[str, int, Lines] = "", 0, []

    def show(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            match block:
                case Voided() if not self._flow.void():
                    continue  # it was on the moving part only, which is redrawn
                case Answer(text) if self._flow.is_void_for(text):
                    self._print("note", render(Voided()))
                    self._answer(text)
                case Answer(text):
                    self._answer(text)
                case _:
                    self._print(_group(block), render(block))

    def _answer(self, text: str) -> None:
        if (rest := self._flow.finish(text)).strip():
            self._print("answer", self._markdown(rest))

    def _markdown(self, text: str) -> RenderableType:
        return Rows(self._lines(text))

    def put(self, *things: RenderableType, about: str = "own") -> None:
        self._print(about, *things)

    def ready(self) -> None:
        if self._group != "prompt":
            self.console.print()
        self._group = "prompt"

    def _print(self, group: str, *things: RenderableType) -> None:
        """Print with an empty line before what is of another kind than the last, and between parts of an answer."""
        self._region.erase()
        if self._group != "prompt" and (group != self._group or group == "answer"):
            self.console.print()
        self._group = group
        for thing in things:
            self.console.print(thing, crop=False)  # what must not be wrapped is longer than a line

    # --- what moves ---

    def watch(self, transcript: Transcript, note: str = "") -> None:
        if not self.console.is_terminal or self.console.is_dumb_terminal:
            return
        lines = self._status_lines(transcript, note)
        room = max(self.console.height - _MARGIN - len(lines), 3)
        text = transcript.step.text if transcript.step is not None else ""
        if self._prints_early and (finished := self._flow.overflow(text, lambda rest: self._fits(rest, room))):
            self._print("answer", self._markdown(finished))
        written = self._lines(ending(self._flow.rest(text), _LONG * room))
        if len(written) > room:
            written = [[Segment("⋮", self.console.get_style("dim"))], *written[1 - room :]]
        empty: Lines = [[]]
        moving = [*(empty + written if written else []), *(empty + lines if lines else [])]
        self._region.draw(moving)

    def _fits(self, source: str, room: int) -> bool:
        # What has so many lines is not rendered to be counted: it would take longer with every piece of the answer.
        return source.count("\n") <= _LONG * room and len(self._lines(source)) <= room

    def _status_lines(self, transcript: Transcript, note: str) -> Lines:
        lines = [line for thing in status(transcript, note) for line in self.console.render_lines(thing, pad=False)]
        most = max(self.console.height // 2, 2)
        if len(lines) <= most:
            return lines
        words = _("… and %(count)d more") % {"count": len(lines) - most + 1}
        return [*lines[: most - 1], [Segment(words, self.console.get_style("dim"))]]

    def _lines(self, source: str) -> Lines:
        """Markdown as lines; the last one is kept, because most redraws only turn the spinner."""
        known, width, lines = self._rendered
        if (known, width) != (source, self.console.width):
            lines = _trimmed(self.console.render_lines(AnswerMarkdown(source), pad=False)) if source.strip() else []
            self._rendered = source, self.console.width, lines
        return lines

    def rest(self) -> None:
        self._region.rest()


class PlainScreen(TerminalScreen):
    """For a file: answers as the agent wrote them."""

    def _markdown(self, text: str) -> RenderableType:
        return Text(text)


class AnswerScreen(TerminalScreen):
    """Shows what is in progress if there is a terminal, and prints the answer alone; problems go to `errors`."""

    _prints_early = False

    def __init__(self, console: Console, errors: Console) -> None:
        super().__init__(console)
        self._errors = errors

    def show(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            match block:
                case Failed() | Stopped() | Note():
                    self.put(render(block))

    def put(self, *things: RenderableType, about: str = "own") -> None:
        self.rest()  # the other console knows nothing of what moves on this one
        for thing in things:
            self._errors.print(thing)

    def answer(self, text: str) -> None:
        # Laid out on a terminal, for programs as it is.
        self.rest()
        if self.console.is_terminal:
            self.console.print(AnswerMarkdown(text))
        else:
            self.console.file.write(f"{text.rstrip()}\n")
            self.console.file.flush()


class FrameScreen(Screen):
    """The frames of the server, one a line; what the client itself has to say goes to `errors`."""

    def __init__(self, stream: TextIO, errors: Console) -> None:
        self._stream = stream
        self._errors = errors

    def frame(self, frame: ServerFrame) -> None:
        self._stream.write(f"{frame.raw}\n")
        self._stream.flush()

    def show(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            if isinstance(block, Note):
                self._errors.print(render(block))

    def put(self, *things: RenderableType, about: str = "own") -> None:
        for thing in things:
            self._errors.print(thing)


def _trimmed(lines: Lines) -> Lines:
    """Without the empty lines at both ends: how much there is between two things is decided where they are printed."""
    inked = [number for number, line in enumerate(lines) if any(segment.text.strip() for segment in line)]
    return lines[inked[0] : inked[-1] + 1] if inked else []


def _group(block: Block) -> str:
    match block:
        case ToolOutcome() | Thought() | Answered():
            return "work"
        case Finished() | Stopped() | Failed():
            return "end"
    return type(block).__name__
