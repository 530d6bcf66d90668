"""Staff who may change users and groups hand on nothing that they do not have, and touch nobody above them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.urls import reverse

from agents.access.delegation import groups_to_manage, users_to_manage
from agents.models import AccessToken, GroupLead, HostedAgent
from tests.agents.admin.test_people import clerk, page_of, visitor
from tests.support.entries import database

pytestmark = database
MANAGING = ("view_user", "add_user", "change_user", "delete_user", "view_group", "add_group", "change_group")


def permission(name: str) -> Permission:
    return Permission.objects.get(codename=name)


def group(name: str, *permissions: str) -> Group:
    made = Group.objects.create(name=name)
    made.permissions.set(Permission.objects.filter(codename__in=permissions))
    return made


def account(user: User, **changes) -> dict[str, object]:
    """The fields of a user's page as a browser sends them, with `changes`."""
    inline = {f"budget-{name}": count for name, count in (("TOTAL_FORMS", 0), ("INITIAL_FORMS", 0))}
    joined = user.date_joined
    fields = {
        "username": user.username,
        "is_active": "on",
        "date_joined_0": joined.date().isoformat(),
        "date_joined_1": joined.time().isoformat("seconds"),
    }
    return {**fields, **inline, **changes}


# --- users ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ann():
    return User.objects.create_user("ann", password="old-password-1")


def test_nobody_makes_themselves_or_others_superuser(ann):
    staff = clerk(*MANAGING)
    for user in (ann, User.objects.get(username="clerk")):
        staff.post(page_of(user), account(user, is_staff="on", is_superuser="on"))
        user.refresh_from_db()
        assert user.is_staff and not user.is_superuser


def test_permissions_and_groups_beyond_ones_own_cannot_be_given(ann):
    staff = clerk(*MANAGING, "view_usage")
    mighty, humble = group("mighty", "delete_hostedagent"), group("humble", "view_usage")
    offered = staff.get(page_of(ann)).context["adminform"].form.fields
    assert {entry.codename for entry in offered["user_permissions"].queryset} == {*MANAGING, "view_usage"}
    assert list(offered["groups"].queryset) == [humble]
    for changes in (
        {"user_permissions": [permission("delete_hostedagent").pk]},
        {"groups": [mighty.pk]},
        {"user_permissions": [permission("view_usage").pk, permission("add_accesstoken").pk]},
    ):
        assert staff.post(page_of(ann), account(ann, **changes)).status_code == 200  # the form again, with an error
        assert not ann.user_permissions.exists() and not ann.groups.exists()
    changes = {"user_permissions": [permission("view_usage").pk], "groups": [humble.pk]}
    assert staff.post(page_of(ann), account(ann, **changes)).status_code == 302
    assert ann.groups.get() == humble and ann.user_permissions.get().codename == "view_usage"


def test_a_group_whose_agents_one_may_not_use_cannot_be_given_and_is_kept(ann):
    staff = clerk(*MANAGING)
    closed, open_to_me = group("closed"), group("open to me")
    User.objects.get(username="clerk").groups.add(open_to_me)
    for name, allowed in (("secrets", closed), ("weather", open_to_me)):
        HostedAgent.objects.create(name=name).groups.add(allowed)
    assert set(groups_to_manage(User.objects.get(username="clerk"))) == {open_to_me}
    ann.groups.add(closed)
    assert staff.post(page_of(ann), account(ann, groups=[open_to_me.pk])).status_code == 302
    assert set(ann.groups.all()) == {closed, open_to_me}
    assert staff.post(page_of(ann), account(ann)).status_code == 302
    assert set(ann.groups.all()) == {closed}


def superior(kind: str) -> User:
    user = User.objects.create_user("superior", password="old-password-1")
    match kind:
        case "superuser":
            user.is_superuser = True
        case "permission":
            user.user_permissions.add(permission("delete_hostedagent"))
        case "group":
            user.groups.add(group("mighty", "delete_hostedagent"))
        case "deactivated":
            user.is_active = False
            user.user_permissions.add(permission("delete_hostedagent"))
    user.save()
    return user


@pytest.mark.parametrize("kind", ["superuser", "permission", "group", "deactivated"])
def test_an_account_with_more_rights_can_be_looked_at_only(kind):
    user, staff = superior(kind), clerk(*MANAGING)
    before = user.password
    assert user not in users_to_manage(User.objects.get(username="clerk"))
    assert staff.get(page_of(user)).status_code == 200
    assert staff.post(page_of(user), account(user, email="thief@evil.example")).status_code == 403
    password = {"password1": "new-password-2", "password2": "new-password-2", "usable_password": "true"}
    change = reverse("admin:auth_user_password_change", args=[user.pk])
    assert staff.post(change, password).status_code == 403
    assert staff.post(reverse("admin:auth_user_delete", args=[user.pk]), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [user.pk], "post": "yes"}
    staff.post(reverse("admin:auth_user_changelist"), chosen)
    user.refresh_from_db()
    assert (user.email, user.password, user.is_active) == ("", before, kind != "deactivated")
    offered = clerk("add_accesstoken", "change_user", name="other").get(reverse("admin:agents_accesstoken_add"))
    assert user not in offered.context["adminform"].form.fields["user"].queryset


