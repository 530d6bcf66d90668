"""The addresses of the pages with forms; those of the admin with the same purpose lead to these, too."""

from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView

from agents.web import account, login

urlpatterns = [
    path("login/", login.log_in, name="login"),
    path("login/link/", login.invitation, name="invitation"),
    path("logout/", login.log_out, name="logout"),
    path("account/", account.account, name="account"),
    path("account/password/", account.password, name="password"),
    path("account/tokens/<int:token_id>/revoke/", account.revoke_token, name="revoke_token"),
    path("account/logout/", account.log_out_everywhere, name="logout_everywhere"),
    # Before the admin's own, which know no brakes.
    path("admin/login/", login.log_in),
    path("admin/logout/", login.log_out),
    path("admin/password_change/", RedirectView.as_view(pattern_name="password")),
]
