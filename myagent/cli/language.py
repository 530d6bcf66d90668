"""The language of a command, known before its parser is built, so that the help has it too."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from myagent.cli.console import set_up_console
from myagent.i18n import DEFAULT_LANGUAGE, LANGUAGES, find_language, use_language
from myagent.llm.http.endpoint import setting


def add_language_option(parser: argparse.ArgumentParser, words: str | None = None) -> None:
    """The option `--language`, with these words in the help; its value is one of `LANGUAGES`."""
    parser.add_argument("--language", type=lambda name: find_language(name) or name, choices=LANGUAGES, help=words)


def asked_language(arguments: Sequence[str]) -> str | None:
    """What `--language` says among the arguments, or None; the parser refuses a language that does not exist."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    add_language_option(parser)
    try:
        language: str | None = parser.parse_known_args(arguments)[0].language
    except argparse.ArgumentError:
        return None
    return language


def speak(arguments: Sequence[str]) -> str:
    """Use the language of `--language`, else of `MYAGENT_LANGUAGE`, else Chinese, and return it.

    For commands that need no Django. Exits when the environment names a language that does not exist.
    """
    set_up_console()
    try:
        return use_language(asked_language(arguments) or setting("MYAGENT_LANGUAGE") or DEFAULT_LANGUAGE)
    except ValueError as error:
        sys.exit(f"❌ MYAGENT_LANGUAGE: {error}")