def test_tokens_of_those_above_them_are_not_theirs_to_see_or_revoke(ann):
    boss = User.objects.create_superuser("boss")
    tokens = {user: AccessToken.objects.issue(user, "laptop")[0] for user in (ann, boss)}
    staff = clerk("view_accesstoken", "change_accesstoken", "change_user")
    address = reverse("admin:agents_accesstoken_changelist")
    assert [row.user for row in staff.get(address).context["cl"].queryset] == [ann]
    staff.post(address, {"action": "revoke", "_selected_action": [token.pk for token in tokens.values()]})
    assert list(AccessToken.objects.exclude(revoked_at=None)) == [tokens[ann]]


def test_an_account_with_the_same_rights_or_fewer_is_theirs_to_change(ann):
    ann.user_permissions.add(permission("view_user"))
    staff = clerk(*MANAGING)
    assert staff.post(page_of(ann), account(ann, email="ann@example.com")).status_code == 302
    password = {"password1": "new-password-2", "password2": "new-password-2", "usable_password": "true"}
    assert staff.post(reverse("admin:auth_user_password_change", args=[ann.pk]), password).status_code == 302
    ann.refresh_from_db()
    assert ann.email == "ann@example.com" and ann.check_password("new-password-2")


def test_superusers_do_all_of_it(ann):
    boss = visitor(User.objects.create_superuser("boss"))
    changes = {"is_superuser": "on", "user_permissions": [permission("delete_hostedagent").pk]}
    assert boss.post(page_of(ann), account(ann, **changes)).status_code == 302
    ann.refresh_from_db()
    assert ann.is_superuser and ann.user_permissions.count() == 1


# --- groups -----------------------------------------------------------------------------------------------------------


def team(name: str, *permissions: int, leads: int = 0, **changes) -> dict[str, object]:
    counts = {"budget-TOTAL_FORMS": 0, "budget-INITIAL_FORMS": 0, "leads-INITIAL_FORMS": 0, "leads-TOTAL_FORMS": leads}
    return {"name": name, "permissions": permissions, **counts, **changes}


def test_a_group_is_given_what_one_has_and_mightier_groups_are_not_changed():
    staff = clerk(*MANAGING, "delete_group", "view_usage")
    mighty, humble = group("mighty", "delete_hostedagent"), group("humble")
    assert staff.post(page_of(humble), team("humble", permission("delete_hostedagent").pk)).status_code == 200
    assert not humble.permissions.exists()
    assert staff.post(page_of(humble), team("humble", permission("view_usage").pk)).status_code == 302
    assert humble.permissions.get().codename == "view_usage"
    assert staff.get(page_of(mighty)).status_code == 200
    assert staff.post(page_of(mighty), team("mine")).status_code == 403
    assert staff.post(reverse("admin:auth_group_delete", args=[mighty.pk]), {"post": "yes"}).status_code == 403
    mighty.refresh_from_db()
    assert mighty.name == "mighty" and mighty.permissions.count() == 1


@pytest.mark.parametrize("may", [False, True])
def test_who_leads_is_said_by_those_who_see_the_conversations(ann, may):
    staff = clerk(*MANAGING, *(("view_any_session",) if may else ()))
    led = group("led")
    lead = {"leads-0-user": ann.pk, "leads-0-group": led.pk, "leads-0-id": ""}
    assert staff.post(page_of(led), team("led", leads=1, **lead)).status_code == 302
    assert GroupLead.objects.filter(user=ann, group=led).exists() is may


def test_a_lead_may_name_a_deputy_for_their_own_group_only(ann):
    staff = clerk(*MANAGING, "view_led_session")
    led, other = group("led"), group("other")
    GroupLead.objects.create(user=User.objects.get(username="clerk"), group=led)
    for of in (led, other):
        row = of.leads.first()
        known = {} if row is None else {"leads-0-id": row.pk, "leads-0-user": row.user_id, "leads-0-group": of.pk}
        number = len(known) // 3
        added = {f"leads-{number}-user": ann.pk, f"leads-{number}-group": of.pk, f"leads-{number}-id": ""}
        form = team(of.name, leads=number + 1, **{**known, **added, "leads-INITIAL_FORMS": number})
        assert staff.post(page_of(of), form).status_code == 302
    assert list(GroupLead.objects.filter(user=ann)) == list(GroupLead.objects.filter(user=ann, group=led))
    assert GroupLead.objects.filter(user=ann).count() == 1
