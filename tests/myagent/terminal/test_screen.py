"""What is on a screen after all that is drawn and taken away again; read back from a terminal's memory."""

from __future__ import annotations

import io
import itertools

import pyte
import pytest
from rich.console import Console
from rich.text import Text

from myagent import i18n
from myagent.client import ServerFrame
from myagent.terminal.blocks import Answer, Failed, Finished, Note, ToolOutcome, UserText, Voided
from myagent.terminal.in_progress import RunningCall, Step
from myagent.terminal.live_region import rows_taken
from myagent.terminal.screen import AnswerScreen, FrameScreen, PlainScreen, TerminalScreen
from myagent.terminal.transcript import Transcript

FINISHED = Finished(steps=1, seconds=1, input_tokens=1, output_tokens=1, finish="answer")


@pytest.fixture(autouse=True)
def english():
    i18n.use_language("en")
    yield
    i18n.use_language(i18n.DEFAULT_LANGUAGE)


class Glass(io.StringIO):
    """A terminal to write to."""

    def __init__(self, columns: int = 40, rows: int = 10) -> None:
        super().__init__()
        self._screen = pyte.HistoryScreen(columns, rows, history=1_000, ratio=0.5)
        self._stream = pyte.Stream(self._screen)
        self.console = Console(
            file=self, force_terminal=True, width=columns, height=rows, highlight=False, markup=False, emoji=False
        )

    def write(self, text: str) -> int:
        self._stream.feed(text.replace("\n", "\r\n"))
        return len(text)

    def narrow(self, columns: int, lines: list[str]) -> None:
        """Become narrower, as a terminal that then shows these lines, with the cursor at their end."""
        self.console.width = columns
        self._screen.reset()
        self._screen.resize(columns=columns)
        self._stream.feed("\r\n".join(lines))

    @property
    def lines(self) -> list[str]:
        """Everything that is there, also above the screen; without empty lines at the end."""
        above = ["".join(line[x].data for x in range(self._screen.columns)) for line in self._screen.history.top]
        return "\n".join(line.rstrip() for line in [*above, *self._screen.display]).rstrip().split("\n")


def writing(text: str) -> Transcript:
    transcript = Transcript(clock=itertools.repeat(10.0).__next__)
    transcript.expect("r")
    transcript.step = Step(1, 10.0, "", text=text)
    return transcript


def test_pieces_have_room_between_them():
    glass = Glass(rows=30)
    screen = TerminalScreen(glass.console)
    call = ToolOutcome(tool="f", status="success", seconds=0, output="")
    screen.ready()
    screen.show([UserText("hello"), call, call, Answer("one\n\ntwo"), FINISHED])
    screen.ready()
    screen.ready()
    screen.put(Text("own"), Text("words"))
    assert glass.lines == [
        "", "❯ hello", "", "✓ f() 0.0 s", "✓ f() 0.0 s", "", "one", "", "two", "",
        "steps: 1 · 1.0 s · tokens: 1 + 1", "", "own", "words",
    ]  # fmt: skip


def test_an_answer_grows_in_place_and_is_there_once():
    glass = Glass()
    screen = TerminalScreen(glass.console)
    for text in ("Hello", "Hello **th", "Hello **there**", "Hello **there**, you"):
        screen.watch(writing(text))
        assert glass.lines[-1].startswith("Hello")
    assert glass.lines == ["", "Hello there, you"]
    screen.show([Answer("Hello **there**, you"), FINISHED])
    screen.rest()
    assert glass.lines == ["", "Hello there, you", "", "steps: 1 · 1.0 s · tokens: 1 + 1"]


def test_what_moves_leaves_nothing_behind():
    glass = Glass()
    screen = TerminalScreen(glass.console)
    screen.watch(Transcript(), "Waiting for the server…")
    assert glass.lines[-1].endswith("Waiting for the server…")
    screen.rest()
    screen.rest()
    assert glass.lines == [""]


@pytest.mark.parametrize(
    ("widths", "columns", "rows"), [([], 10, 0), ([0, 10, 11, 30], 10, 7), ([0, 10, 11, 30], 40, 4)]
)
def test_rows_that_lines_take(widths, columns, rows):
    assert rows_taken(widths, columns) == rows


def test_a_window_that_is_made_narrower():
    """The terminal breaks the lines that are there in two; all of them are taken away."""
    glass = Glass(columns=40)
    screen = TerminalScreen(glass.console)
    screen.show([UserText("hello")])
    screen.watch(writing("thirty columns of text are here"))
    glass.narrow(20, [*glass.lines[:-1], "thirty columns of te", "xt are here"])
    screen.watch(writing("thirty columns of text are here"))
    screen.rest()
    assert glass.lines == ["", "❯ hello"]


