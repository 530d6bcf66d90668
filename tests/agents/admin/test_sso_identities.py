"""Who links identities of the single sign-on to users, and to which."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.urls import reverse

from agents.models import SsoIdentity
from tests.agents.admin.test_people import clerk, page_of, visitor
from tests.support.entries import database

pytestmark = database
LIST = reverse("admin:agents_ssoidentity_changelist")
LINKING = ("view_ssoidentity", "change_ssoidentity", "delete_ssoidentity", "view_user", "change_user")


@pytest.fixture
def waiting():
    return SsoIdentity.objects.create(issuer="https://sso.example", subject="4711", claimed_name="ann")


def test_an_administrator_links_who_waits(waiting):
    ann, boss = User.objects.create_user("ann"), visitor(User.objects.create_superuser("boss"))
    assert "waits to be linked" in boss.get(LIST).content.decode()
    changes = {"user": ann.pk, "subject": "another", "issuer": "https://evil.example"}
    assert boss.post(page_of(waiting), changes).status_code == 302
    waiting.refresh_from_db()
    assert (waiting.user, waiting.subject, waiting.issuer) == (ann, "4711", "https://sso.example")
    assert LogEntry.objects.get().object_repr == "4711 · https://sso.example"
    assert "waits to be linked" not in boss.get(LIST).content.decode()


def test_nobody_links_an_identity_to_an_account_that_they_may_not_change(waiting):
    boss, staff = User.objects.create_superuser("boss"), clerk(*LINKING)
    assert staff.post(page_of(waiting), {"user": boss.pk}).status_code == 200  # the form again, with an error
    waiting.refresh_from_db()
    assert waiting.user is None
    theirs = SsoIdentity.objects.create(subject="1", user=boss)
    assert staff.post(page_of(theirs), {"user": ""}).status_code == 403
    delete = reverse("admin:agents_ssoidentity_delete", args=[theirs.pk])
    assert staff.post(delete, {"post": "yes"}).status_code == 403
    assert SsoIdentity.objects.filter(user=boss).exists()
    ann = User.objects.create_user("ann")
    assert staff.post(page_of(waiting), {"user": ann.pk}).status_code == 302


def test_staff_without_the_permission_link_nothing(waiting):
    assert clerk("change_user", "view_ssoidentity").post(page_of(waiting), {"user": ""}).status_code == 403
