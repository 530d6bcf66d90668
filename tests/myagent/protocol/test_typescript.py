"""The events as types of TypeScript: what is committed is what the classes of this version give."""

from __future__ import annotations

from io import StringIO

from django.core.management import call_command

from tests.support.paths import ROOT

FILE = ROOT / "console/client/src/events.ts"


def test_the_types_of_the_client_are_those_of_the_server():
    out = StringIO()
    call_command("protocol", "--typescript", stdout=out)
    assert FILE.read_text(encoding="utf-8") == out.getvalue(), (
        "run: python manage.py protocol --typescript >console/client/src/events.ts"
    )
