"""What people type: messages, commands, answers to confirmations, changed arguments."""

import pytest

from myagent import i18n
from myagent.terminal.choices import BadArguments, Edit, No, Yes, read_arguments, read_choice, write_arguments
from myagent.terminal.commands import Command, Message, Mistake, read


@pytest.fixture(autouse=True)
def english():
    i18n.use_language("en")
    yield
    i18n.use_language(i18n.DEFAULT_LANGUAGE)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("  hello\nthere ", Message("hello\nthere")),
        ("//help", Message("/help")),
        ("/etc/hosts is a file", Message("/etc/hosts is a file")),
        ("/two\nlines", Message("/two\nlines")),
        ("1/2", Message("1/2")),
        ("/help", Command("help")),
        (" /SESSIONS  fine weather ", Command("sessions", "fine weather")),
        ("/title a b", Command("title", "a b")),
        ("/exit", Command("quit")),
        ("/q", Command("quit")),
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
        ("/help me", "/help takes nothing behind it"),
        ("/resume", "Write what is meant: /resume NUMBER or ID"),
    ],
)
def test_slips(text, words):
    slip = read(text)
    assert isinstance(slip, Mistake)
    assert words in slip.words


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("y", Yes()),
        (" YES ", Yes()),
        ("是", Yes()),
        ("yes.", Yes()),
        ("n", No()),
        ("n not that", No("not that")),
        ("no, not that", No("not that")),
        ("拒绝： 不对", No("不对")),
        ("e", Edit()),
        ("修改", Edit()),
        ("", None),
        ("yo", None),
        ("y n", None),
        ("yes but first change it", None),
        ("e it", None),
    ],
)
def test_choices(text, choice):
    assert read_choice(text) == choice


def test_arguments_survive_editing():
    arguments = {"path": "文件", "n": [1, None, {"a": "\n\x1b"}]}
    assert read_arguments(write_arguments(arguments)) == arguments


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1', "line 1"),
        ('{\n"a": }', "line 2, column 6"),
        ("[1]", "one JSON object"),
        ("NaN", "not JSON"),
        ('{"a": NaN}', "not JSON"),
        ("", "not JSON"),
    ],
)
def test_arguments_with_mistakes(text, words):
    with pytest.raises(BadArguments, match=words):
        read_arguments(text)
