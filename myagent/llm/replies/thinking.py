"""Tells reasoning from text where a model writes both into its content, between marks such as `<think>…</think>`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Any

from myagent.llm import ReasoningChunk, TextChunk, TextWasReasoning
from myagent.llm.replies.text_calls import CLOSER, OPENER, parse_text_call

Shown = TextChunk | ReasoningChunk | TextWasReasoning

_MARKS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<thoughts>": "</thoughts>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",
    "[think]": "[/think]",
    "◁think▷": "◁/think▷",
}
_OPENERS = tuple(_MARKS)
_CLOSERS = tuple(mark for mark in _MARKS.values() if mark.startswith("<"))
_LONGEST_MARK = max(map(len, (*_MARKS, *_MARKS.values(), OPENER, CLOSER)))
_OPENER = re.compile("|".join(map(re.escape, _OPENERS)), re.IGNORECASE)
_CLOSER = re.compile("|".join(map(re.escape, _CLOSERS)), re.IGNORECASE)
_CLOSER_OF = {opener: re.compile(re.escape(closer), re.IGNORECASE) for opener, closer in _MARKS.items()}
_QUOTES = ("`", '"', "'", "“", "«", "「")
"""What stands before a mark that the text is about."""


class _State(Enum):
    START = auto()
    """Nothing but white space and whole blocks of reasoning so far."""
    THINKING = auto()
    TEXT = auto()
    STRAY = auto()
    """Behind a closing mark without an opening one; it counts if something follows it."""
    CALL = auto()


class ContentSplitter:
    """Takes the content in pieces of any size; text that may be a part of a mark is held back until more has come.

    Blocks of reasoning stand at the beginning. A first closing mark without an opening one says that all before it was
    reasoning, too: the template of such a model has the opening one in the prompt. With `runs_calls`, tool calls in the
    text are taken out of it and are in `calls`.
    """

    def __init__(self, *, runs_calls: bool = False) -> None:
        self.calls: list[dict[str, Any]] = []
        self.passes = False
        """Whether a piece without `<` is nothing but text."""
        self.has_reasoned = False
        """Whether the reasoning comes in a field of its own."""
        self._runs_calls = runs_calls
        self._state = _State.START
        self._held = ""
        self._after = ""
        self._opener = ""
        self._has_thought = False
        self._trims = False  # white space behind a block is no part of the text
        self._may_stray = True

    def feed(self, text: str, after: str = "") -> Iterator[Shown]:
        """What is to be shown of the next piece; `after` is the end of the text that was shown so far."""
        self._held += text
        self._after = after
        before = None
        while before != (before := (self._state, self._held)):
            match self._state:
                case _State.START:
                    self._at_start()
                case _State.THINKING:
                    yield from self._in_block()
                case _State.TEXT:
                    yield from self._in_text()
                case _State.STRAY:
                    yield from self._behind_stray()
                case _State.CALL:
                    yield from self._in_call()
        self.passes = self._state is _State.TEXT and not self._held

    def close(self, *, has_calls: bool) -> Iterator[Shown]:
        """What is still to be shown at the end of the content; `has_calls` says whether tool calls came beside it."""
        held, self._held = self._held, ""
        match self._state:
            case _State.CALL if call := parse_text_call(held):
                self.calls.append(call)
            case _State.CALL:
                yield TextChunk(OPENER + held)
            case _State.STRAY if has_calls:
                yield TextWasReasoning("")
            case _State.THINKING if held:
                yield ReasoningChunk(held)
            case _State.START | _State.TEXT if held and not (self._trims and not held.strip()):
                yield TextChunk(held)

    def _at_start(self) -> None:
        text = self._held.lstrip()
        if opened := _OPENER.match(text):
            self._state, self._opener = _State.THINKING, opened[0].lower()
            self._held = text[opened.end() :].lstrip()
            self._trims, self._may_stray = True, False
        elif closed := _CLOSER.match(text):
            self._held, self._trims, self._may_stray = text[closed.end() :], True, False
        elif text and not _may_become(text, (*_OPENERS, *_CLOSERS)):
            self._state = _State.TEXT
            self._held = text if self._trims else self._held

    def _in_block(self) -> Iterator[Shown]:
        if closed := _CLOSER_OF[self._opener].search(self._held):
            said, self._held = self._held[: closed.start()], self._held[closed.end() :]
            self._state = _State.START
        else:
            said, self._held = _split_tail(self._held, (_MARKS[self._opener],))
        if said.strip() or (said and self._has_thought):
            self._has_thought = True
            yield ReasoningChunk(said)

    def _in_text(self) -> Iterator[Shown]:
        text = self._held
        if self._runs_calls and (at := text.find(OPENER)) >= 0:
            self._state, self._held = _State.CALL, text[at + len(OPENER) :]
            if text[:at]:
                yield TextChunk(text[:at])
            return
        if self._may_stray and not self.has_reasoned and (closed := _CLOSER.search(text)):
            self._may_stray = False
            if not (
                _OPENER.search(text, 0, closed.start()) or (self._after + text[: closed.start()]).endswith(_QUOTES)
            ):
                self._state, self._held = _State.STRAY, text[closed.end() :]
                if text[: closed.start()]:
                    yield TextChunk(text[: closed.start()])
                return
        self._may_stray = self._may_stray and not _OPENER.search(text)
        marks = (*((*_CLOSERS, *_OPENERS) if self._may_stray else ()), *((OPENER,) if self._runs_calls else ()))
        said, self._held = _split_tail(text, marks)
        if said:
            yield TextChunk(said)

    def _behind_stray(self) -> Iterator[Shown]:
        self._held = self._held.lstrip()
        if self._held:
            self._state, self._trims = _State.TEXT, True
            yield TextWasReasoning("")

    def _in_call(self) -> Iterator[Shown]:
        inside, closer, rest = self._held.partition(CLOSER)
        if not closer:
            return
        self._state, self._held = _State.START, rest
        if call := parse_text_call(inside):
            self.calls.append(call)
            self._trims = True
        else:
            self._state = _State.TEXT
            yield TextChunk(OPENER + inside + CLOSER)


def _may_become(text: str, marks: tuple[str, ...]) -> bool:
    """Whether more text could make `text` one of `marks`."""
    text = text.lower()
    return any(mark.startswith(text) for mark in marks)


def _split_tail(text: str, marks: tuple[str, ...]) -> tuple[str, str]:
    """`text` without the end that may be the beginning of one of `marks`, and that end."""
    for at in range(max(0, len(text) - _LONGEST_MARK), len(text)):
        if text[at] in "<[◁" and _may_become(text[at:], marks):
            return text[:at], text[at:]
    return text, ""
