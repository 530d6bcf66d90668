"""How the pieces look, on wide and narrow screens."""

from __future__ import annotations

import io
import itertools
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from myagent import i18n
from myagent.client import SessionInfo
from myagent.terminal.blocks import Answer, Answered, Failed, Finished, Note, Stopped, Thought, ToolOutcome, UserText
from myagent.terminal.commands import age, session_lines
from myagent.terminal.in_progress import Question, RunningCall, Step
from myagent.terminal.render import duration, render, status
from myagent.terminal.safe_text import one_line, plain, signature
from myagent.terminal.text_layout import AnswerMarkdown, Wrapped, break_offsets
from myagent.terminal.transcript import Transcript


@pytest.fixture(autouse=True)
def english():
    i18n.use_language("en")
    yield
    i18n.use_language(i18n.DEFAULT_LANGUAGE)


def shown(*things, width: int = 80) -> list[str]:
    """What is printed, line by line; no line is wider than the screen."""
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False, markup=False, emoji=False)
    for thing in things:
        console.print(thing)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert all(cell_len(line) <= width for line in lines), lines
    return lines


CALL = ToolOutcome(
    tool="get_weather", args={"city": "北京", "days": 3}, status="success", seconds=0.41, output="晴\n21 °C"
)


@pytest.mark.parametrize(
    ("block", "lines"),
    [
        (UserText("hello\nthere"), ["❯ hello", "there"]),
        (CALL, ['✓ get_weather(city="北京", days=3) 0.4 s → 晴 21 °C']),
        (ToolOutcome(tool="f", status="success", seconds=0, output=""), ["✓ f() 0.0 s"]),
        (
            ToolOutcome(tool="f", status="success", seconds=0, output="x", pictures=("[image image/png, 1 KB]",)),
            ["✓ f() 0.0 s → x", "  [image image/png, 1 KB]"],
        ),
        (
            ToolOutcome(tool="f", status="failed", seconds=75, output="x", error="out of\npaper"),
            ["✗ f() 1 min 15 s", "  out of paper"],
        ),
        (ToolOutcome(tool="f", status="declined", seconds=0, output="No."), ["✗ f() 0.0 s", "  No."]),
        (ToolOutcome(tool="f", status="unknown", seconds=0, output="Lost."), ["? f() 0.0 s", "  Lost."]),
        (ToolOutcome(tool="f", status="postponed", seconds=0, output=""), ["✗ f() 0.0 s"]),
        (Thought(1.25, "let me\nsee"), ["✻ Thought for 1.2 s: let me see"]),
        (Answered(True), ["  ↳ allowed elsewhere"]),
        (Answered(False, "no"), ["  ↳ declined elsewhere: no"]),
        (Stopped("Cancelled."), ["■ Cancelled."]),
        (Failed("It broke.", "llm_auth"), ["✗ It broke. (llm_auth)"]),
        (Note("By the way."), ["By the way."]),
        (Finished(steps=1, seconds=1, input_tokens=0, output_tokens=0, finish="answer"), ["steps: 1 · 1.0 s"]),
        (
            Finished(steps=1, seconds=1, input_tokens=0, output_tokens=0, finish="length"),
            ["steps: 1 · 1.0 s · the answer was cut off at the model's length limit"],
        ),
        (
            Finished(steps=2, seconds=3.14, input_tokens=7, output_tokens=3, finish="max_steps"),
            ["steps: 2 · 3.1 s · tokens: 7 + 3 · the limit of steps was reached"],
        ),
        (
            Finished(steps=2, seconds=3.14, input_tokens=7, output_tokens=3, cost="0.012 USD", finish="answer"),
            ["steps: 2 · 3.1 s · tokens: 7 + 3 · 0.012 USD"],
        ),
    ],
)
def test_blocks(block, lines):
    assert shown(render(block)) == lines


def test_a_narrow_screen_cuts_lines_and_keeps_the_time():
    assert shown(render(CALL), width=40) == ['✓ get_weather(city="北京", days=3) 0.4 s']
    assert shown(render(CALL), width=24) == ["✓ get_weather(cit… 0.4 s"]
    (line,) = shown(render(Thought(2, "一二三四五六七八九十" * 3)), width=30)
    assert line.startswith("✻ Thought for 2.0 s:") and line.endswith("…")


def test_nothing_from_outside_controls_the_terminal():
    evil = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31mred\u202etxt.exe\r\x08\x00"
    blocks = [
        UserText(evil), Answer(evil), Thought(1, evil), Answered(True, evil), Stopped(evil), Failed(evil, evil),
        Note(evil), Finished(steps=1, seconds=1, input_tokens=1, output_tokens=1, cost=evil, finish="answer"),
        ToolOutcome(tool=evil, args={evil: evil}, status="failed", seconds=1, output=evil, error=evil),
    ]  # fmt: skip
    transcript = Transcript()
    transcript.calls["c"] = RunningCall(evil, {evil: evil}, 0.0, progress=evil)
    transcript.step = Step(1, 0.0, "", reasoning=evil)
    session = SessionInfo(session_id="s", agent=evil, title=evil)
    text = "\n".join(shown(*map(render, blocks), *status(transcript, ""), *session_lines([session]), width=500))
    assert not set(text) & set("\x1b\x07\x9b\u202e\r\x08\x00")
    assert plain("a\r\nb\tc\x1b") == "a\nb\tc"
    assert one_line(" a\n\n b\x00 ") == "a b"


