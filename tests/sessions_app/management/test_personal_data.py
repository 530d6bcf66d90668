"""What belongs to one person is handed out whole and deleted whole; that of others stays."""

from __future__ import annotations

import json
import sys
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command

from agents.models import AccessToken
from myagent import i18n
from sessions_app.models import DeletedThread, Event, Memory, Session
from tests.support import entries as e

pytestmark = e.database


@pytest.fixture(autouse=True)
def in_english(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")


@pytest.fixture
def ann():
    """Ann, who has said something and has a token; Annabel has, too."""
    for name in ("ann", "annabel"):
        user = User.objects.create_user(name, password=f"password of {name}")
        user.groups.add(Group.objects.get_or_create(name="readers")[0])
        call_command("createtoken", name, stdout=StringIO())
        e.post(e.new_session(user_id=user.pk), f"the plan of {name}.")
        Memory.objects.create(user=user, agent="friend", key="drink", text=f"the tea of {name}.")
    return User.objects.get(username="ann")


def exported(path):
    call_command("exportuser", "ann", "--output", str(path))
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_everything_of_one_person_is_handed_out(ann, tmp_path):
    records = exported(tmp_path / "ann.jsonl")
    assert (tmp_path / "ann.jsonl").stat().st_mode & 0o777 == 0o600
    assert records[0]["kind"] == "user" and records[0]["data"]["groups"] == ["readers"]
    assert {"accesstoken", "memory", "session"} <= {record["kind"] for record in records}
    text = json.dumps(records)
    assert "the plan of ann." in text and "the tea of ann." in text and "annabel" not in text
    assert ann.password not in text and AccessToken.objects.get(user=ann).token_hash not in text
    assert LogEntry.objects.filter(object_id=str(ann.pk), change_message__contains="Exported.").exists()
    with pytest.raises(CommandError, match="there already"):
        exported(tmp_path / "ann.jsonl")
    with pytest.raises(CommandError, match="No such file"):
        exported(tmp_path / "nowhere" / "ann.jsonl")


def test_without_a_file_it_goes_to_standard_output(ann, capfdbinary):
    call_command("exportuser", "ann")
    sys.stdout.flush()
    assert b"the plan of ann." in capfdbinary.readouterr().out


def test_everything_of_one_person_is_deleted(ann):
    out = StringIO()
    call_command("deleteuser", "ann", "--yes", stdout=out)
    assert out.getvalue() == "Deleted the user 'ann', and conversations: 1\n"
    assert list(User.objects.filter(username__startswith="ann").values_list("username", flat=True)) == ["annabel"]
    assert list(Session.objects.values_list("user__username", flat=True)) == ["annabel"]
    assert list(Memory.objects.values_list("user__username", flat=True)) == ["annabel"]
    assert not DeletedThread.objects.exists(), "nor what tells that it was there"
    assert not Event.objects.exclude(session__user__username="annabel").exists()
    assert list(AccessToken.objects.values_list("user__username", flat=True)) == ["annabel"]
    texts = " ".join(entry.object_repr + entry.change_message for entry in LogEntry.objects.all())
    assert "(deleted)" in texts and "annabel" in texts and "ann " not in texts and "ann." not in texts


class Terminal(StringIO):
    """Somebody who types."""

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("typed", "refusal"),
    [(StringIO("ann\n"), "Nobody is here to be asked"), (Terminal("anna\n"), "Nothing was deleted")],
)
def test_nobody_is_deleted_without_a_yes(ann, typed, refusal, monkeypatch):
    monkeypatch.setattr(sys, "stdin", typed)
    with pytest.raises(CommandError, match=refusal):
        call_command("deleteuser", "ann")
    ann.refresh_from_db()
    assert ann.is_active and Session.objects.filter(user=ann).exists()


def test_somebody_who_types_the_name_deletes(ann, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal("ann\n"))
    call_command("deleteuser", "ann", stdout=StringIO())
    assert not User.objects.filter(username="ann").exists()


def test_the_servers_own_users_stay():
    User.objects.get_or_create(username="local")
    with pytest.raises(CommandError, match="belongs to the server itself"):
        call_command("deleteuser", "local", "--yes")
    with pytest.raises(CommandError, match="no user 'nobody'"):
        call_command("exportuser", "nobody")
