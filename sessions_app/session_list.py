"""Pages of a user's own sessions. Blocking: called in a database thread.

A family is a session with its forks, and with theirs. Its newest session stands for it in a list of families.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from myagent.protocol.codec import timestamp
from sessions_app.models import Message, Run, Session

_WORDS_AT_MOST = 6
"""Of a search; the rest of a longer one is looked for as one phrase."""
_FAMILY = Coalesce("family_id", "pk")
_UNFINISHED = (Run.Status.WAITING, Run.Status.RUNNING, Run.Status.QUEUED)
"""What a family is said to be: the first of these that one of its sessions is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The sessions of a user with these agents that have each word of `query` in the title or in what was said.

    With `family_id`, those of the family that a session with this id is of, or was; there are none where it is no id.
    """

    user_id: int | None
    agents: Collection[str]
    query: str = ""
    family_id: str | None = None

    def sessions(self) -> QuerySet[Session]:
        """All of them, in no order."""
        rows: QuerySet[Session] = Session.objects.of(self.user_id).filter(agent__in=self.agents)
        for word in self.query.split(maxsplit=_WORDS_AT_MOST - 1):
            # Not a join: so the newest sessions are looked at first, and no more than fill the page.
            said = Message.objects.filter(session_id=OuterRef("pk"), content__icontains=word)
            rows = rows.filter(Q(title__icontains=word) | Exists(said))
        return rows if self.family_id is None else rows.filter(self._in_family(self.family_id))

    def _in_family(self, named: str) -> Q:
        try:
            named_id = uuid.UUID(named)
        except ValueError:
            return Q(pk__in=[])
        own = Session.objects.of(self.user_id).filter(pk=named_id, family_id__isnull=False).values("family_id")
        return _in_families([named_id]) | Q(family_id=Subquery(own)) | Q(pk=Subquery(own), family_id=None)

    def newest(self) -> QuerySet[Session]:
        """Of each family the most recently active one of them."""
        of_family = Coalesce(OuterRef("family_id"), OuterRef("pk"))
        later = Q(active_at__gt=OuterRef("active_at")) | Q(active_at=OuterRef("active_at"), pk__gt=OuterRef("pk"))
        # One for each index: a fork that is newer, and the session that all of them continue.
        fork = self.sessions().filter(later, family_id=of_family)
        root = self.sessions().filter(later, pk=OuterRef("family_id"))
        return self.sessions().filter(~Exists(fork), ~Exists(root))


def page_of(
    wanted: Wanted, *, families: bool = False, before: str | None = None, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of these sessions as `system.sessions` has them, newest first, and where the next page begins.

    With `families` one session for each family. Raises `ValueError` for a `before` that no page ended with.
    """
    rows = wanted.newest() if families else wanted.sessions()
    if before:
        moment, pk = _parse_page_mark(before)
        rows = rows.filter(Q(active_at__lt=moment) | Q(active_at=moment, pk__lt=pk))
    rows = _with_statuses(rows).defer("state", "metadata")
    page = list(rows.order_by("-active_at", "-pk")[: limit + 1])
    mark = _page_mark(page[limit - 1]) if len(page) > limit else None
    page = page[:limit]
    facts = _facts_of(wanted, {row.family_id or row.pk for row in page}) if families and page else {}
    return [_summary(row, facts.get(row.family_id or row.pk)) for row in page], mark


def summary_of(session_id: uuid.UUID) -> dict[str, Any] | None:
    """What a page says of one session, with its metadata; None where it was deleted."""
    row = _with_statuses(Session.objects.filter(pk=session_id)).defer("state").first()
    return None if row is None else {**_summary(row, None), "metadata": row.metadata}


def _with_statuses(rows: QuerySet[Session]) -> QuerySet[Any]:
    # The oldest one: it is the active one, if there is one.
    runs = Run.objects.filter(session_id=OuterRef("pk"))
    next_run = runs.unfinished().order_by("queued_at").values("status")[:1]
    newest = runs.order_by("-queued_at").values("status")[:1]
    return rows.annotate(run_status=Subquery(next_run), newest_status=Subquery(newest))


def _facts_of(wanted: Wanted, families: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[str, Any]]:
    """Of each of these families that has more than one session: `size`, `unread`, `run_status`."""
    members = wanted.sessions().filter(_in_families(families))
    unread = Count("pk", filter=Q(last_seq__gt=F("acked_seq")))
    counted = members.order_by().values(family=_FAMILY).annotate(size=Count("pk"), unread=unread).filter(size__gt=1)
    facts: dict[uuid.UUID, dict[str, Any]] = {
        row["family"]: {"size": row["size"], "unread": row["unread"]} for row in counted
    }
    if not facts:
        return {}
    statuses: dict[uuid.UUID, set[str]] = defaultdict(set)
    unfinished = Run.objects.unfinished().filter(session__in=members.filter(_in_families(facts)).values("pk"))
    for family, status in unfinished.values_list(Coalesce("session__family_id", "session_id"), "status"):
        statuses[family].add(status)
    for family, row in facts.items():
        row["run_status"] = next((str(one.value) for one in _UNFINISHED if one in statuses[family]), "idle")
    return facts


def _in_families(families: Iterable[uuid.UUID]) -> Q:
    ids = list(families)
    return Q(family_id__in=ids) | Q(pk__in=ids, family_id=None)


def _page_mark(session: Session) -> str:
    return f"{session.active_at.isoformat()}|{session.pk}"


def _parse_page_mark(mark: str) -> tuple[datetime, uuid.UUID]:
    moment, _, pk = mark.partition("|")
    parsed = datetime.fromisoformat(moment)
    if parsed.tzinfo is None:
        raise ValueError(mark)
    try:
        return parsed.astimezone(UTC), uuid.UUID(pk)
    except OverflowError as error:
        raise ValueError(mark) from error


def _summary(session: Any, family: dict[str, Any] | None) -> dict[str, Any]:
    origin = {} if session.forked_from is None else {"forked_from": session.forked_from}
    if session.family_id is not None:
        origin["family_id"] = str(session.family_id)
    return {
        "session_id": str(session.pk),
        "agent": session.agent,
        "title": session.title,
        "status": session.status,
        "last_seq": session.last_seq,
        "read_seq": session.acked_seq,
        "run_status": session.run_status or "idle",
        "failed": session.newest_status == Run.Status.FAILED,
        "created_at": timestamp(session.created_at),
        "active_at": timestamp(session.active_at),
        **origin,
        **({} if family is None else {"family": family}),
    }
