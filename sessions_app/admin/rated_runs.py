"""What users thought of answers: to find these runs, to see it, and to take it away for whoever improves the agent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.db.models import QuerySet
from django.db.models.functions import Substr
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from agents.audit import log_columns
from myagent.text import with_marks
from sessions_app.admin.base import ConversationAdmin, may_view
from sessions_app.admin.show import excerpt
from sessions_app.conversation_export import EXPORTED
from sessions_app.models import Message, Run

RUNS_AT_MOST = 10_000
"""Of one export, which is in memory as a whole."""
TEXT_AT_MOST = 10_000
"""Characters of a question or an answer in it."""
_RUNS_AT_A_TIME = 200
_SIGNS = {Run.Rating.UP: "👍", Run.Rating.DOWN: "👎"}


class RatingFilter(admin.SimpleListFilter):
    """By what users thought of the answer."""

    title = _("rating")
    parameter_name = "rating"
    ANY, COMMENTED = "any", "commented"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        words = [(rating.value, rating.label) for rating in Run.Rating]
        return [*words, (self.ANY, _("rated")), (self.COMMENTED, _("with a comment"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case None:
                return queryset
            case self.ANY:
                return queryset.filter(rated_at__isnull=False)
            case self.COMMENTED:
                return queryset.filter(rated_at__isnull=False).exclude(comment="")
            case value:
                return queryset.filter(rated_at__isnull=False, rating=value)


class RatedAdmin(ConversationAdmin):
    """Runs with what users thought of their answers. A comment is read by those who may read messages."""

    @admin.display(description=_("comment"))
    def feedback(self, run: Run) -> SafeString | str:
        if not run.rating:
            return "-"
        return format_html("{} {}", sign_of(run), with_marks(run.comment or ""))

    def has_export_feedback_permission(self, request: HttpRequest) -> bool:
        return may_view(request, *EXPORTED) and request.user.has_perm("sessions_app.export_session")

    @admin.action(description=_("Export the feedback on the selected runs"), permissions=["export_feedback"])
    def export_feedback(self, request: HttpRequest, queryset: QuerySet[Run]) -> HttpResponse | None:
        """JSON lines, one for each rated run; those of the list that were not rated are left out."""
        rated = queryset.filter(rated_at__isnull=False).order_by("rated_at")
        if (count := rated.count()) > RUNS_AT_MOST:
            words = _("These are %(count)d ratings; at most %(limit)d can be exported at once. Narrow the list.")
            self.message_user(request, words % {"count": count, "limit": RUNS_AT_MOST}, messages.WARNING)
            return None
        content = b"".join(orjson.dumps(line) + b"\n" for line in _lines(rated))
        note = str(_("Exported the feedback on %(count)d runs.") % {"count": count})
        LogEntry.objects.create(**log_columns(Run, "", excerpt(note), user_id=request.user.pk or 0, message=note))
        headers = {"Content-Disposition": 'attachment; filename="feedback.jsonl"'}
        return HttpResponse(content, content_type="application/jsonl", headers=headers)


def sign_of(run: Run) -> str:
    """What the user thought of its answer, as a picture."""
    return _SIGNS[Run.Rating(run.rating)] if run.rating else ""


def _lines(rated: QuerySet[Run]) -> Iterator[dict[str, Any]]:
    keys = list(rated.values_list("pk", flat=True))
    for start in range(0, len(keys), _RUNS_AT_A_TIME):
        page = keys[start : start + _RUNS_AT_A_TIME]
        found = Run.objects.filter(pk__in=page).select_related("session__user").defer("session__state", "end_state")
        said = _texts(page, Message.Role.USER, "-pk")
        answered = _texts(page, Message.Role.ASSISTANT, "pk")
        for run in sorted(found, key=lambda run: page.index(run.pk)):
            yield {
                "run_id": run.pk,
                "session_id": run.session_id,
                "agent": run.session.agent,
                "user": run.session.user.get_username() if run.session.user else None,
                "rating": run.rating,
                "comment": run.comment or "",
                "rated_at": run.rated_at,
                "question": said.get(run.pk, ""),
                "answer": answered.get(run.pk, ""),
            }


def _texts(runs: list[Any], role: Message.Role, order: str) -> dict[Any, str]:
    """What was said in these runs by somebody: of several texts the last in this order."""
    found = Message.objects.filter(run__in=runs, role=role).exclude(content="").order_by(order)
    return dict(found.values_list("run", Substr("content", 1, TEXT_AT_MOST)))
