"""What agents remember of users, in the admin: seen by whoever may see the user's conversations, and deleted."""

from __future__ import annotations

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.urls import reverse

from sessions_app.models import Memory
from tests.sessions_app.admin.test_permissions import clerk
from tests.support.admin_pages import EVIL, list_path, page_path
from tests.support.entries import database

pytestmark = database


def remember(user, text="tea"):
    return Memory.objects.create(user=user, agent="friend", key="drink", text=text)


def test_it_is_shown_and_changed_by_nobody(boss, ann):
    row = remember(ann, f"tea {EVIL}")
    for page in (boss.read(list_path(Memory)), boss.read(page_path(row))):
        assert "drink" in page and "friend" in page and "tea &lt;script&gt;" in page and EVIL not in page
    assert boss.post(page_path(row), {"text": "coffee"}).status_code == 403
    assert boss.get(reverse("admin:sessions_app_memory_add")).status_code == 403


def test_it_is_for_whoever_may_see_the_conversations_of_the_user(ann):
    theirs = remember(ann, "their tea")
    reader = clerk("view_memory")
    mine = remember(User.objects.get(username="clerk"), "my tea")
    listed = reader.read(list_path(Memory))
    assert "my tea" in listed and "their tea" not in listed
    assert (reader.get(page_path(mine)).status_code, reader.get(page_path(theirs)).status_code) == (200, 302)
    assert "their tea" in clerk("view_memory", "view_any_session", name="other").read(list_path(Memory))
    assert clerk("view_any_session", name="third").get(list_path(Memory)).status_code == 403


def test_it_is_deleted_alone_and_with_others_by_those_who_may(boss, ann):
    rows = [Memory.objects.create(user=ann, agent="friend", key=key, text="secret") for key in "abc"]
    path = reverse("admin:sessions_app_memory_delete", args=[rows[0].pk])
    assert clerk("view_memory", "view_any_session").post(path, {"post": "yes"}).status_code == 403
    assert boss.post(path, {"post": "yes"}).status_code == 302
    chosen = {"action": "delete_selected", "_selected_action": [row.pk for row in rows[1:]], "post": "yes"}
    assert boss.post(list_path(Memory), chosen).status_code == 302
    assert not Memory.objects.exists()
    texts = " ".join(entry.object_repr + entry.change_message for entry in LogEntry.objects.all())
    assert "friend #" in texts and "secret" not in texts


def test_a_user_is_deleted_with_what_is_remembered(boss, ann):
    remember(ann)
    boss.post(reverse("admin:auth_user_delete", args=[ann.pk]), {"post": "yes"})
    assert not User.objects.filter(pk=ann.pk).exists() and not Memory.objects.exists()
