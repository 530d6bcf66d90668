"""`python -m bench.reading`: how long the admin takes to find and to show conversations, of which there are many.

The pages are asked for in this process, without a network, so that what is measured is the database and Django.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

REPORT_WIDTH = 110


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.reading", description=__doc__)
    parser.add_argument(
        "--sessions", type=int, default=10_000, metavar="N", help="conversations to store (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="times that each page is asked for")
    parser.add_argument("--database", metavar="URL", help="an empty database, instead of SQLite in a temporary folder")
    parser.add_argument(
        "--explain", action="store_true", help="show the statements that take longest, with their plans"
    )
    return parser.parse_args()


@contextmanager
def library(options: argparse.Namespace) -> Iterator[None]:
    """A database with many conversations; Django is set up for it."""
    with TemporaryDirectory(prefix="myagent-reading-") as folder:
        os.environ |= {"MYAGENT_DATA_DIR": folder, "MYAGENT_LANGUAGE": "en", "MYAGENT_SECRET_KEY": "of-no-use"}
        os.environ["DATABASE_URL"] = options.database or ""
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myagent_site.settings")
        import django  # the settings read the environment

        django.setup()
        from django.core.management import call_command
        from django.db import connection, connections

        from bench.library import fill

        call_command("migrate", verbosity=0)
        with Progress(transient=True) as progress:
            task = progress.add_task("storing conversations", total=options.sessions)
            fill(options.sessions, lambda count: progress.update(task, completed=count))
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE" if connection.vendor == "sqlite" else "VACUUM ANALYZE")
        yield
        connections.close_all()


def pages() -> dict[str, str]:
    """What is asked for, by what it is to people."""
    from django.contrib.auth.models import User

    from bench.library import AGENTS, NEEDLE
    from sessions_app.models import Event, Message, Run, Session, Span, ToolCall

    newest, longest = Session.objects.order_by("-active_at").first(), Session.objects.order_by("-last_seq").first()
    middle, user = Session.objects.order_by("pk").first(), User.objects.earliest("pk")
    assert newest is not None and longest is not None and middle is not None
    sessions = "/admin/sessions_app/session/"
    return {
        "sessions, newest first": sessions,
        "sessions, last page": f"{sessions}?p={Session.objects.count() // 50 - 1}",
        "sessions of an agent": f"{sessions}?agent={AGENTS[1]}",
        "sessions of a user": f"{sessions}?user={user.pk}",
        "sessions with failed runs": f"{sessions}?runs=failed",
        "closed sessions of an agent": f"{sessions}?agent={AGENTS[4]}&status__exact=closed",
        "sessions, ordered by title": f"{sessions}?o=1",
        "sessions, search: a word in few messages": f"{sessions}?q={NEEDLE}",
        "sessions, search: a word in most messages": f"{sessions}?q=weather",
        "sessions, search: Chinese": f"{sessions}?q=退款",
        "sessions, search: two words": f"{sessions}?q={NEEDLE}+refund",
        "sessions, search: nothing is found": f"{sessions}?q=nowhere-to-be-found",
        "a session": f"{sessions}{middle.pk}/change/",
        "the longest session": f"{sessions}{longest.pk}/change/",
        "the longest session, exported": f"{sessions}{longest.pk}/export/",
        "a run": f"/admin/sessions_app/run/{middle.runs.earliest('queued_at').pk}/change/",
        **{
            f"{kind._meta.verbose_name_plural}, newest first": f"/admin/sessions_app/{kind._meta.model_name}/"
            for kind in (Run, Message, ToolCall, Span, Event)
        },
        "runs that failed": "/admin/sessions_app/run/?status__exact=failed",
        "messages, search": f"/admin/sessions_app/message/?q={NEEDLE}",
        "messages of a session": f"/admin/sessions_app/message/?session={middle.pk}",
        "events of a session": f"/admin/sessions_app/event/?session={longest.pk}",
    }


def measure(rounds: int, tell: Callable[[str], None]) -> Iterator[tuple[str, list[float], list[dict[str, str]]]]:
    """For each page its times in seconds and its statements."""
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    browser = Client(headers={"host": "localhost"})
    browser.force_login(User.objects.create_superuser("reader"))
    for name, path in pages().items():
        tell(name)
        browser.get(path)  # warms up what a server has warm
        times = []
        for _ in range(rounds):
            begun = time.perf_counter()
            answer = browser.get(path)
            times.append(time.perf_counter() - begun)
            assert answer.status_code == 200, (path, answer.status_code)
        with CaptureQueriesContext(connection) as captured:
            browser.get(path)
        yield name, times, captured.captured_queries


def explain(console: Console, name: str, statements: list[dict[str, str]]) -> None:
    """Show the slowest statement of a page and how the database goes about it."""
    from django.db import connection

    slowest = max(statements, key=lambda statement: float(statement["time"]))
    with connection.cursor() as cursor:
        verb = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN ANALYZE"
        cursor.execute(f"{verb} {slowest['sql']}".replace("%", "%%"), None)
        plan = [" ".join(map(str, row)) for row in cursor.fetchall()]
    console.print(f"{name}: {slowest['time']} s", slowest["sql"][:1_500], *plan, "", sep="\n", markup=False)


def main() -> int:
    """Measure and report."""
    options = arguments()
    console = Console(width=None if sys.stdout.isatty() else REPORT_WIDTH)
    shown = Table("", "ms", "from–to", "in the database", "queries", title=f"{options.sessions:,} conversations")
    for column in shown.columns[1:]:
        column.justify = "right"
    with library(options), console.status("measuring") as status:
        for name, times, statements in measure(options.rounds, status.update):
            spent = sum(float(statement["time"]) for statement in statements)
            middle, least, most = (
                f"{1000 * value:,.0f}" for value in (statistics.median(times), min(times), max(times))
            )
            shown.add_row(name, middle, f"{least}–{most}", f"{1000 * spent:,.0f}", str(len(statements)))
            if options.explain and spent > 0.05:
                explain(console, name, statements)
    console.print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
