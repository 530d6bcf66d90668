"""Timelines: bars where the calls were, what went wrong, and what a crash leaves open."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.utils import timezone, translation

from sessions_app.admin.timeline import timeline_of
from sessions_app.models import Confirmation, Run, Span
from tests.support.admin_pages import (
    converse,
    in_order,
    list_path,
    make_run,
    make_session,
    page_path,
    say,
    span,
    staff,
)
from tests.support.entries import database

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(seconds):
    return START + timedelta(seconds=seconds)


def a_run(*, ends=10.0):
    return Run(started_at=START, finished_at=None if ends is None else at(ends))


def a_span(begins, lasts=1.0, **columns):
    given = {"kind": "reply", "name": "gpt", "step": 1, "epoch": 1, "outcome": "ok"}
    duration = None if lasts is None else round(lasts * 1000)
    return Span(started_at=at(begins), duration_ms=duration, **{**given, **columns})


def drawn(run, *spans, asked=(), at_most=100):
    with translation.override("en"):
        return timeline_of(run, spans, asked, at_most=at_most)


def test_bars_lie_where_the_calls_were():
    found = drawn(a_run(), a_span(0, 2, first_token_ms=500), a_span(2, 3, kind="tool", name="x"), a_span(5, 5))
    assert [(bar.left, bar.width, bar.first) for bar in found.bars] == [
        ("0.000%", "20.000%", "25.000%"),
        ("20.000%", "30.000%", ""),
        ("50.000%", "50.000%", ""),
    ]
    assert [(bar.what, bar.name, bar.took) for bar in found.bars] == [
        ("model", "gpt", "2.0 s"),
        ("tool", "x", "3.0 s"),
        ("model", "gpt", "5.0 s"),
    ]
    assert found.ticks == [("0.000%", "0 s"), ("20.000%", "2 s"), ("40.000%", "4 s"), ("60.000%", "6 s"),
                           ("80.000%", "8 s"), ("100.000%", "10 s")]  # fmt: skip
    assert found.summary == "calls: 3 · model: 7.0 s · tools: 3.0 s"


def test_hooks_are_no_calls_and_lead_to_the_call_that_they_are_about():
    hook = {"kind": "hook", "name": "before_tool: check"}
    found = drawn(
        a_run(), a_span(0, 1, **hook, step_id="c1"), a_span(1, 1, kind="tool", name="x"), a_span(3, 2, **hook)
    )
    assert [(bar.kind, bar.what, bar.name) for bar in found.bars] == [
        ("hook", "hook", "before_tool: check"),
        ("tool", "tool", "x"),
        ("hook", "hook", "before_tool: check"),
    ]
    assert [bool(bar.url) for bar in found.bars] == [True, False, False]
    assert found.summary == "calls: 1 · model: 0 ms · tools: 1.0 s"


def test_places_are_written_as_css_takes_them_in_every_language():
    with translation.override("de"):
        found = timeline_of(a_run(ends=3), [a_span(1, 1)], (), at_most=10)
    assert (found.bars[0].left, found.bars[0].width) == ("33.333%", "33.333%")


@pytest.mark.parametrize("seconds", [0, 0.001, 0.0137, 0.9, 1, 59, 3_600, 1_000_000])
def test_the_axis_has_few_ticks_whatever_a_run_took(seconds):
    found = drawn(a_run(ends=seconds), a_span(0, seconds))
    assert 1 <= len(found.ticks) <= 7
    assert all(re.fullmatch(r"[\d.]+%", left) and float(left[:-1]) <= 100 for left, _ in found.ticks)


def test_an_untraced_run_has_none():
    assert drawn(a_run()) is None


def test_attempts_and_failures_are_told():
    cut = a_span(0, 1, outcome="failed", finish="stream_cut", error="broke off")
    again = a_span(1, 2, attempt=2, retries=1, input_tokens=7, output_tokens=100, first_token_ms=1000, finish="stop")
    first, second = drawn(a_run(), cut, again).bars
    assert (first.outcome, first.verdict, first.error) == ("failed", "stream_cut", "broke off")
    assert (second.note, second.verdict) == ("attempt 2", "")
    assert dict(second.facts) == {
        "step": 1,
        "started": "12:00:01.000",
        "duration": "2.0 s",
        "first token": "1.0 s",
        "tokens in + out": "7 + 100",
        "tokens per second": 100,
        "repeated requests": 1,
        "finish": "stop",
    }
    assert second.title.startswith("gpt · step: 1 · started: 12:00:01.000 · duration: 2.0 s · first token: 1.0 s")


def test_what_a_crash_broke_off_lasts_at_most_until_another_process_goes_on():
    lost = a_span(1, None, outcome="interrupted", kind="tool")
    found = drawn(a_run(), lost, a_span(4, 2, epoch=2), a_span(6, 4, epoch=2))
    assert [(bar.left, bar.width, bar.outcome, bar.resumed) for bar in found.bars] == [
        ("10.000%", "30.000%", "uncertain", False),
        ("40.000%", "20.000%", "ok", True),
        ("60.000%", "40.000%", "ok", False),
    ]
    assert found.bars[0].took == "≤ 3.0 s"


def test_what_goes_on_reaches_until_now():
    run = Run(started_at=timezone.now() - timedelta(seconds=10))
    going_on = Span(kind="reply", name="gpt", step=1, epoch=1, outcome="open", started_at=run.started_at)
    (bar,) = drawn(run, going_on).bars
    assert (bar.left, bar.width, bar.outcome, bar.verdict) == ("0.000%", "100.000%", "open", "going on")
    assert re.fullmatch(r"1\d\.\d s", bar.took)


def test_people_are_waited_for_in_between():
    question = Confirmation(
        step_id="q", question="May I?", asked_at=at(2), answered_at=at(6), answer={"confirmed": True}, answered_by="ann"
    )
    found = drawn(a_run(), a_span(0, 2), a_span(6, 4, kind="tool"), asked=[question])
    assert [bar.kind for bar in found.bars] == ["reply", "question", "tool"]
    asked = found.bars[1]
    assert (asked.left, asked.width, asked.took) == ("20.000%", "40.000%", "4.0 s")
    assert dict(asked.facts)["answered by"] == "ann"


def test_a_clock_that_was_set_back_breaks_nothing():
    found = drawn(a_run(), a_span(-5, 1), a_span(20, 1))
    assert all(0 <= float(bar.left[:-1]) <= 100 for bar in found.bars)


def test_of_very_many_bars_the_rest_is_counted():
    found = drawn(a_run(), *(a_span(number / 100, 0.01) for number in range(50)), at_most=20)
    assert (len(found.bars), found.left_out) == (20, 30)


class TestTimelines:
    pytestmark = database

    def test_they_are_on_the_pages_of_session_and_run(self, boss):
        run = converse(make_session())
        question = run.confirmations.get()
        for row in (run.session, run):
            page = unescape(boss.read(page_path(row)))
            page = page[page.index('class="timeline"') :]
            assert in_order(page, "calls: 2 · model: 500 ms · tools: 500 ms", "gpt-4o", "100 + 20", 'class="first"')
            assert page_path(run.tool_calls.get()) in page and page_path(question) in page
        assert '<details class="timeline" open>' in boss.read(page_path(run))
        assert '<details class="timeline">' in boss.read(page_path(run.session))

    def test_untraced_runs_have_none(self, boss):
        run = make_run(make_session())
        say(run, "user", "hi", 1)
        assert 'class="timeline"' not in boss.read(page_path(run))

    def test_they_need_the_permission_for_spans(self):
        run = converse(make_session())
        clerk = staff("view_any_session", "view_run", "view_message", "view_toolcall", "view_confirmation")
        page = clerk.read(page_path(run))
        assert "It is fine." in page and 'class="timeline"' not in page

    def test_very_long_ones_lead_to_the_list(self, boss, monkeypatch):
        monkeypatch.setattr("sessions_app.admin.sessions.BARS", 2)
        run = converse(make_session())
        for number in range(3):
            span(run, "tool", number)
        page = boss.read(page_path(run.session))
        assert in_order(page, list_path(Span, run=run.pk), "not shown here: 4")

    def test_the_list_of_spans_tells_what_failed(self, boss):
        run = make_run(make_session())
        span(run, outcome="failed", finish="stream_cut", error="it broke off")
        span(run, "tool", name="lookup", duration_ms=None, outcome="interrupted")
        page = boss.read(list_path(Span))
        assert '<span class="badge badge-failed">failed: stream_cut</span>' in page
        assert '<span class="badge badge-interrupted">broken off</span>' in page
        assert "1 span\n" in boss.read(list_path(Span, q="broke"))
        assert "1 span\n" in boss.read(list_path(Span, kind__exact="tool"))
