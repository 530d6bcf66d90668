"""Tokens, budgets, use and the audit in the admin: who may do what, what is shown, and what is written down."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session as BrowserSession
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agents.access.local_user import ensure_local_user
from agents.models import AccessToken, GroupBudget, HostedAgent, Invitation, UserBudget
from agents.models.budgets import Usage
from myagent.llm import Usage as Tokens
from sessions_app.models import Session
from tests.support.entries import database, new_session

pytestmark = database
EVIL = "<script>alert('evil')</script>"
ADD_TOKEN = reverse("admin:agents_accesstoken_add")
TOKENS = reverse("admin:agents_accesstoken_changelist")
ENGLISH = {"accept-language": "en"}


def page_of(row) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def visitor(user: User) -> Client:
    client = Client(headers=ENGLISH)
    client.force_login(user)
    return client


@pytest.fixture
def boss():
    return visitor(User.objects.create_superuser("boss"))


@pytest.fixture
def ann():
    return User.objects.create_user("ann")


def clerk(*permissions: str, name: str = "clerk") -> Client:
    """Somebody of the staff with these permissions."""
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    assert user.user_permissions.count() == len(permissions)
    return visitor(user)


def shown_token(response) -> str:
    assert response.status_code == 200
    return re.search(r'id="token">(\S+)</pre>', response.content.decode())[1]


def make(client: Client, owner: User, **fields):
    return client.post(ADD_TOKEN, {"user": owner.pk, "name": "laptop", "life": 30, **fields})


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_is_made_and_shown_once(boss, ann, caplog):
    for name in ("a", "b"):
        HostedAgent.objects.create(name=name)
    assert 'value="b"' in boss.get(ADD_TOKEN).content.decode()
    response = make(boss, ann, agents=["b"])
    plaintext = shown_token(response)
    token = AccessToken.objects.with_plaintext(plaintext).get()
    assert (token.user, token.name, token.agents) == (ann, "laptop", ["b"])
    assert timedelta(days=29) < token.expires_at - timezone.now() <= timedelta(days=30)
    assert token.prefix == plaintext[:10]
    assert "no-store" in response["Cache-Control"]
    # Nowhere else, and not a second time.
    kept = [str(row.get_decoded()) for row in BrowserSession.objects.all()]
    kept += [str(row.__dict__) for row in LogEntry.objects.all()] + [str(row) for row in AccessToken.objects.values()]
    kept += [boss.get(path).content.decode() for path in (TOKENS, page_of(token), "/admin/")]
    assert all(plaintext not in text for text in (*kept, caplog.text, str(response.headers)))
    assert response.cookies.get("messages") is None
    (entry,) = LogEntry.objects.all()
    assert (entry.user.username, entry.object_id, entry.is_addition()) == ("boss", str(token.pk), True)


def test_a_token_without_an_end(boss, ann):
    assert AccessToken.objects.with_plaintext(shown_token(make(boss, ann, life=0))).get().expires_at is None


@pytest.mark.parametrize("fields", [{"agents": ["unknown"]}, {"life": 4711}, {"name": ""}, {"user": 10**6}])
def test_odd_wishes_make_no_token(boss, ann, fields):
    response = make(boss, ann, **fields)
    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert not AccessToken.objects.exists()


def test_whoever_may_add_tokens_makes_them_for_themselves(ann):
    client = clerk("add_accesstoken")
    me = User.objects.get(username="clerk")
    assert "ann" not in client.get(ADD_TOKEN).content.decode()
    assert "errorlist" in make(client, ann).content.decode()
    assert AccessToken.objects.with_plaintext(shown_token(make(client, me))).get().user == me


def test_the_form_names_no_agent_that_its_visitor_may_not_use(ann):
    for name in ("open", "secret"):
        HostedAgent.objects.create(name=name)
    HostedAgent.objects.get(name="secret").groups.add(Group.objects.create(name="team"))
    client = clerk("add_accesstoken")
    me = User.objects.get(username="clerk")
    page = client.get(ADD_TOKEN).content.decode()
    assert 'value="open"' in page and "secret" not in page
    told = [make(client, me, agents=[name]).context["errors"] for name in ("secret", "nothing")]
    assert str(told[0]).replace("secret", "nothing") == str(told[1])
    assert not AccessToken.objects.exists()
    me.groups.add(Group.objects.get())
    assert AccessToken.objects.with_plaintext(shown_token(make(client, me, agents=["secret"]))).get().user == me
    # Who makes tokens for others gives what these may use.
    helper = clerk("add_accesstoken", "change_user", "view_user", name="helper")
    assert 'value="secret"' in helper.get(ADD_TOKEN).content.decode()


def test_whoever_may_not_change_users_sees_and_revokes_their_own_tokens_only(ann):
    client = clerk("view_accesstoken", "change_accesstoken", "delete_accesstoken")
    me = User.objects.get(username="clerk")
    (mine, _), (foreign, _) = AccessToken.objects.issue(me, "mine"), AccessToken.objects.issue(ann, "foreign")
    page = client.get(TOKENS).content.decode()
    assert "mine" in page and "foreign" not in page and ">ann<" not in page
    assert client.get(page_of(mine)).status_code == 200
    paths = [page_of(token) for token in (foreign, AccessToken(pk=10**6))]
    for path in [*paths, *(path.replace("/change/", f"/{way}/") for path in paths for way in ("delete", "history"))]:
        assert client.get(path).status_code == client.post(path, {"post": "yes"}).status_code == 302, "there is none"
    client.post(TOKENS, {"action": "revoke", "_selected_action": [mine.pk, foreign.pk]})
    client.post(TOKENS, {"action": "delete_selected", "_selected_action": [foreign.pk], "post": "yes"})
    assert {token.name: token.revoked_at is None for token in AccessToken.objects.all()} == {
        "mine": False,
        "foreign": True,
    }
    helper = clerk("view_accesstoken", "change_accesstoken", "delete_accesstoken", "change_user", name="helper")
    assert {row[0] for row in cells(helper, "agents_accesstoken")} == {"mine", "foreign"}


def test_for_others_only_who_may_change_them_and_for_superusers_only_superusers(ann):
    root = User.objects.create_superuser("root")
    client = clerk("add_accesstoken", "change_user", "view_user")
    assert AccessToken.objects.with_plaintext(shown_token(make(client, ann))).get().user == ann
    assert "errorlist" in make(client, root).content.decode()
    assert "errorlist" in make(client, User.objects.create_user("gone", is_active=False)).content.decode()
    assert AccessToken.objects.with_plaintext(shown_token(make(visitor(root), root))).get().user == root


def test_without_the_permission_nobody_makes_one(ann):
    client = clerk("view_accesstoken")
    assert client.get(ADD_TOKEN).status_code == make(client, ann).status_code == 403
    assert client.get(TOKENS).status_code == 200
    outsider = visitor(ann)
    assert make(outsider, ann).status_code == 302, "to the login"
    assert not AccessToken.objects.exists()


def test_tokens_are_revoked_and_that_is_noted(ann):
    token, other = (AccessToken.objects.issue(ann, name)[0] for name in ("x", "y"))
    other.revoke(timezone.now())
    action = {"action": "revoke", "_selected_action": [token.pk, other.pk]}
    looker = clerk("view_accesstoken", "change_user", name="looker")
    looker.post(TOKENS, action)
    token.refresh_from_db()
    assert token.revoked_at is None
    revoker = clerk("change_accesstoken", "change_user", name="revoker")
    assert "1 token was revoked" in revoker.post(TOKENS, action, follow=True).content.decode()
    token.refresh_from_db()
    assert token.revoked_at is not None
    (entry,) = LogEntry.objects.all()
    assert (entry.user.username, entry.object_id, entry.get_change_message()) == ("revoker", str(token.pk), "Revoked.")


@pytest.mark.parametrize(
    ("answer", "stops", "noted"),
    [
        ({}, True, "Revoked."),
        ({"stops_runs": ""}, True, "Revoked."),
        ({"stops_runs": "finish"}, False, "Revoked; what it began may finish."),
    ],
)
def test_whoever_revokes_is_asked_what_is_to_become_of_what_was_begun(boss, ann, answer, stops, noted):
    token, _ = AccessToken.objects.issue(ann, "x")
    page = boss.get(TOKENS).content.decode()
    assert page.index("and stop what they began") < page.index("and let finish what they began")
    boss.post(TOKENS, {"action": "revoke", "_selected_action": [token.pk], **answer})
    token.refresh_from_db()
    assert (token.revoked_at is not None, token.stops_runs) == (True, stops)
    assert LogEntry.objects.get().get_change_message() == noted


def test_a_user_s_page_and_the_list_show_what_is_stored_of_what_may_be(boss, ann):
    for title in ("one", "two"):
        new_session(user_id=ann.pk, title=title)
    Session.objects.filter(title="one").update(stored_bytes=3 * 2**20)
    Session.objects.filter(title="two").update(stored_bytes=None)
    for page in (page_of(ann), reverse("admin:auth_user_changelist")):
        shown = boss.get(page).content.decode().replace("\xa0", " ")
        assert "3.0 MB of 1.0 GB" in shown and "2 of 10,000" in shown
    local = ensure_local_user()
    page = boss.get(reverse("admin:auth_user_changelist"), {"q": local.username}).content.decode()
    assert " of " not in re.search(r'field-stored">([^<]+)<', page)[1], "it is exempt"


def test_no_form_changes_a_token(boss, ann):
    token, _ = AccessToken.objects.issue(ann, "x")
    assert boss.get(page_of(token)).status_code == 200
    assert boss.post(page_of(token), {"user": 1, "name": "y", "agents": []}).status_code == 403
    token.refresh_from_db()
    assert token.name == "x"


def test_markup_in_names_is_text(boss, ann):
    user = User.objects.create_user(EVIL)
    AccessToken.objects.issue(user, EVIL)
    HostedAgent.objects.create(name="a", description=EVIL)
    Group.objects.create(name=EVIL)
    UserBudget.objects.create(user=user)
    GroupBudget.objects.create(group=Group.objects.get())
    Usage.objects.create(day=timezone.localdate(), user=user, agent=EVIL)
    made = boss.post(ADD_TOKEN, {"user": user.pk, "name": EVIL, "life": 1})
    pages = [made, *(boss.get(page_of(row)) for row in AccessToken.objects.all())]
    ours = [f"agents_{name}" for name in ("accesstoken", "userbudget", "groupbudget", "usage")]
    lists = (*ours, "auth_user", "auth_group", "admin_logentry")
    pages += [boss.get(reverse(f"admin:{name}_changelist")) for name in lists]
    for page in pages:
        assert page.status_code == 200
        assert "<script>alert" not in page.content.decode()
        assert "&lt;script&gt;" in page.content.decode()


# --- budgets and use --------------------------------------------------------------------------------------------------


def spend(user: User, tokens: int) -> None:
    Usage.objects.add(timezone.localdate(), {(user.pk, "a"): Tokens(tokens, 0, 1)})


def cells(client: Client, name: str) -> list[list[str]]:
    """The rows of a list, as text."""
    page = client.get(reverse(f"admin:{name}_changelist")).content.decode()
    rows = re.findall(r"<tr>(<td class=\"action.*?)</tr>", page, re.DOTALL)
    strip = lambda cell: re.sub(r"<[^>]+>", "", cell).strip()  # noqa: E731
    return [[strip(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)][1:] for row in rows]


def test_lists_show_what_was_used_today(boss, ann, django_assert_max_num_queries):
    bob = User.objects.create_user("bob")
    for user, tokens in ((ann, 1200), (bob, 34)):
        spend(user, tokens)
        user.groups.add(Group.objects.get_or_create(name="team")[0])
    ann.groups.add(Group.objects.create(name="other"))
    Usage.objects.add(timezone.localdate() - timedelta(days=1), {(ann.pk, "a"): Tokens(5000, 0, 1)})
    UserBudget.objects.create(user=ann, tokens_per_day=2000)
    GroupBudget.objects.create(group=Group.objects.get(name="team"), tokens_per_day=3000)
    with django_assert_max_num_queries(7):
        assert {row[0]: row[-1] for row in cells(boss, "auth_user")} == {"ann": "1,200", "bob": "34", "boss": "0"}
    assert {row[0]: row[1] for row in cells(boss, "auth_group")} == {"team": "1,234", "other": "1,200"}
    assert cells(boss, "agents_userbudget") == [["ann", "2000", "1,200", "-", "-"]]
    assert cells(boss, "agents_groupbudget")[0][:3] == ["team", "3000", "1,234"]
    assert sorted(row[1:4] for row in cells(boss, "agents_usage")) == [
        ["ann", "a", "1,200"],
        ["ann", "a", "5,000"],
        ["bob", "a", "34"],
    ]


def test_a_budget_is_set_on_the_page_of_its_user_and_that_is_noted(boss, ann):
    page = boss.get(page_of(ann))
    form = page.context["adminform"].form
    given = {name: value for name, value in form.initial.items() if value not in (None, False)}
    given |= {"groups": [], "user_permissions": [], "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    given.pop("last_login", None)
    budget = {"budget-TOTAL_FORMS": 1, "budget-INITIAL_FORMS": 0, "budget-0-tokens_per_day": 500}
    response = boss.post(page_of(ann), given | budget)
    assert response.status_code == 302, response.context["errors"]
    assert UserBudget.objects.get(user=ann).tokens_per_day == 500
    (entry,) = LogEntry.objects.all()
    assert (entry.user.username, entry.object_id) == ("boss", str(ann.pk))
    assert "budget" in entry.get_change_message()


def test_budgets_have_their_own_permission(ann):
    clerks = clerk("change_userbudget", "view_user")
    budget = UserBudget.objects.create(user=ann, tokens_per_day=5)
    assert clerks.post(page_of(ann), {}).status_code == 403
    assert clerks.post(page_of(budget), {"user": ann.pk, "tokens_per_day": 7}).status_code == 302
    budget.refresh_from_db()
    assert budget.tokens_per_day == 7
    (entry,) = LogEntry.objects.all()
    assert entry.get_change_message() == "Changed Model tokens per day."
    assert clerk("view_userbudget", name="looker").post(page_of(budget), {}).status_code == 403


def test_use_is_looked_at_and_not_changed(boss, ann):
    spend(ann, 10)
    row = Usage.objects.get()
    assert boss.get(page_of(row)).status_code == 200
    assert boss.post(page_of(row), {"input_tokens": 0}).status_code == 403
    assert boss.get(reverse("admin:agents_usage_add")).status_code == 403
    # The day anew, for whoever has the permission to delete it.
    assert boss.post(reverse("admin:agents_usage_delete", args=[row.pk]), {"post": "yes"}).status_code == 302
    assert not Usage.objects.exists()


# --- the audit --------------------------------------------------------------------------------------------------------


def test_the_audit_is_read_by_who_may_and_changed_by_nobody(boss, ann):
    make(boss, ann)
    path, row = reverse("admin:admin_logentry_changelist"), LogEntry.objects.get()
    reader = clerk("view_logentry")
    page = reader.get(path).content.decode()
    assert "boss" in page and "Added." in page and "laptop" in page
    assert clerk(name="other").get(path).status_code == 403
    assert boss.post(path, {"action": "delete_selected", "_selected_action": [row.pk]}).status_code in (200, 302)
    assert boss.post(reverse("admin:admin_logentry_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert boss.post(page_of(row), {"change_message": "x"}).status_code == 403
    assert LogEntry.objects.filter(pk=row.pk).exists()


def test_a_user_who_did_something_is_not_deleted_together_with_that(boss):
    root = User.objects.create_superuser("root")
    make(visitor(root), root)
    AccessToken.objects.all().delete()
    response = boss.post(reverse("admin:auth_user_delete", args=[root.pk]), {"post": "yes"})
    assert response.status_code == 403
    assert LogEntry.objects.filter(user=root).exists()


# --- links to log in --------------------------------------------------------------------------------------------------


def invite(client: Client, *users: User):
    action = {"action": "invite", "_selected_action": [user.pk for user in users]}
    return client.post(reverse("admin:auth_user_changelist"), action)


def links_of(response) -> list[str]:
    return re.findall(r'class="link">(\S+)</pre>', response.content.decode())


def test_links_to_log_in_are_shown_once(boss, ann):
    gone = User.objects.create_user("gone", is_active=False)
    response = invite(boss, ann, gone)
    (link,) = links_of(response)
    assert link.startswith("http://testserver/login/link/?token=")
    assert "no-store" in response["Cache-Control"]
    assert Invitation.objects.use(link.partition("=")[2]).user == ann
    entry = LogEntry.objects.get(object_id=str(ann.pk))
    assert (entry.user.username, entry.change_message) == ("boss", "Made a link to log in.")
    assert invite(boss, gone).status_code == 302


def test_staff_invite_nobody_who_may_do_more(ann):
    staff = clerk("change_user", "view_user")
    root = User.objects.create_superuser("root")
    more = User.objects.create_user("more")
    more.user_permissions.set(Permission.objects.filter(codename="delete_user"))
    for user in (root, more):
        response = invite(staff, ann, user)
        assert response.status_code == 302
        assert not Invitation.objects.exists()
    assert len(links_of(invite(staff, ann))) == 1


def test_only_who_may_change_users_can_invite(ann):
    assert links_of(invite(clerk("view_user"), ann)) == []
    assert not Invitation.objects.exists()
