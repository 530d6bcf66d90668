"""A conversation: what is typed goes to the agent, what the agent does comes to the screen."""

from __future__ import annotations

import asyncio
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from myagent.client import Client, ClientError, FrameTooLarge, Link, RequestRefused
from myagent.i18n import gettext as _
from myagent.terminal.address import Address
from myagent.terminal.blocks import Failed, Note
from myagent.terminal.confirmation import Confirmation, Decision
from myagent.terminal.error_words import refused_words, too_large
from myagent.terminal.feed import Feed
from myagent.terminal.input import Asking, Interrupted, Left, Woken
from myagent.terminal.keyboard import quiet
from myagent.terminal.screen import Screen
from myagent.terminal.transitions import GoOn, Leave, Next
from myagent.text import clean

REDRAW_SECONDS = 0.1
CTRL_C = 130
TERMINATED = 143


class Chat(ABC):
    """One session on one reconnecting client. Everything is printed by `run`; whatever else happens only wakes it."""

    shows_history = True

    def __init__(self, goal: GoOn, *, address: Address, screen: Screen, asking: Asking) -> None:
        self.goal = goal
        self.address = address
        self.screen = screen
        self.asking = asking
        self.feed = Feed(
            goal.session_id, address=address, screen=screen, shows_history=self.shows_history, on_news=self.notify
        )
        self.transcript = self.feed.transcript
        self.client: Client
        self.next: Next | None = None
        self.run_id: str | None = None
        """The run of what was said last."""
        self.draft = ""
        """What was typed and not sent."""
        self.was_stopped = False
        """Whether the person who sits here stopped a run."""
        self._changed = asyncio.Event()
        self._failure: BaseException | None = None
        self._doing: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._confirmations: dict[str, Confirmation] = {}
        self._is_running = False
        self._is_asking = False

    @property
    def is_busy(self) -> bool:
        """Whether something goes on: a run, or a request of this program."""
        return self.transcript.is_busy or (self._doing is not None and not self._doing.done())

    # --- what happens ---

    def link(self, link: Link) -> None:
        """Take news of the connection."""
        self.feed.link(link)
        if not self._is_running:
            self.feed.print()

    def notify(self) -> None:
        """Something has happened; whoever types is woken if that is worth looking at first."""
        self._changed.set()
        if self.feed.has_pending or self.next or self._failure or self._has_moved_on():
            self.asking.wake()

    def _has_moved_on(self) -> bool:
        if self._confirmations:
            return any(key not in self.transcript.questions for key in self._confirmations)
        return self.is_busy

    async def _read(self) -> None:
        async for frame in self.client:
            self.feed.take(frame)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task has ended; with it ends the conversation, if it failed."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
        self.notify()

    # --- the conversation ---

    async def run(self, client: Client) -> Next:
        """Converse until the end, or until another session is to go on. Raises what ended the client."""
        self.client, self._is_running = client, True
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._signalled)
        loop.add_signal_handler(signal.SIGTERM, self.leave, TERMINATED)
        reading = asyncio.create_task(self._read())
        reading.add_done_callback(self._ended)
        try:
            if self.feed.session_id is not None:
                self.do(self._resume(self.feed.session_id))
            return await self._converse()
        finally:
            self.screen.rest()
            loop.remove_signal_handler(signal.SIGINT)
            loop.remove_signal_handler(signal.SIGTERM)
            tasks = [task for task in (reading, self._doing, self._stopping) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _converse(self) -> Next:
        while True:
            self.feed.print()
            if self.next is not None:
                return self.next
            if self._failure is not None:
                raise self._failure
            try:
                if (confirmation := self._open_confirmation()) is not None:
                    await self._confirm(confirmation)
                elif self.is_busy:
                    await self._watch()
                else:
                    await self.listen()
            except Woken:
                continue
            except Interrupted:
                self.interrupt()
            except Left:
                self.finish()

    @abstractmethod
    async def listen(self) -> None:
        """Wait for what is to be said or done next, and begin it. Raises `Woken`, `Interrupted`, `Left`."""

    async def _watch(self) -> None:
        with quiet():
            while self.is_busy and not self.next and not self._failure and not self._open_confirmation():
                self.feed.print()
                self._changed.clear()
                began = time.monotonic()
                self.screen.watch(self.transcript, self._note())
                # A long text takes long to draw; most of the time is for other things.
                await asyncio.sleep(min(max(0.03, 4 * (time.monotonic() - began)), 1))
                with suppress(TimeoutError):
                    async with asyncio.timeout(REDRAW_SECONDS):
                        await self._changed.wait()
            self.feed.print()
        self.screen.rest()
        if not self.is_busy:
            self._stopping = None

    def _note(self) -> str:
        if self.feed.is_down:
            return _("No connection; trying again…")
        if self._stopping is not None:
            return _("Stopping…")
        return "" if self.transcript.is_busy else _("Waiting for the server…")

    # --- requests ---

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that waits for the server, while the person who sits here can still interrupt it."""
        self._doing = asyncio.create_task(self._granted(work))
        self._doing.add_done_callback(self._ended)

    async def _granted(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except RequestRefused as refused:
            self.feed.tell(Failed(refused_words(refused.code, str(refused.frame.content)), refused.code))
        except FrameTooLarge as error:
            self.feed.tell(Note(too_large(error), "warning"))

    async def _resume(self, session_id: str) -> None:
        try:
            await self.client.resume(session_id)
        except RequestRefused:
            self.next = self.goal.instead_of or Leave(1)
            raise

    async def say(self, text: str) -> None:
        """Send a message, and begin the session with it if there is none yet."""
        try:
            if self.feed.session_id is None:
                title = self.transcript.title
                self.feed.session_id = await self.client.create_session(self.goal.agent, title=title)
            accepted = await self.client.say(self.feed.session_id, clean(text))
        except (RequestRefused, FrameTooLarge, asyncio.CancelledError):
            self.draft = text
            raise
        self.run_id = accepted.run_id
        self.transcript.expect(accepted.run_id)
        if accepted.position:
            self.feed.tell(Note(_("Messages before this one: %(count)d") % {"count": accepted.position}))

    # --- confirmations ---

    def _open_confirmation(self) -> Confirmation | None:
        questions = self.transcript.questions
        self._confirmations = {key: asked for key, asked in self._confirmations.items() if key in questions}
        if not questions or self.feed.is_replaying:
            return None
        first = next(iter(questions))
        return self._confirmations.setdefault(first, Confirmation(questions[first]))

    async def _confirm(self, confirmation: Confirmation) -> None:
        if self.asking.can_answer:
            self._is_asking = True
            try:
                decision = await confirmation.ask(self.asking, self.screen)
            finally:
                self._is_asking = False
        else:
            words = _("%(tool)s needs a yes, and nobody can be asked; it was declined.")
            self.feed.tell(Note(words % {"tool": confirmation.question.tool}, "warning"))
            decision = Decision(confirmed=False, reason=_("Nobody is there who could be asked."))
        question, session_id = confirmation.question, self.feed.session_id
        if not self.transcript.answered(question.step_id, decision.args) or session_id is None:
            return
        try:
            await self.client.respond(
                session_id, question.step_id, decision.confirmed, args=decision.args, reason=decision.reason
            )
        except FrameTooLarge as error:
            self.feed.tell(Note(too_large(error), "warning"))
            self.transcript.questions = {question.step_id: question, **self.transcript.questions}

    # --- the end ---

    def _signalled(self) -> None:
        if not self._is_asking:  # else it was meant for the editor
            self.interrupt()

    def interrupt(self) -> None:
        """Ctrl-C: stop what goes on; when that was asked for already, or nothing goes on, leave."""
        if not self.is_busy:
            self.finish()
        elif self.feed.is_replaying or self._stopping is not None:
            self.leave(CTRL_C)
        elif self.transcript.is_busy and self.feed.session_id is not None:
            self.transcript.questions.clear()
            self.was_stopped = True
            self._stopping = asyncio.create_task(self.cancel(self.feed.session_id))
        elif self._doing is not None:
            self._doing.cancel()
        self.notify()

    async def cancel(self, session_id: str) -> None:
        """Ask the server to stop what goes on."""
        with suppress(OSError, ClientError):  # then the reader has noticed as well
            await self.client.cancel(session_id)

    def finish(self) -> None:
        """There is nothing more to say."""
        self.leave()

    def leave(self, code: int = 0) -> None:
        """End the program with this code."""
        self.next = Leave(code)
        self.notify()
