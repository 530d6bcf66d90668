"""`myagent-ws chat [URL]`: talks to an agent of a running server. Needs no Django, and so starts at once."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from myagent.cli.language import add_language_option, speak
from myagent.client import ClientError
from myagent.exceptions import MyAgentError
from myagent.i18n import gettext as _
from myagent.llm.http.endpoint import setting
from myagent.terminal.address import DEFAULT_URL, Address, AddressError, read_address
from myagent.terminal.app import converse, list_sessions
from myagent.terminal.chat import CTRL_C, Chat
from myagent.terminal.commands import session_lines
from myagent.terminal.error_words import cannot_connect
from myagent.terminal.input import InputSource, OneQuestion
from myagent.terminal.interactive import Interactive
from myagent.terminal.one_answer import OneAnswer
from myagent.terminal.screen import AnswerScreen, FrameScreen, PlainScreen, Screen, TerminalScreen, console_for
from myagent.terminal.transitions import OpenSession

TOKEN_VARIABLE = "MYAGENT_TOKEN"
ONCE_PATIENCE = 60.0
"""Seconds without a connection after which a question of a script is given up."""
BROKEN_PIPE = 141


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Parse the arguments and converse; returns the exit code."""
    speak(arguments)
    parser = argparse.ArgumentParser(prog=prog, description=description())
    add_arguments(parser)
    return chat(vars(parser.parse_args(arguments)))


def description() -> str:
    """What the command does."""
    return _("Talk to an agent of a running server, in this terminal.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "url", nargs="?", metavar="URL", default=DEFAULT_URL, help=_("where the server is (default: %(default)s)")
    )
    parser.add_argument("--token", help=_("the token to get in with; the variable MYAGENT_TOKEN hides it from others"))
    goal = parser.add_mutually_exclusive_group()
    goal.add_argument("--agent", metavar="NAME", help=_("the agent of new sessions (default: the server's first one)"))
    goal.add_argument("--session", metavar="ID", help=_("resume this session; the beginning of its id is enough"))
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--once", metavar="QUESTION", help=_("print the answer to one question and end; so does a pipe"))
    mode.add_argument("--list", action="store_true", help=_("list your sessions and end"))
    parser.add_argument("--json", action="store_true", help=_("print the events of the server as they are, one a line"))
    add_language_option(parser, _("language of the output"))


def chat(options: Mapping[str, Any]) -> int:
    """Do what the options of `add_arguments` say; returns the exit code."""
    errors = console_for(sys.stderr)
    try:
        address = read_address(options["url"], token=options["token"] or setting(TOKEN_VARIABLE))
    except AddressError as error:
        return _fail(errors, str(error), code=2)
    try:
        if options["list"]:
            return _list(address, options)
        return _converse(address, options, errors)
    except BrokenPipeError:
        # The reader has closed the pipe; what is left in the buffer must not fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (OSError, ClientError) as error:
        return _fail(errors, cannot_connect(error, address))
    except MyAgentError as error:
        return _fail(errors, str(error))
    except KeyboardInterrupt:  # before there was a conversation that could take it
        return CTRL_C


def _converse(address: Address, options: Mapping[str, Any], errors: Console) -> int:
    goal = OpenSession(options["session"], options["agent"])
    question = options["once"]
    if question is None and not sys.stdin.isatty():
        question = sys.stdin.read()
    if question is None:
        make_chat, patience = _interactive(address, options, errors), None
    elif question.strip():
        make_chat, patience = _one_answer(question, address, options, errors), ONCE_PATIENCE
    else:
        return _fail(errors, _("Nothing was asked."), code=2)
    return asyncio.run(converse(goal, make_chat, address=address, give_up_after=patience))


def _interactive(address: Address, options: Mapping[str, Any], errors: Console) -> Callable[[OpenSession], Chat]:
    screen: Screen
    if options["json"]:
        screen = FrameScreen(sys.stdout, errors)
    elif sys.stdout.isatty():
        screen = TerminalScreen(console_for(sys.stdout))
    else:
        screen = PlainScreen(console_for(sys.stdout))
    source = _person()
    return lambda goal: Interactive(goal, address=address, screen=screen, source=source)


def _one_answer(
    question: str, address: Address, options: Mapping[str, Any], errors: Console
) -> Callable[[OpenSession], Chat]:
    screen = FrameScreen(sys.stdout, errors) if options["json"] else AnswerScreen(console_for(sys.stdout), errors)
    is_attended = sys.stdin.isatty() and sys.stderr.isatty()
    source = OneQuestion(question, _person() if is_attended else None)
    return lambda goal: OneAnswer(goal, address=address, screen=screen, source=source)


def _person() -> InputSource:
    # Scripts have no line editor, and need not load it: that takes a tenth of a second.
    from myagent.terminal.prompt import Prompt, history_file, open_history

    return Prompt(open_history(history_file()))


def _list(address: Address, options: Mapping[str, Any]) -> int:
    sessions = asyncio.run(list_sessions(address, agent=options["agent"]))
    console = console_for(sys.stdout)
    if options["json"]:
        for session in sessions:
            sys.stdout.write(f"{json.dumps(asdict(session), ensure_ascii=False)}\n")
    elif not console.is_terminal:
        for session in sessions:
            fields = (session.session_id, session.active_at, session.status, session.run_status, session.agent)
            sys.stdout.write("\t".join([*fields, " ".join(session.title.split())]) + "\n")
    elif not sessions:
        console.print(Text(_("There are no sessions yet."), style="dim"))
    else:
        for session, line in zip(sessions, session_lines(sessions), strict=True):
            console.print(line, Text(f"     {session.session_id}", style="dim"))
    return 0


def _fail(errors: Console, words: str, *, code: int = 1) -> int:
    errors.print(Text(f"❌ {words}"), soft_wrap=True)
    return code
