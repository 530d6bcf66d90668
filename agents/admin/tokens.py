"""Access tokens in the admin: created, shown once, revoked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ActionForm
from django.contrib.auth import get_user_model
from django.db.models import Field, ForeignKey, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from agents.access.agent_permissions import denied_to
from agents.access.delegation import users_to_manage
from agents.models import AccessToken, HostedAgent

LIVES = (
    (1, _("a day")),
    (7, _("a week")),
    (30, _("30 days")),
    (90, _("90 days")),
    (365, _("a year")),
    (0, _("until it is revoked")),
)
DEFAULT_LIFE = 90
LET_FINISH = "finish"


class TokenForm(forms.ModelForm):
    """The form for a new token."""

    life = forms.TypedChoiceField(label=capfirst(_("valid for")), choices=LIVES, coerce=int, initial=DEFAULT_LIFE)

    class Meta:
        model = AccessToken
        fields = ("user", "name", "agents")


class RevokeForm(ActionForm):
    """Beside the list of actions: what is to become of what was begun with a token that is revoked."""

    stops_runs = forms.ChoiceField(
        label="",
        required=False,
        choices=(("", _("and stop what they began")), (LET_FINISH, _("and let finish what they began"))),
        widget=forms.Select(attrs={"aria-label": _("Revoke the selected tokens")}),
    )


@admin.register(AccessToken)
class AccessTokenAdmin(admin.ModelAdmin):
    """Users who may add tokens create them for themselves; for others only those who may change these users, and so
    their passwords; for superusers only superusers. The same holds for seeing and revoking the tokens of others.
    """

    list_display = ("name", "user", "state", "expires_at", "last_used_at", "created_at", "prefix")
    list_filter = (("user", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    fields = ("name", "prefix", "user", "agents", "state", "created_at", "expires_at", "last_used_at", "revoked_at")
    readonly_fields = fields
    autocomplete_fields = ("user",)
    actions = ("revoke",)
    action_form = RevokeForm

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccessToken]:
        tokens: QuerySet[AccessToken] = super().get_queryset(request)
        return tokens.filter(user__in=_people(request).values("pk"))

    @admin.display(description=_("state"))
    def state(self, token: AccessToken) -> Any:
        return token.state(timezone.now())

    # --- creating one ---

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **({} if change else {"form": TokenForm}) | kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else ("user", "name", "agents", "life")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields if obj else ()

    def get_autocomplete_fields(self, request: HttpRequest) -> Any:
        return self.autocomplete_fields if _may_make_for_others(request) else ()

    def formfield_for_dbfield(self, db_field: Field, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "agents":
            return forms.MultipleChoiceField(
                label=capfirst(db_field.verbose_name),
                required=False,
                widget=forms.CheckboxSelectMultiple,
                choices=[(name, name) for name in _agents(request)],
                help_text=_("Those it is valid for; none means all that its user may use."),
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def formfield_for_foreignkey(self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "user":
            kwargs |= {"queryset": _people(request).filter(is_active=True), "initial": request.user.pk}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: AccessToken, form: Any, change: bool) -> None:
        if not change:
            life: int = form.cleaned_data["life"]
            obj.expires_at = timezone.now() + timedelta(days=life) if life else None
            # Only in this object, which ends with the request: Django stores messages in the browser session.
            obj.shown_once = obj.draw()  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        buttons = {"show_save_and_continue": False, "show_save_and_add_another": False}
        return super().add_view(request, form_url, buttons | (extra_context or {}))

    def response_add(self, request: HttpRequest, obj: AccessToken, post_url_continue: Any = None) -> HttpResponse:
        """The only page that shows the token. No redirect, because the text is stored nowhere."""
        context = {
            **self.admin_site.each_context(request),
            "title": _("The new access token"),
            "opts": self.opts,
            "token": obj,
            "plaintext": obj.shown_once,  # type: ignore[attr-defined]
            "may_view": self.has_view_permission(request, obj),
        }
        response = TemplateResponse(request, "admin/agents/accesstoken/made.html", context)
        add_never_cache_headers(response)
        return response

    # --- revoking ---

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # No form changes a token: its page is read-only, whatever the permissions.
        return obj is None and super().has_change_permission(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) or super().has_change_permission(request, obj)

    @admin.action(description=_("Revoke the selected tokens"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[AccessToken]) -> None:
        now, stops_runs = timezone.now(), request.POST.get("stops_runs") != LET_FINISH
        good = [token for token in queryset if token.revoked_at is None]
        for token in good:
            token.revoke(now, stops_runs=stops_runs)
            self.log_change(request, token, _("Revoked.") if stops_runs else _("Revoked; what it began may finish."))
        words = ngettext(
            "%(count)d token was revoked; connections with it are closed within seconds.",
            "%(count)d tokens were revoked; connections with them are closed within seconds.",
            len(good),
        )
        self.message_user(request, words % {"count": len(good)})


def _may_make_for_others(request: HttpRequest) -> bool:
    return request.user.has_perm("auth.change_user")


def _agents(request: HttpRequest) -> Iterable[str]:
    """The agents that may be chosen for a new token: for one of their own, users see those that they may use."""
    rows = HostedAgent.objects.all()
    if not _may_make_for_others(request):
        rows = rows.exclude(name__in=denied_to(request.user.pk))
    return rows.values_list("name", flat=True)


def _people(request: HttpRequest) -> QuerySet[Any]:
    """The users whose tokens this visitor may see, create and revoke."""
    users: QuerySet[Any] = get_user_model()._default_manager.all()
    mine = Q(pk=request.user.pk or 0)
    if not _may_make_for_others(request):
        return users.filter(mine)
    return users.filter(mine | Q(pk__in=users_to_manage(request.user).values("pk")))
