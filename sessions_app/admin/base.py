"""The base of the admin pages of conversations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse

from agents.admin.read_only import ReadOnlyAdmin
from sessions_app.admin.show import list_url, page_url

# Where a button leads: to the page of a row, or to a list and its filter.
Target = Model | tuple[type[Model], Mapping[str, object]]


def may_view(request: HttpRequest, *kinds: type[Model]) -> bool:
    """Whether this visitor may view all of these kinds of rows."""
    return request.user.has_perms([f"{kind._meta.app_label}.view_{kind._meta.model_name}" for kind in kinds])


def buttons_to(request: HttpRequest, targets: Iterable[Target]) -> list[dict[str, Any]]:
    """Buttons to those of `targets` that the visitor may view, for the template."""
    buttons = []
    for target in targets:
        kind, url = (
            (target[0], list_url(target[0], **target[1]))
            if isinstance(target, tuple)
            else (type(target), page_url(target))
        )
        if may_view(request, kind):
            options = kind._meta
            name = options.verbose_name_plural if isinstance(target, tuple) else options.verbose_name
            buttons.append({"url": url, "name": name})
    return buttons


def visible(request: HttpRequest, rows: QuerySet[Any], owner: str) -> QuerySet[Any]:
    """Those of `rows` that this visitor may see; `owner` is the path to the user whose conversation a row is of.

    With `view_any_session` all of them, with `view_led_session` their own and those of members of the groups that they
    lead, else their own.
    """
    if request.user.has_perm("sessions_app.view_any_session"):
        return rows
    mine = Q(**{owner: request.user.pk})
    if request.user.has_perm("sessions_app.view_led_session"):
        users = get_user_model()._default_manager
        mine |= Q(**{f"{owner}__in": users.filter(groups__leads__user=request.user.pk).values("pk")})
    return rows.filter(mine)


class PageList(ChangeList):
    """A list that reads only the columns it shows, and completes the rows of one page together."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        rows = super().get_queryset(request, exclude_parameters)
        return self.model_admin.for_list(rows)  # type: ignore[no-any-return, attr-defined]  # ConversationAdmin

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        self.model_admin.complete(self.result_list)  # type: ignore[attr-defined]


class ConversationAdmin(ReadOnlyAdmin):
    """Rows of conversations: never changed, and viewed by users with the view permission.

    Rows of other users' conversations need a further permission, see `visible`; without it they do not exist.
    """

    actions: Any = None
    show_full_result_count = False  # counting the rows that were found is enough, and half the work
    list_per_page = 50
    owned_by = "session__user"
    """The path from a row to the user who owns its conversation."""
    in_order: tuple[Any, ...] = ()
    """The order of a list that is narrowed to one session or run; without it, `ordering`."""

    class Media:
        css = {"all": ["sessions_app/admin.css"]}

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return visible(request, rows, self.owned_by)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PageList

    def get_ordering(self, request: HttpRequest) -> Any:
        narrowed = "session" in request.GET or "run" in request.GET
        return self.in_order if narrowed and self.in_order else super().get_ordering(request)

    def for_list(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """`rows` without the columns that the list does not show."""
        return rows

    def complete(self, rows: list[Any]) -> None:
        """Add to the rows of one page what needs a query of its own."""

    def related(self, row: Any) -> Iterable[Target]:
        """The targets of the buttons on a row's page."""
        return ()

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the template of a row's page needs in addition to the fields."""
        return {}

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context.update(self.page_context(request, obj), buttons=buttons_to(request, self.related(obj)))
        return super().render_change_form(request, context, add, change, form_url, obj)
