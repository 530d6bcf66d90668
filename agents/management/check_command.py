"""What `checkagent` and `agents check` have in common."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import orjson
from django.core.management.base import CommandError, CommandParser, OutputWrapper
from rich.console import Console

from agents.conf import Config, configure
from agents.console.check_report import NOTHING, Report, check_sources
from agents.console.check_view import show
from agents.console.model_report import check_models
from agents.console.own_output import keep_output
from agents.console.trial_question import TrialQuestion
from agents.loading.model_choice import llm_of
from agents.management.plain_command import add_language, names
from agents.setting_values import ConfigError
from myagent.exceptions import RunError
from myagent.i18n import gettext as _
from myagent.i18n import use_language


def add_check_arguments(parser: CommandParser) -> None:
    """The arguments of a check."""
    parser.add_argument("sources", nargs="*", metavar="FILE", help=_("file, folder of files, or dotted module"))
    parser.add_argument("--strict", action="store_true", help=_("fail on warnings too"))
    parser.add_argument(
        "--ignore",
        type=names,
        action="extend",
        default=[],
        metavar="CODE",
        help=_("leave these warnings out; with commas, or several times"),
    )
    parser.add_argument("--json", action="store_true", help=_("print everything as JSON, for programs"))
    parser.add_argument("--ask", metavar="QUESTION", help=_("ask each agent this and show how it answers"))
    parser.add_argument(
        "--model", action="store_true", help=_("ask the models a few questions and tell what works; needs no FILE")
    )
    parser.add_argument("--llm", choices=["openai", "demo"], help=_("model; demo works offline"))
    add_language(parser)


def check(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Do what the options say. Exits with 1 when something is wrong, after reporting it."""
    if not (options["sources"] or options["model"]):
        raise CommandError(_("Name at least one agent file, or --model to check the model."))
    config = _configured(options)
    stdout.ending = ""  # pieces of an answer are no lines
    spare = keep_output(stdout, alone=options["json"])
    report = check_sources(options["sources"], ignore=options["ignore"]) if options["sources"] else NOTHING
    own: Any = spare if options["json"] or stdout.closed else stdout
    # What is printed for people goes elsewhere when a program reads.
    output = sys.stderr if options["json"] else own
    console = Console(file=output, highlight=False, markup=False, emoji=False)
    if options["sources"] and not options["json"]:
        show(report, config, console)
    passes = report.passes(strict=options["strict"])
    answers: list[dict[str, Any]] = []
    if options["ask"] is not None:
        answers = _ask(report, options["ask"], config, console)
    models = check_models(report, config, console) if options["model"] else []
    if options["json"]:
        report_json = report.as_json(config) | ({"answers": answers} if options["ask"] is not None else {})
        report_json |= {"models": [model.as_json() for model in models]} if options["model"] else {}
        own.write(
            orjson.dumps(report_json, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE, default=str).decode()
        )
    own.flush()
    if not passes or any("error" in answer for answer in answers) or not all(model.passes for model in models):
        sys.exit(1)


def _configured(options: dict[str, Any]) -> Config:
    given = {name: options[name] for name in ("llm", "language") if options[name] is not None}
    try:
        config = configure(**given)
    except ConfigError as error:
        raise CommandError(str(error)) from error
    use_language(config.language)
    return config


def _ask(report: Report, question: str, config: Config, console: Console) -> list[dict[str, Any]]:
    answers = []
    for loaded in report.agents:
        console.print()
        asking = TrialQuestion(loaded.agent, llm_of(loaded.agent, config), console, can_ask=sys.stdin.isatty())
        try:
            answers.append(asyncio.run(asking.ask(question)))
        except RunError as error:
            console.print(f"❌ {error}", style="red", soft_wrap=True, markup=False)
            answers.append({"agent": loaded.name, "question": question, "error": str(error), "code": error.code})
        except KeyboardInterrupt:
            sys.exit(130)
    return answers
