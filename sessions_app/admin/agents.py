"""Agents: what servers have loaded, their active runs, and what operators decide.

Not in `agents`, which knows nothing of runs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from agents.access.agent_permissions import limited_agents
from agents.admin.use import UsedToday
from agents.loading.registry import get_registry
from agents.models import HostedAgent
from sessions_app.admin.base import PageList, Target, buttons_to, may_view
from sessions_app.admin.model_states import model_states
from sessions_app.admin.show import block, count_badges, excerpt, link, list_url, moment, pretty
from sessions_app.models import Run, Session

_CEILINGS = ("max_steps", "max_tokens", "max_tool_calls", "max_seconds")
"""What each run may use at most."""
SHOWN_STATUSES = (Run.Status.RUNNING, Run.Status.WAITING, Run.Status.QUEUED)


@admin.register(HostedAgent)
class HostedAgentAdmin(UsedToday):
    """Shows what servers have loaded; only what operators decide can be changed."""

    list_display = ("name", "badge", "last_error", "runs", "model", "used_today", "tool_count", "loaded")
    list_filter = ("enabled", "limited")
    search_fields = ("name", "description", "source")
    filter_horizontal = ("groups",)
    actions = ("enable", "disable", "open_up", "reload")
    readonly_fields = (
        *("name", "badge", "description", "source", "model", "models_now", "tool_list"),
        *("runs", "used_today", "open_to", "loaded", "failed", "reload_requested", "whole_error"),
    )
    fieldsets = (
        (None, {"fields": ("name", "badge", "description", "model", "models_now", "runs", "used_today")}),
        (
            _("Decided by operators"),
            {"fields": ("enabled", "open_to", "groups", "max_runs", *_CEILINGS, "tokens_per_day")},
        ),
        (_("Loaded from"), {"fields": ("source", "loaded", "reload_requested", "failed", "whole_error")}),
        (_("Tools"), {"fields": ("tool_list",)}),
    )
    change_form_template = "sessions_app/agent.html"
    delete_confirmation_template = "sessions_app/agent_delete.html"
    delete_selected_confirmation_template = "sessions_app/agents_delete.html"
    used_by = {"agent": OuterRef("name")}

    class Media:
        css = {"all": ["sessions_app/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a server adds what it loads

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Protects agents that this server has loaded; what other servers have loaded is not known here."""
        deleted, counts, lacking, protected = super().get_deleted_objects(objs, request)
        loaded = [row.name for row in objs if get_registry().get(row.name) is not None]
        words = _("%(name)s: this server has loaded it. To keep people from it, switch it off.")
        return deleted, counts, lacking, [*protected, *(words % {"name": name} for name in loaded)]

    # --- the list and the page ---

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PageList

    def get_list_display(self, request: HttpRequest) -> Any:
        return self._may_see(request, self.list_display)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = [name for _title, options in self.fieldsets for name in self._may_see(request, options["fields"])]
        if obj is None or not model_states(obj.name):
            shown.remove("models_now")
        return [
            (title, {"fields": [name for name in options["fields"] if name in shown]})
            for title, options in self.fieldsets
        ]

    def _may_see(self, request: HttpRequest, names: Iterable[Any]) -> list[Any]:
        return [name for name in names if name != "runs" or may_view(request, Run)]

    def for_list(self, rows: QuerySet[HostedAgent]) -> QuerySet[HostedAgent]:
        return rows.defer("description")

    def complete(self, rows: list[Any]) -> None:
        """Count the unfinished runs of these agents in one query, and read which of them are limited in another."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for agent, status in Run.objects.unfinished().values_list("session__agent", "status"):
            counts[agent][status] += 1
        limited = limited_agents()
        for row in rows:
            row.run_counts = counts[row.name]
            row.for_everybody = row.name not in limited
            row.has_no_group_left = not row.for_everybody and not limited[row.name]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            self.complete([row])
        return row

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        row = kwargs.get("obj")
        if row is not None:
            context.update(buttons=buttons_to(request, self._related(row)), actions=self._page_actions(request, row))
        return super().render_change_form(request, context, *args, **kwargs)

    def _related(self, row: HostedAgent) -> Iterable[Target]:
        return [(Session, {"agent": row.name}), (Run, {"session__agent": row.name})]

    def _page_actions(self, request: HttpRequest, row: Any) -> list[tuple[str, Any]]:
        """The buttons of an agent's page: the actions of the list, with this row selected."""
        if not self.has_change_permission(request, row):
            return []
        switch = ("disable", _("Switch off")) if row.enabled else ("enable", _("Switch on"))
        opening = [("open_up", _("Open to everybody"))] if not row.for_everybody else []
        return [switch, *opening, ("reload", _("Reload"))]

    @admin.display(description=_("state"), ordering="enabled")
    def badge(self, agent: Any) -> SafeString:
        badges = [(agent.state, agent.state.label)]
        if agent.is_default:
            badges.append(("default", _("default")))
        if agent.has_no_group_left:
            badges.append(("failed", _("no group left")))
        return format_html_join(" ", '<span class="badge badge-{}">{}</span>', badges)

    @admin.display(description=_("open to"))
    def open_to(self, agent: Any) -> Any:
        if agent.has_no_group_left:
            return _(
                "Only users who may use every agent: its groups were deleted. Choose others, or open it to everybody "
                "with the button above."
            )
        return _("everybody") if agent.for_everybody else _("the members of its groups")

    @admin.display(description=_("tools"))
    def tool_count(self, agent: HostedAgent) -> str:
        return gettext("chosen by each run") if agent.dynamic_tools else str(len(agent.tools))

    @admin.display(description=_("runs now"))
    def runs(self, agent: Any) -> SafeString | str:
        shown = count_badges(agent.run_counts, SHOWN_STATUSES)
        return link(list_url(Run, session__agent=agent.name), shown) if shown else "-"

    @admin.display(description=_("models now"))
    def models_now(self, agent: HostedAgent) -> SafeString:
        return model_states(agent.name)

    @admin.display(description=_("loaded"), ordering="loaded_at")
    def loaded(self, agent: HostedAgent) -> str:
        return moment(agent.loaded_at)

    @admin.display(description=pgettext_lazy("moment", "failed"), ordering="failed_at")
    def failed(self, agent: HostedAgent) -> str:
        return moment(agent.failed_at)

    @admin.display(description=pgettext_lazy("moment", "reload requested"))
    def reload_requested(self, agent: HostedAgent) -> str:
        return moment(agent.reload_requested_at)

    @admin.display(description=_("error"), ordering="error")
    def last_error(self, agent: HostedAgent) -> str:
        return excerpt(agent.error, 80) or "-"

    @admin.display(description=_("error"))
    def whole_error(self, agent: HostedAgent) -> SafeString:
        return block(agent.error)

    @admin.display(description=_("tools"))
    def tool_list(self, agent: HostedAgent) -> SafeString | str:
        if agent.dynamic_tools:
            return gettext("chosen by each run")
        lines = (
            (tool.get("name", ""), tool.get("description", ""), block(pretty(tool.get("parameters", {}))))
            for tool in agent.tools
        )
        html = '<details class="called"><summary><code>{}</code> <span class="gist">{}</span></summary>{}</details>'
        return format_html_join("", html, lines) or "-"

    # --- what operators do ---

    @admin.action(description=_("Switch the selected agents on"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[HostedAgent]) -> None:
        count = self._switch(request, queryset, enabled=True)
        words = ngettext("%(count)d agent was switched on.", "%(count)d agents were switched on.", count)
        self.message_user(request, words % {"count": count})

    @admin.action(description=_("Switch the selected agents off"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[HostedAgent]) -> None:
        count = self._switch(request, queryset, enabled=False)
        words = ngettext(
            "%(count)d agent was switched off: active runs finish as usual, and no new ones start.",
            "%(count)d agents were switched off: active runs finish as usual, and no new ones start.",
            count,
        )
        self.message_user(request, words % {"count": count})

    def _switch(self, request: HttpRequest, rows: QuerySet[HostedAgent], *, enabled: bool) -> int:
        changed = [row for row in rows if row.enabled is not enabled]
        for row in changed:
            row.enabled = enabled
            row.save(update_fields=["enabled"])
            self.log_change(request, row, _("Switched on.") if enabled else _("Switched off."))
        return len(changed)

    @admin.action(description=_("Open the selected agents to everybody"), permissions=["change"])
    def open_up(self, request: HttpRequest, queryset: QuerySet[HostedAgent]) -> None:
        """Remove their groups. Saving a form never does that: if the groups were deleted, the form has none, too."""
        limited = list(queryset.filter(name__in=limited_agents()))
        for row in limited:
            row.groups.clear()
            self.log_change(request, row, _("Opened to everybody."))
        words = ngettext(
            "%(count)d agent was opened to everybody.", "%(count)d agents were opened to everybody.", len(limited)
        )
        self.message_user(request, words % {"count": len(limited)})

    @admin.action(description=_("Reload the selected agents"), permissions=["change"])
    def reload(self, request: HttpRequest, queryset: QuerySet[HostedAgent]) -> None:
        rows = list(queryset)
        HostedAgent.objects.filter(pk__in=[row.pk for row in rows]).request_reload()
        for row in rows:
            self.log_change(request, row, _("Requested a reload."))
        words = ngettext(
            "%(count)d agent will be reloaded within seconds. If that fails, the version loaded before stays in use, "
            "and the error is shown here.",
            "%(count)d agents will be reloaded within seconds. If that fails, the version loaded before stays in "
            "use, and the error is shown here.",
            len(rows),
        )
        self.message_user(request, words % {"count": len(rows)})
