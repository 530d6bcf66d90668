"""The words of argparse in Chinese, help in columns, and consoles that cannot show everything."""

from __future__ import annotations

import argparse
import io
import sys

import pytest
from babel.messages.extract import extract_python

from myagent import i18n
from myagent.cli.console import ARGPARSE_COUNTS, ARGPARSE_WORDS, HelpFormatter, set_up_console

FOR_PROGRAMMERS = {
    ".__call__() not defined",
    "conflicting subparser: %s",
    "conflicting subparser alias: %s",
    'argument "-" with mode %r',
    "cannot merge actions - two groups are named %r",
    "'required' is an invalid argument for positionals",
    "invalid option string %(option)r: must start with a character %(prefix_chars)r",
    "dest= is required for options like %r",
    "invalid conflict_resolution value: %r",
    "mutually exclusive arguments must be optional",
    "cannot have multiple subparser arguments",
    "%r is not callable",
}


@pytest.fixture
def console(monkeypatch):
    """argparse as our programs set it up; afterwards it is as it was."""
    for name in ("_", "ngettext"):
        monkeypatch.setattr(argparse, name, getattr(argparse, name))
    set_up_console()
    yield
    i18n.use_language(i18n.DEFAULT_LANGUAGE)


def test_every_word_of_this_pythons_argparse_is_known():
    with open(argparse.__file__, "rb") as file:
        found = [text for _, _, text, _ in extract_python(file, {"_": None, "ngettext": (1, 2)}, (), {}) if text]
    counts = {text[:2] for text in found if isinstance(text, tuple)}
    words = {text for text in found if isinstance(text, str)}
    assert words - FOR_PROGRAMMERS - set(ARGPARSE_WORDS) == set()
    assert counts - {("conflicting option string: %s", "conflicting option strings: %s")} == set(ARGPARSE_COUNTS)


def parser():
    made = argparse.ArgumentParser(prog="program", formatter_class=HelpFormatter)
    made.add_argument("file")
    made.add_argument("--two", nargs=2)
    made.add_argument("--kind", choices=["a", "b"])
    return made


@pytest.mark.parametrize(
    ("arguments", "chinese", "english"),
    [
        ([], "program：错误：缺少必需的参数：file", "program: error: the following arguments are required: file"),
        (["f", "-x"], "无法识别的参数：-x", "unrecognized arguments: -x"),
        (["f", "--two", "1"], "参数 --two：需要 2 个值", "argument --two: expected 2 arguments"),
        (["f", "--kind", "c"], "参数 --kind：无效的值 'c'", "argument --kind: invalid choice: 'c'"),
    ],
)
def test_mistakes_are_told_in_the_servers_language(console, capsys, arguments, chinese, english):
    for language, words, usage in (("zh-hans", chinese, "用法：program"), ("en", english, "usage: program")):
        i18n.use_language(language)
        with pytest.raises(SystemExit):
            parser().parse_args(arguments)
        told = capsys.readouterr().err
        assert words in told and told.startswith(usage)


def test_the_help_is_in_chinese(console):
    i18n.use_language("zh-hans")
    told = parser().format_help()
    for words in ("用法：", "位置参数", "选项", "显示本帮助并退出"):
        assert words in told


def test_chinese_help_keeps_to_the_width(console, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    made = argparse.ArgumentParser(prog="program", formatter_class=HelpFormatter, description="说明" * 40)
    made.add_argument("--option", help="允许来自该来源的网页连接，例如 https://app.example；可以写多次")
    lines = made.format_help().splitlines()
    assert max(sum(1 + (character > "\u2e80") for character in line) for line in lines) <= 50
    assert "https://app.example" in made.format_help()
    assert "".join(lines).count("说明") == 40


def test_a_console_that_cannot_show_a_character_gets_another(console, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    set_up_console()
    stream.write("🚀 é 中")
    stream.flush()
    assert stream.buffer.getvalue().decode("latin-1") == "? é ?"
