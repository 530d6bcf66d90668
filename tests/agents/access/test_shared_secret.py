"""Servers of one database with several secrets."""

from __future__ import annotations

from pathlib import Path

from django.test import override_settings

from agents.access.shared_secret import note_secret
from agents.conf import Config
from agents.models import ServerMark
from tests.support.entries import database

pytestmark = database


def start(secret, folder, *fallbacks):
    with override_settings(SECRET_KEY=secret, SECRET_KEY_FALLBACKS=list(fallbacks)):
        note_secret(Config(data_dir=Path(folder)))


def test_one_secret_in_two_folders_is_fine(caplog):
    start("a" * 50, "/one")
    start("a" * 50, "/two")
    assert caplog.text == ""


def test_another_secret_is_noticed_at_each_change(caplog):
    start("a" * 50, "/one")
    start("b" * 50, "/two")
    assert caplog.text.count("❌") == 1
    assert "/one" in caplog.text and "/two" in caplog.text
    start("b" * 50, "/two")
    assert caplog.text.count("❌") == 1
    start("a" * 50, "/one")
    assert caplog.text.count("❌") == 2


def test_a_secret_that_follows_another_one_is_fine(caplog):
    start("a" * 50, "/one")
    start("b" * 50, "/one", "a" * 50)
    assert caplog.text == ""


def test_the_mark_does_not_tell_the_secret():
    start("a" * 50, "/one")
    mark = ServerMark.objects.get()
    assert "a" * 50 not in mark.secret_mark and len(mark.secret_mark) == 64
