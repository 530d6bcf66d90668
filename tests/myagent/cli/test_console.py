"""Consoles that cannot show everything."""

from __future__ import annotations

import io
import sys

from myagent.cli.console import set_up_console


def test_a_console_that_cannot_show_a_character_gets_another(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    set_up_console()
    stream.write("🚀 é 中")
    stream.flush()
    assert stream.buffer.getvalue().decode("latin-1") == "? é ?"