def test_calls_as_people_write_them():
    assert (
        signature("f", {"a": 'x "y"\nz', "n": None, "l": [1, {"k": True}]})
        == 'f(a="x \\"y\\" z", n=null, l=[1, {"k": true}])'
    )
    assert signature("f", "no object") == "f()"


# --- what goes on -----------------------------------------------------------------------------------------------------


def going_on() -> Transcript:
    transcript = Transcript(clock=itertools.repeat(12.0).__next__)
    transcript.expect("r")
    return transcript


def test_thinking():
    transcript = going_on()
    assert [line[2:] for line in shown(*status(transcript))] == ["Thinking…"]
    transcript.place = "Waiting: 3 before you"
    assert [line[2:] for line in shown(*status(transcript))] == ["Waiting: 3 before you"]
    transcript.place, transcript.step = "", Step(1, 10.5, "", reasoning="first\nthis")
    assert [line[2:] for line in shown(*status(transcript))] == ["Thinking… 1.5 s · first this"]
    transcript.step.text = "Hello"
    assert shown(*status(transcript)) == []


def test_tools_that_work():
    transcript = going_on()
    transcript.calls = {"c": RunningCall("f", {"a": 1}, 10.0, "half", 50.0), "d": RunningCall("g", {}, 11.0)}
    question = {"tool": "g", "description": "", "args": {}, "words": "", "timeout_seconds": 1}
    transcript.questions = {"q": Question(step_id="q", call_step_id="d", **question)}
    lines = [line[2:] for line in shown(*status(transcript))]
    assert lines == ["f(a=1) 2.0 s · 50 % half", "g() 1.0 s · waits for your answer"]


def test_a_note_stands_for_thinking():
    assert [line[2:] for line in shown(*status(going_on(), "Stopping…"))] == ["Stopping…"]


# --- lines ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("the quick brown fox", 10, ["the quick", "brown fox"]),
        ("今天天气晴朗，很好", 12, ["今天天气晴", "朗，很好"]),
        ("今天天气很好。", 12, ["今天天气很", "好。"]),
        ("我们说（好）", 8, ["我们说", "（好）"]),
        ("我们用 Python 写很长的句子", 16, ["我们用 Python 写", "很长的句子"]),
        ("a" * 25, 10, ["a" * 10, "a" * 10, "a" * 5]),
        ("xx " + "a" * 12, 10, ["xx", "a" * 10, "aa"]),
        ("   indented", 20, ["   indented"]),
        ("", 10, [""]),
        ("，，，", 2, ["，", "，", "，"]),
    ],
)
def test_lines_are_broken_where_the_language_allows_it(text, width, lines):
    offsets = break_offsets(text, width)
    parts = [text[start:end].rstrip() for start, end in itertools.pairwise([0, *offsets, len(text)])]
    assert parts == lines
    assert shown(Wrapped(Text(text)), width=width) == lines


def test_markdown():
    table = "| 城市 | 天气 |\n|---|--:|\n| 北京很大很大很大 | 晴 |\n\n"
    source = f"# 标题\n\n一个 **重点** 和[链接](https://x.example/)\n\n{table}1. 一\n   - 二\n"
    lines = shown(AnswerMarkdown(source), width=20)
    assert lines[0] == "标题"
    text = "".join(line.strip() for line in lines)
    for words in ("一个 重点 和链接(https://x.example/)", "北京很大", "晴", "1 一", "• 二"):
        assert words.replace(" ", "") in text.replace(" ", ""), words
    assert sum(line.count("大") for line in lines) == 3, "nothing in a table is cut off"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3725, "62 min 5 s")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


# --- lists ------------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("2026-01-31T11:59:30.000Z", "now"),
        ("2026-01-31T12:00:30.000Z", "now"),
        ("2026-01-31T11:58:00.000Z", "2 min"),
        ("2026-01-31T09:00:00.000Z", "3 h"),
        ("2026-01-27T12:00:00.000Z", "4 d"),
        ("2026-01-01T12:00:00.000Z", "26-01-01"),
        ("", ""),
    ],
)
def test_ages(moment, words):
    assert age(moment, NOW) == words


def test_sessions():
    sessions = [
        SessionInfo(session_id="a", agent="x", title="One", active_at="2026-01-31T11:58:00.000Z"),
        SessionInfo(
            session_id="b", agent="x", status="closed", run_status="waiting", active_at="2026-01-31T09:00:00.000Z"
        ),
        SessionInfo(session_id="c", agent="x", title="Two", failed=True, forked_from={"session_id": "0b6d7b1c-5b5e"}),
    ]
    assert shown(*session_lines(sessions, current="a", now=NOW)) == [
        "  1    2 min  One  x",
        "  2      3 h  (no title)  x · waits for your answer · closed",
        "  3           Two  x · failed · forked from 0b6d7b1c",
    ]
