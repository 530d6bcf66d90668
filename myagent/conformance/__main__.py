"""The command: asks a server, prints which rules it keeps, and returns 0 if it breaks none, else 1."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import fields
from fnmatch import fnmatchcase

from websockets.exceptions import InvalidHandshake, InvalidURI, WebSocketException

from myagent.cli.language import add_language_option, speak
from myagent.conformance.asked_server import Server
from myagent.conformance.checks import CHECKS
from myagent.conformance.verdict import Broken, Check, NotChecked, Verdict
from myagent.i18n import gettext as _

MARKS = {"kept": "✓", "broken": "✗", "not checked": "–"}
DOCUMENT = "docs/protocol.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask the server that the arguments name. 2 says that it could not be asked."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    speak(given)
    options = _parser().parse_args(given)
    server = Server(**{field.name: getattr(options, field.name) for field in fields(Server)})
    wanted = options.only or ["*"]
    chosen = [check for check in CHECKS if any(fnmatchcase(check.name, pattern) for pattern in wanted)]
    if not chosen:
        words = _("No check is called %(names)s; --list shows all.") % {"names": ", ".join(wanted)}
        sys.stderr.write(f"❌ {words}\n")
        return 2
    if options.list:
        sys.stdout.writelines(f"{check.name}: {_(check.rule)} ({DOCUMENT}#{check.heading})\n" for check in chosen)
        return 0
    return asyncio.run(_asked(server, chosen, as_json=options.json))


async def _asked(server: Server, chosen: Iterable[Check], *, as_json: bool) -> int:
    try:
        async with server.open(server.token):
            pass
    except (OSError, InvalidURI, InvalidHandshake, TimeoutError) as error:
        problem = str(error) or _("it does not answer")
        words = _("%(url)s cannot be asked: %(problem)s") % {"url": server.url, "problem": problem}
        sys.stderr.write(f"❌ {words}\n")
        return 2
    verdicts = []
    async for verdict in verdicts_of(server, chosen):
        verdicts.append(verdict)
        if not as_json:
            _print(verdict)
    counts = {outcome: sum(verdict.outcome == outcome for verdict in verdicts) for outcome in MARKS}
    if as_json:
        sys.stdout.write(json.dumps([_as_json(verdict) for verdict in verdicts], ensure_ascii=False, indent=2) + "\n")
    else:
        counted = {outcome.replace(" ", "_"): count for outcome, count in counts.items()}
        sys.stdout.write(_("%(kept)d kept, %(broken)d broken, %(not_checked)d not checked") % counted + "\n")
    return 1 if counts["broken"] else 0


async def verdicts_of(server: Server, chosen: Iterable[Check] = CHECKS) -> AsyncIterator[Verdict]:
    """Each check's verdict as it is found, one after the other."""
    for check in chosen:
        try:
            await check.ask(server)
        except Broken as problem:
            yield Verdict(check, "broken", str(problem))
        except NotChecked as missing:
            yield Verdict(check, "not checked", str(missing))
        except (OSError, WebSocketException) as error:
            yield Verdict(check, "broken", f"the connection failed: {type(error).__name__}: {error}")
        else:
            yield Verdict(check, "kept")


def _print(verdict: Verdict) -> None:
    lines = [f"{MARKS[verdict.outcome]} {verdict.check.name}: {_(verdict.check.rule)}"]
    if verdict.words:
        lines.append(f"    {verdict.words}")
    if verdict.outcome == "broken":
        lines.append(f"    {DOCUMENT}#{verdict.check.heading}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _as_json(verdict: Verdict) -> dict[str, str]:
    check = verdict.check
    return {"check": check.name, "rule": check.rule, "outcome": verdict.outcome, "words": verdict.words}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m myagent.conformance",
        description=_("Find out whether a server keeps the protocol. Sessions are made for it, and stay there."),
    )
    parser.add_argument("url", help=_("the server's address, such as ws://localhost:8080/ or wss://host/ws/agent/"))
    parser.add_argument("--token", help=_("the token of the user who asks"))
    parser.add_argument("--other-token", help=_("the token of another user, for the rules of isolation"))
    parser.add_argument("--agent", help=_("the agent that is asked, instead of the address's"))
    parser.add_argument("--say", default=Server.say, help=_("a message that is answered in text (%(default)s)"))
    parser.add_argument("--slow", default=Server.slow, help=_("a message whose answer takes a while (%(default)s)"))
    parser.add_argument("--confirm", help=_("a message that makes a tool ask the user"))
    parser.add_argument(
        "--patience", type=float, default=Server.patience, help=_("seconds that an answer may take (%(default)g)")
    )
    parser.add_argument("--only", action="append", metavar="CHECK", help=_("this check alone; * stands for anything"))
    parser.add_argument("--list", action="store_true", help=_("show the checks, and ask nothing"))
    parser.add_argument("--json", action="store_true", help=_("print the verdicts as JSON, at the end"))
    add_language_option(parser, _("language of the output"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
