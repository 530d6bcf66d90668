"""What a client is told whose run waits for a place."""

from __future__ import annotations

from myagent.i18n import gettext as _
from myagent.protocol.direct_events import NoticeMetadata, SystemNotice
from sessions_app.run_queue import Place


def queued_notice(place: Place) -> SystemNotice:
    """The notice of a run that is not started yet, because others come first."""
    before = place.position - 1
    words = _("Waiting: %(count)d before you") % {"count": before} if before else _("Waiting: you are next")
    metadata = NoticeMetadata(action="queued", run_id=str(place.run_id), position=place.position)
    return SystemNotice(content=words, metadata=metadata)
