"""How runs came to their answers, in the admin: a refused one is no success."""

from __future__ import annotations

import pytest

from sessions_app.models import Run
from tests.support.admin_pages import converse, list_path, make_run, make_session, page_path
from tests.support.entries import database

pytestmark = database


def test_a_refused_run_is_shown_as_refused(boss):
    session = make_session()
    run = converse(session)
    Run.objects.update(finish="refused")
    for path in (list_path(Run), page_path(run), page_path(session)):
        page = boss.read(path)
        assert '<span class="badge badge-refused">refused</span>' in page
        assert '<span class="badge badge-succeeded">' not in page


@pytest.mark.parametrize(
    ("finish", "limit", "shown"),
    [("answer", "", ""), ("length", "", "cut off"), ("limit", "max_tokens", "limit of model tokens"), ("", "", "")],
)
def test_other_answers_are_successes_and_say_what_was_missing(boss, finish, limit, shown):
    run = make_run(make_session(), finish=finish, limit=limit)
    page = boss.read(page_path(run))
    assert f'<span class="badge badge-succeeded">succeeded</span> {shown}' in page


def test_runs_are_found_by_how_they_ended(boss):
    session = make_session()
    runs = {finish: make_run(session, finish=finish) for finish in ("answer", "refused", "limit")}
    for finish, run in runs.items():
        page = boss.read(list_path(Run, finish__exact=finish))
        assert [page_path(row) in page for row in runs.values()] == [row is run for row in runs.values()]
