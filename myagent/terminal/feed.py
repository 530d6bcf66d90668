"""From the server to the screen: the transcript of a session, and what of it is still to be printed."""

from __future__ import annotations

from collections.abc import Callable

from myagent.client import Link, ServerFrame
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode
from myagent.terminal.address import Address
from myagent.terminal.blocks import Block, Note, newest
from myagent.terminal.error_words import cannot_connect
from myagent.terminal.said_messages import SaidMessages
from myagent.terminal.screen import Screen
from myagent.terminal.transcript import Transcript


class Feed:
    """One session, or none yet. `on_news` is called when something has changed; only `print` prints."""

    def __init__(
        self,
        session_id: str | None,
        *,
        address: Address,
        screen: Screen,
        shows_history: bool,
        on_news: Callable[[], None],
    ) -> None:
        self.session_id = session_id
        self.transcript = Transcript()
        self.messages = SaidMessages()
        self.is_replaying = session_id is not None
        """Whether the server sends older events."""
        self.is_down = False
        """Whether there is no connection."""
        self._address = address
        self._screen = screen
        self._shows_history = shows_history
        self._on_news = on_news
        self._pending: list[Block] = []
        self._held: list[Block] = []
        self._forks: set[str | None] = set()

    @property
    def has_pending(self) -> bool:
        """Whether something is to be printed."""
        return bool(self._pending)

    def print(self) -> None:
        """Print what has come."""
        blocks, self._pending = self._pending, []
        if blocks:
            self._screen.show(blocks)

    def tell(self, *blocks: Block) -> None:
        """Add blocks to what is to be printed."""
        self._pending += blocks
        self._on_news()

    def link(self, link: Link) -> None:
        """Report the state of the connection, in a line when it is lost and in one when it is back."""
        was_down, self.is_down = self.is_down, link.error is not None
        if link.error is not None and not was_down:
            words = _("%(problem)s Coming back by itself…")
            self.tell(Note(words % {"problem": cannot_connect(link.error, self._address)}))
        elif link.error is None and was_down:
            self.tell(Note(_("Connected again.")))

    def take(self, frame: ServerFrame) -> None:
        """Take the next frame of the server."""
        if self._is_of_a_fork(frame):
            return
        self.messages.take(frame)
        if self._shows_history or not self.is_replaying:
            self._screen.frame(frame)
        blocks = self.transcript.take(frame)
        if self.is_replaying:
            self._held += blocks
        else:
            self._pending += blocks
        if frame.event == "system.notice" and frame.metadata.get("action") == "replay":
            self._caught_up(frame)
        elif frame.session_id == self.session_id and frame.metadata.get("request") == "user.reconnect":
            self._cannot_resume(frame)
        if self.transcript.is_gone:
            self.session_id = None
        self._on_news()

    def _is_of_a_fork(self, frame: ServerFrame) -> bool:
        """Whether this is of a session that was forked from here, which is shown once it is opened."""
        is_other = self.session_id is not None and frame.session_id != self.session_id
        if frame.event == "agent.session_created" and is_other and not self.is_replaying:
            self._forks.add(frame.session_id)
        if frame.session_id not in self._forks:
            return False
        if frame.event == "system.notice" and frame.metadata.get("action") == "state_unknown":
            self.tell(Note(str(frame.content), "warning"))
        return True

    def _caught_up(self, notice: ServerFrame) -> None:
        if notice.metadata.get("run_status") == "idle":
            self.transcript.settle()
        if self.is_replaying:
            self.is_replaying = False
            if self._shows_history:
                self._pending += newest(self._held)
            self._held.clear()

    def _cannot_resume(self, refusal: ServerFrame) -> None:
        """The server does not know what this client has seen."""
        if self.is_replaying:
            return  # the request for the session reports it
        self.transcript.settle()
        if refusal.code == ErrorCode.CURSOR_AHEAD:
            words = _("The server was restored to an earlier state; it may not have the latest messages shown here.")
        else:
            words = _("The session is not there any more; the next message begins a new one.")
            self.session_id = None
        self._pending.append(Note(words, "warning"))
