"""The pages to log in, with a password or a link, and to log out; for every active user, staff or not."""

from __future__ import annotations

import logging
import posixpath
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.contrib import auth
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import get_script_prefix, reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from agents.access.brakes import REFUSED_SECONDS
from agents.models import Invitation
from agents.web import login_audit
from agents.web.form_page import form_page
from agents.web.known_browser import remember_browser
from agents.web.late_answers import send_late
from agents.web.password_login import TooManyFailures, WrongPassword, address_of, begin
from agents.web.password_login import log_in as log_in_with_password

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger("myagent.access")

INVITED = "myagent.invited"
"""In the data of a browser session: it began with a link, so its user may set a first password."""
_methods = require_http_methods(["GET", "HEAD", "POST"])


def own_path(url: str, default: str) -> str:
    """`url` where it is a path of this server's own, else `default`: nobody is sent elsewhere."""
    if not url.startswith("/") or not url_has_allowed_host_and_scheme(url, allowed_hosts=None):
        return default
    # Above the prefix lies what is not ours, also by way of `..`.
    path = posixpath.normpath(urlsplit(url).path.replace("%2e", ".").replace("%2E", "."))
    return url if f"{path}/".startswith(get_script_prefix()) else default


@_methods
@csrf_protect
@sensitive_post_parameters("password")
def log_in(request: HttpRequest) -> HttpResponse:
    """The login page; also that of the admin, where who may not see the admin can log in as somebody else."""
    home = reverse("admin:index") if request.path == reverse("admin:login") else reverse("index")
    data = request.POST if request.method == "POST" else request.GET
    target = own_path(data.get("next", ""), home)
    facts: dict[str, Any] = {"title": _("Log in"), "narrow": True, "next": target, "home": reverse("index")}
    if request.method == "POST":
        return _try(request, target, facts)
    if request.user.is_authenticated:
        if request.user.is_staff or not target.startswith(reverse("admin:index")):
            return HttpResponseRedirect(target)
        facts["not_permitted"] = True
    elif "left" in request.GET:
        facts["said"] = _("You are logged out.")
    return form_page(request, "agents/login.html", facts)


def _try(request: HttpRequest, target: str, facts: dict[str, Any]) -> HttpResponse:
    name, password = request.POST.get("username", "").strip(), request.POST.get("password", "")
    facts["username"] = name[:254]
    if not name or not password or len(name) > 254 or len(password) > 4096 or "\0" in name + password:
        facts["trouble"] = _("Enter a name and a password.")
        return form_page(request, "agents/login.html", facts)
    try:
        user = log_in_with_password(request, name, password)
    except WrongPassword as wrong:
        facts["trouble"] = _("The name or the password is wrong. Mind capital letters.")
        send_late(request, wrong.delay)
        return form_page(request, "agents/login.html", facts)
    except TooManyFailures as refused:
        facts["trouble"] = words_for(refused)
        return refuse(request, form_page(request, "agents/login.html", facts), refused)
    return _to(target, user)


def _to(target: str, user: User) -> HttpResponse:
    answer = HttpResponseRedirect(target)
    remember_browser(answer, user)
    return answer


def words_for(refused: TooManyFailures) -> str:
    """What a person is told who is refused."""
    words = _("Too many attempts. Please try again in %(seconds)d s. A link to log in, or a token, works meanwhile.")
    return words % {"seconds": refused.seconds}


def refuse(request: HttpRequest, page: HttpResponse, refused: TooManyFailures) -> HttpResponse:
    """This page as the answer to an attempt too many: 429, with the time to wait, and late."""
    page.status_code = HTTPStatus.TOO_MANY_REQUESTS
    page.headers["Retry-After"] = str(refused.seconds)
    send_late(request, REFUSED_SECONDS)
    return page


@_methods
@csrf_protect
def log_out(request: HttpRequest) -> HttpResponse:
    """Ends the browser session, by POST; the connections of its pages are closed within moments. GET asks."""
    if not request.user.is_authenticated:
        return redirect("login")
    if request.method != "POST":
        return form_page(request, "agents/logout.html", {"title": _("Log out"), "narrow": True})
    user = request.user
    login_audit.note(user, login_audit.logged_out())
    logger.info("%s has logged out.", user.get_username())
    auth.logout(request)
    return HttpResponseRedirect(f"{reverse('login')}?left=1")


@_methods
@csrf_protect
@sensitive_post_parameters("token")
def invitation(request: HttpRequest) -> HttpResponse:
    """The page of a link that logs in. Only its button uses the link up: programs that read mail open links, too.

    The secret is in the query of the link, which stands in no log.
    """
    facts: dict[str, Any] = {"title": _("Log in"), "narrow": True}
    if request.method == "POST":
        used = Invitation.objects.use(request.POST.get("token", ""))
        if used is not None:
            begin(request, used.user, login_audit.by_invitation(address_of(request)))
            request.session[INVITED] = True
            return _to(reverse("index"), used.user)
        logger.warning(
            "A link to log in that is unknown, used, expired or withdrawn was refused to %s.", address_of(request)
        )
        send_late(request, REFUSED_SECONDS)
    else:
        secret = request.GET.get("token", "")
        found = Invitation.objects.open(secret, timezone.now()).select_related("user").first()
        facts |= {"invited": found.user if found is not None else None, "secret": secret}
    status = HTTPStatus.OK if facts.get("invited") else HTTPStatus.GONE
    return form_page(request, "agents/invitation.html", facts, status=status)
