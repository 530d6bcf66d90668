"""A new session that continues an older one from some point of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from agents.budgets.shares import Sharer, Shares
from myagent.protocol.error_codes import ErrorCode
from myagent.protocol.server_events import ForkedFrom
from sessions_app.journal.batch import Batch
from sessions_app.journal.entries.messages import Posted, PostMessage
from sessions_app.journal.entries.sessions import CreateSession
from sessions_app.journal.file_links import check_files, share_files
from sessions_app.journal.fork_copy import ForkCopy
from sessions_app.journal.fork_point import ForkPoint, before_message, behind_event
from sessions_app.journal.fork_state import kept_state
from sessions_app.journal.locked_rows import LockedSession
from sessions_app.journal.refusal import Refused
from sessions_app.journal.stored_size import files_size, frames_size
from sessions_app.models import Event, Message, Run, Session


@dataclass(frozen=True, slots=True)
class Forked:
    """How a session was forked. `posted` is the message that was said in the new one, if there is one.

    `has_state` is false where the state that the tools had at this point was not kept, so that they begin with nothing.
    """

    posted: Posted | None
    has_state: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkSession(CreateSession):
    """A new session with copies of what came before a point of `source_id`, and of the tools' state there.

    With `post` a message is said in it at once, which is the message `before` itself if it `says_again`. Nothing of the
    source is changed. Refused as the creation of a session and a message are, with `session_not_found`,
    `message_not_found`, or `cursor_ahead`.
    """

    source_id: uuid.UUID
    before: str | None = None
    at: int | None = None
    post: PostMessage | None = None
    says_again: bool = False

    @property
    def read_session(self) -> uuid.UUID | None:
        return self.source_id

    @property
    def counted_sharer(self) -> Sharer | None:
        # Whatever is limited: a copy is as large as the whole session.
        return self.sharer if self.shares is not None else None

    @property
    def paced_user(self) -> int | None:
        return self.post.paced_user if self.post is not None else None

    @property
    def limited_agent(self) -> str | None:
        return self.post.limited_agent if self.post is not None else None

    def apply(self, batch: Batch) -> Forked:
        source = batch.locks.session(self.source_id)
        batch.writes.flush()
        point = self._point(source)
        self.check(batch)
        if self.shares is not None:
            self._check_room(batch, self.shares, point)
        post = self._message(point)
        title, metadata, family = Session.objects.values_list("title", "metadata", "family_id").get(pk=source.id)
        target = LockedSession(
            self.session_id, source.agent, self.user_id, title, Session.Status.OPEN, 0, 0, self.visitor, 0
        )
        lease = None
        if post is not None:
            post.check(batch, target, [])
            check_files(batch, source.id, post.files)
            lease = post.usable_lease(batch, target, [])
        state = kept_state(source.id, point)
        # From here on nothing is refused: what is written stays.
        origin = ForkedFrom(session_id=str(source.id), message_id=self.before, seq=self.at)
        # Whoever forks a session of somebody else knows that one, and need not know what it continues.
        root = family if family is not None and source.user_id == self.user_id else source.id
        target = replace(self, title=title, metadata=metadata, forked_from=origin, family_id=root).insert(batch)
        batch.writes.change(Session, target.id, state=state or {})
        ForkCopy(batch, source.id, target, point).write()
        share_files(batch, source, target)
        posted = post.store(batch, target, [], lease) if post is not None else None
        return Forked(posted, has_state=state is not None)

    def _point(self, source: LockedSession) -> ForkPoint:
        if self.before is not None:
            return before_message(source.id, self.before, source.last_seq)
        return behind_event(source.id, self.at or 0, source.last_seq)

    def _check_room(self, batch: Batch, shares: Shares, point: ForkPoint) -> None:
        """Raise `Refused` where the copies have no room. The history takes about as much as the log."""
        size = frames_size(Event.objects.filter(session_id=self.source_id, seq__lte=point.last_seq))
        batch.shares.check_copy(self.sharer, shares, 2 * size + files_size(self.source_id))

    def _message(self, point: ForkPoint) -> PostMessage | None:
        if self.post is None or point.again is None:
            return self.post
        schema = Run.objects.filter(pk=point.again).values_list("output_schema", flat=True).first()
        post = replace(self.post, output_schema=schema)
        if not self.says_again:
            return post
        of_source = Message.objects.filter(session_id=self.source_id)
        said = of_source.filter(client_id=self.before).first()
        said = said or of_source.filter(run_id=point.again, role=Message.Role.USER).order_by("pk").first()
        if said is None:
            raise Refused(ErrorCode.MESSAGE_NOT_FOUND)
        return replace(post, message=said.to_library())
