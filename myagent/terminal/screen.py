"""Where a conversation is shown: on a terminal, or line by line where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from myagent.client import ServerFrame
from myagent.terminal.blocks import Answer, Answered, Block, Called, Failed, Finished, Note, Stopped, Thought, Voided
from myagent.terminal.flow import Flow
from myagent.terminal.markdown import AnswerMarkdown
from myagent.terminal.render import render, status
from myagent.terminal.transcript import Transcript

Lines = list[list[Segment]]
_MARGIN = 3
"""Rows of the screen that the moving part leaves free."""


def console_for(stream: TextIO) -> Console:
    """A console that shows text as it is, without taking anything in it for markup."""
    return Console(file=stream, highlight=False, markup=False, emoji=False)


class Screen:
    """What every screen can do; this one shows nothing."""

    def frame(self, frame: ServerFrame) -> None:
        """A frame has come, as it is."""

    def show(self, blocks: Iterable[Block]) -> None:
        """Print for good."""

    def watch(self, transcript: Transcript, note: str = "") -> None:
        """Show what goes on, below what was printed; `note` is a line about it."""

    def rest(self) -> None:
        """Take away what moves, so that somebody can type."""

    def put(self, *things: RenderableType) -> None:
        """Print something for the person who sits here."""

    def ready(self) -> None:
        """Somebody is going to type."""

    def answer(self, text: str) -> None:
        """Print the one answer that was asked for."""


class TerminalScreen(Screen):
    """Blocks with the answer that is being written below them, and a line for each thing that goes on."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None
        self._flow = Flow()
        self._group = ""
        self._rendered: tuple[str, int, Lines] = "", 0, []

    def show(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            match block:
                case Voided() if not self._flow.void():
                    continue  # it was on the moving part only, which is drawn anew
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
        return _Rows(self._lines(text))

    def put(self, *things: RenderableType) -> None:
        self._print("own", *things)

    def ready(self) -> None:
        if self._group != "prompt":
            self.console.print()
        self._group = "prompt"

    def _print(self, group: str, *things: RenderableType) -> None:
        """Print with an empty line before what is of another kind than the last, and between parts of an answer."""
        if self._live is not None:
            self._live.update(
                "", refresh=True
            )  # or what moves would be drawn once more below, though part of it is printed now
        if self._group != "prompt" and (group != self._group or group == "answer"):
            self.console.print()
        self._group = group
        for thing in things:
            self.console.print(thing, crop=False)  # what must not be wrapped is longer than a line

    # --- what moves ---

    def watch(self, transcript: Transcript, note: str = "") -> None:
        if not self.console.is_terminal or self.console.is_dumb_terminal:
            return
        if self._live is None:
            self._live = Live(
                console=self.console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self._live.start()
        lines = self._status_lines(transcript, note)
        room = max(self.console.height - _MARGIN - len(lines), 3)
        text = transcript.step.text if transcript.step is not None else ""
        if finished := self._flow.overflow(text, lambda rest: len(self._lines(rest)) <= room):
            self._print("answer", self._markdown(finished))
        written = self._lines(self._flow.rest(text))
        if len(written) > room:
            written = [[Segment("⋮", self.console.get_style("dim"))], *written[1 - room :]]
        empty: Lines = [[]]
        moving = [*(empty + written if written else []), *(empty + lines if lines else [])]
        self._live.update(_Rows(moving, ends_line=False), refresh=True)

    def _status_lines(self, transcript: Transcript, note: str) -> Lines:
        return [line for thing in status(transcript, note) for line in self.console.render_lines(thing, pad=False)]

    def _lines(self, source: str) -> Lines:
        """Markdown as lines; the last one is kept, because most redraws only turn the spinner."""
        known, width, lines = self._rendered
        if (known, width) != (source, self.console.width):
            lines = _trimmed(self.console.render_lines(AnswerMarkdown(source), pad=False)) if source.strip() else []
            self._rendered = source, self.console.width, lines
        return lines

    def rest(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


class PlainScreen(TerminalScreen):
    """For a file: answers as the agent wrote them."""

    def _markdown(self, text: str) -> RenderableType:
        return Text(text)


class AnswerScreen(TerminalScreen):
    """Shows what goes on while there is a terminal, and leaves the answer alone; `errors` gets what went wrong."""

    def __init__(self, console: Console, errors: Console) -> None:
        super().__init__(console)
        self._errors = errors

    def show(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            match block:
                case Failed() | Stopped() | Note():
                    self.put(render(block))
                case Answer() | Voided():
                    self._flow.void()

    def put(self, *things: RenderableType) -> None:
        self.rest()  # the other console knows nothing of what moves on this one
        for thing in things:
            self._errors.print(thing)

    def answer(self, text: str) -> None:
        # As Markdown where a person reads it, for programs as it is.
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

    def put(self, *things: RenderableType) -> None:
        for thing in things:
            self._errors.print(thing)


def _trimmed(lines: Lines) -> Lines:
    """Without the empty lines at both ends: how much there is between two things is decided where they are printed."""
    inked = [number for number, line in enumerate(lines) if any(segment.text.strip() for segment in line)]
    return lines[inked[0] : inked[-1] + 1] if inked else []


class _Rows:
    """Lines that are rendered already."""

    def __init__(self, lines: Sequence[list[Segment]], *, ends_line: bool = True) -> None:
        self._lines = lines
        self._ends_line = ends_line

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, line in enumerate(self._lines):
            if number:
                yield Segment.line()
            yield from line
        if self._ends_line:
            yield Segment.line()


def _group(block: Block) -> str:
    match block:
        case Called() | Thought() | Answered():
            return "work"
        case Finished() | Stopped() | Failed():
            return "end"
    return type(block).__name__
