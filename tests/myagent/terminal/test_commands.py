"""What is typed at the prompt: messages and commands."""

import pytest

from myagent import i18n
from myagent.terminal.commands import MessageLine, Mistake, SlashCommand, read


@pytest.fixture(autouse=True)
def english():
    i18n.use_language("en")
    yield
    i18n.use_language(i18n.DEFAULT_LANGUAGE)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("  hello\nthere ", MessageLine("hello\nthere")),
        ("//help", MessageLine("/help")),
        ("/etc/hosts is a file", MessageLine("/etc/hosts is a file")),
        ("/two\nlines", MessageLine("/two\nlines")),
        ("1/2", MessageLine("1/2")),
        ("/help", SlashCommand("help")),
        (" /SESSIONS  fine weather ", SlashCommand("sessions", "fine weather")),
        ("/title a b", SlashCommand("title", "a b")),
        ("/fork", SlashCommand("fork")),
        ("/fork 2 in other words", SlashCommand("fork", "2 in other words")),
        ("/exit", SlashCommand("quit")),
        ("/q", SlashCommand("quit")),
        ("", None),
        (" \n", None),
    ],
)
def test_lines(text, meant):
    assert read(text) == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/bogus", "no command /bogus"),
        ("/", "no command /"),
        ("/help me", "/help takes no argument"),
        ("/resume", "Write what is meant: /resume NUMBER or ID"),
    ],
)
def test_slips(text, words):
    slip = read(text)
    assert isinstance(slip, Mistake)
    assert words in slip.words
