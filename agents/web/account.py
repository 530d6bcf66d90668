"""The pages of the own account: who one is, one's tokens, the password, and the end of all logins."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib import auth
from django.contrib.admin.models import LogEntry
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.access.browser_logins import can_end_logins, end_logins
from agents.access.password_line import LineIsFull, line
from agents.audit import log_columns
from agents.models import AccessToken
from agents.web import login_audit
from agents.web.form_page import form_page
from agents.web.login import INVITED, refuse, words_for
from agents.web.password_login import BUSY_SECONDS, TooManyFailures, is_own_password, without_connection

logger = logging.getLogger("myagent.access")

_SAID = {
    "password": gettext_lazy("Your password was changed. Your other logins end."),
    "revoked": gettext_lazy("The token was revoked. Connections with it are closed within seconds."),
}


class OwnPasswordForm(PasswordChangeForm):
    """Django's own, whose wrong passwords are counted."""

    def clean_old_password(self) -> str:
        old: str = self.cleaned_data["old_password"]
        if not is_own_password(self.user, old):
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return old


@require_safe
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """Who one is and what one has."""
    tokens = AccessToken.objects.filter(user=request.user.pk).usable(timezone.now())
    facts = {
        "title": _("My account"),
        "tokens": tokens,
        "may_set_password": _form_kind(request) is not None,
        "can_end_logins": can_end_logins(),
        "said": _SAID.get(request.GET.get("done", "")),
    }
    return form_page(request, "agents/account.html", facts)


@require_http_methods(["GET", "HEAD", "POST"])
@csrf_protect
@login_required
@sensitive_post_parameters()
def password(request: HttpRequest) -> HttpResponse:
    """Change the own password; whoever has none and came with a link sets the first one."""
    facts: dict[str, Any] = {"title": _("Change the password"), "narrow": True}
    kind = _form_kind(request)
    if kind is None:
        return form_page(request, "agents/password.html", facts)
    facts["form"] = form = kind(request.user, request.POST if request.method == "POST" else None)
    if request.method != "POST":
        return form_page(request, "agents/password.html", facts)
    try:
        if not form.is_valid():
            return form_page(request, "agents/password.html", facts)
        _save(form)
    except TooManyFailures as refused:
        facts |= {"trouble": words_for(refused), "form": kind(request.user)}
        return refuse(request, form_page(request, "agents/password.html", facts), refused)
    auth.update_session_auth_hash(request, form.user)
    request.session.pop(INVITED, None)
    login_audit.note(form.user, login_audit.password_changed())
    logger.info("%s has changed their password.", form.user.get_username())
    return HttpResponseRedirect(f"{reverse('account')}?done=password")


def _form_kind(request: HttpRequest) -> type[SetPasswordForm] | None:
    if request.user.has_usable_password():  # type: ignore[union-attr]  # who is logged in
        return OwnPasswordForm
    return SetPasswordForm if request.session.get(INVITED) else None


def _save(form: SetPasswordForm) -> None:
    try:
        without_connection()
        with line.turn(0):
            form.save()
    except LineIsFull as error:
        raise TooManyFailures(BUSY_SECONDS) from error


@require_POST
@csrf_protect
@login_required
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    """Revoke one of the own tokens."""
    token = get_object_or_404(AccessToken, pk=token_id, user=request.user.pk)
    token.revoke(timezone.now())
    words = login_audit.token_revoked()
    columns = log_columns(AccessToken, token.pk, str(token), user_id=token.user_id, message=words)
    LogEntry.objects.create(**columns)
    logger.info("%s has revoked the token %s.", request.user.get_username(), token)
    return HttpResponseRedirect(f"{reverse('account')}?done=revoked")


@require_POST
@csrf_protect
@login_required
def log_out_everywhere(request: HttpRequest) -> HttpResponse:
    """End all logins of the visitor, this one included, and with them the connections of their pages."""
    user = request.user
    if not can_end_logins():
        return HttpResponseRedirect(reverse("account"))
    count = end_logins(user)  # type: ignore[arg-type]  # who is logged in
    login_audit.note(user, login_audit.logged_out_everywhere(count))  # type: ignore[arg-type]
    logger.info("%s has logged out everywhere: %d logins.", user.get_username(), count)
    auth.logout(request)
    return HttpResponseRedirect(f"{reverse('login')}?left=1")