def test_more_goes_on_than_there_is_room_for():
    glass = Glass(rows=10)
    screen = TerminalScreen(glass.console)
    screen.show([UserText("hello")])
    transcript = writing(LONG)
    transcript.calls = {str(number): RunningCall(f"f{number}", {}, 9.0) for number in range(20)}
    screen.watch(transcript)
    assert glass.lines[-1] == "… and 16 more"
    screen.rest()
    assert glass.lines[:2] == ["", "❯ hello"]
    assert "f0()" not in "".join(glass.lines)


def test_a_reset_on_the_moving_part_is_not_worth_a_word():
    glass = Glass()
    screen = TerminalScreen(glass.console)
    screen.watch(writing("one two"))
    screen.show([Voided()])
    screen.watch(writing("eins"))
    screen.show([Answer("eins zwei")])
    screen.rest()
    assert glass.lines == ["", "eins zwei"]


LONG = "\n\n".join(f"paragraph {number}" for number in range(12))


@pytest.mark.parametrize("rows", [5, 10])
def test_a_text_that_is_longer_than_the_screen(rows):
    glass = Glass(rows=rows)
    screen = TerminalScreen(glass.console)
    for end in range(1, len(LONG) + 1):
        screen.watch(writing(LONG[:end]))
    assert glass.lines[-1] == "paragraph 11"
    screen.show([Answer(LONG)])
    screen.rest()
    assert [line for line in glass.lines if line] == LONG.split("\n\n")


def test_a_reset_of_what_has_left_the_moving_part_is_told():
    glass = Glass()
    screen = TerminalScreen(glass.console)
    screen.watch(writing(LONG))
    screen.show([Voided()])
    screen.watch(writing("anew"))
    screen.show([Answer("anew")])
    screen.rest()
    *_, note, last = [line for line in glass.lines if line]
    assert note.endswith("is written again.)")
    assert last == "anew"


def test_an_end_that_is_another_than_what_was_printed():
    glass = Glass()
    screen = TerminalScreen(glass.console)
    screen.watch(writing(LONG))
    screen.show([Answer("something else")])
    screen.rest()
    assert "void" in " ".join(glass.lines)
    assert glass.lines[-1] == "something else"


def test_one_block_that_is_longer_than_the_screen_shows_its_end():
    glass = Glass()
    screen = TerminalScreen(glass.console)
    code = "\n".join(f"line {number}" for number in range(30))
    screen.watch(writing(f"```\n{code}"))
    shown = [line.strip() for line in glass.lines if line]
    assert shown[0] == "⋮"
    assert shown[-1] == "line 29"
    screen.show([Answer(f"```\n{code}\n```")])
    screen.rest()
    assert [line.strip() for line in glass.lines if line] == code.splitlines()


def test_without_a_terminal_nothing_moves_and_answers_are_as_they_were_written():
    file = io.StringIO()
    screen = PlainScreen(Console(file=file, width=80))
    screen.watch(writing("one"))
    screen.show([Answer("# one\n\n**two**")])
    screen.rest()
    assert file.getvalue() == "\n# one\n\n**two**\n"


def test_one_answer_alone():
    glass, errors = Glass(), Glass()
    screen = AnswerScreen(glass.console, errors.console)
    screen.watch(writing(LONG))
    screen.show(
        [UserText("x"), Note("By the way."), Answer("aside", is_final=False), Failed("It broke.", "x"), FINISHED]
    )
    screen.watch(writing("now"))
    screen.answer("# now\n\n**this**")
    assert [line for line in glass.lines if line] == ["now", "this"]
    assert errors.lines == ["By the way.", "✗ It broke. (x)"]


def test_one_answer_for_a_program():
    file = io.StringIO()
    AnswerScreen(Console(file=file), Console(file=io.StringIO())).answer("# now\n\n**this**\n\n")
    assert file.getvalue() == "# now\n\n**this**\n"


def test_frames_as_they_are():
    file, errors = io.StringIO(), io.StringIO()
    screen = FrameScreen(file, Console(file=errors))
    raw = '{"event":"agent.thinking","later":1}'
    screen.frame(ServerFrame.parse(raw))
    screen.show([Answer("x"), Note("By the way.")])
    screen.put(Text("own words"))
    screen.watch(writing("x"))
    screen.rest()
    assert file.getvalue() == f"{raw}\n"
    assert errors.getvalue() == "By the way.\nown words\n"
