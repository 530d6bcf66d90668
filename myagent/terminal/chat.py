"""A conversation: what is typed goes to the agent, what the agent does goes to the screen.

One task, `run`, prints and reads the keyboard. Everything else (frames, the connection, requests, signals) changes the
state and calls `notify`, after which that task looks what is to be done.
"""

from __future__ import annotations

import asyncio
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from myagent.client import Client, ClientError, FrameTooLarge, Link, RequestRefused
from myagent.i18n import gettext as _
from myagent.terminal.address import Address
from myagent.terminal.background_tasks import BackgroundTasks
from myagent.terminal.blocks import Failed, Note
from myagent.terminal.confirmation import ConfirmationAnswer, ConfirmationDialog
from myagent.terminal.error_words import refused_words, too_large
from myagent.terminal.feed import Feed
from myagent.terminal.in_progress import Question
from myagent.terminal.input import GaveWay, Input, InputSource, Key, quiet
from myagent.terminal.screen import Screen
from myagent.terminal.transitions import Leave, Next, OpenSession
from myagent.text import clean

REDRAW_SECONDS = 0.1
CTRL_C = 130
TERMINATED = 143


class Chat(ABC):
    """One session on one client that reconnects by itself."""

    shows_history = True

    def __init__(self, goal: OpenSession, *, address: Address, screen: Screen, source: InputSource) -> None:
        self.goal = goal
        self.address = address
        self.screen = screen
        self.source = source
        self.feed = Feed(
            goal.session_id, address=address, screen=screen, shows_history=self.shows_history, on_news=self.notify
        )
        self.transcript = self.feed.transcript
        self.client: Client
        self.next: Next | None = None
        """What comes after this conversation, once that is known."""
        self.run_id: str | None = None
        """The run of the last message."""
        self.draft = ""
        """What was typed and not sent."""
        self.was_stopped = False
        """Whether a run was stopped from this terminal."""
        self._changed = asyncio.Event()
        self._tasks = BackgroundTasks(on_end=self.notify)
        self._request: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._dialogs: dict[str, ConfirmationDialog] = {}
        self._is_running = False
        self._is_in_dialog = False

    @property
    def is_busy(self) -> bool:
        """Whether something is in progress: a run, or a request of this program."""
        return self.transcript.is_busy or (self._request is not None and not self._request.done())

    # --- what happens beside the conversation ---

    def link(self, link: Link) -> None:
        """Take news of the connection."""
        self.feed.link(link)
        if not self._is_running:
            self.feed.print()

    def notify(self) -> None:
        """Let the conversation look at what has changed."""
        self._changed.set()

    async def _receive(self) -> None:
        async for frame in self.client:
            self.feed.take(frame)

    # --- the conversation ---

    async def run(self, client: Client) -> Next:
        """Converse until the end, or until another session is wanted. Raises what ended the client."""
        self.client, self._is_running = client, True
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._signalled)
        loop.add_signal_handler(signal.SIGTERM, self.leave, TERMINATED)
        self._tasks.start(self._receive())
        try:
            if self.feed.session_id is not None:
                self.request(self._resume(self.feed.session_id))
            return await self._converse()
        finally:
            self.screen.rest()
            loop.remove_signal_handler(signal.SIGINT)
            loop.remove_signal_handler(signal.SIGTERM)
            await self._tasks.cancel()

    async def _converse(self) -> Next:
        while True:
            self.feed.print()
            if self.next is not None:
                return self.next
            if self._tasks.failure is not None:
                raise self._tasks.failure
            key: Key | None = None
            if (dialog := self._open_dialog()) is not None:
                key = await self._confirm(dialog)
            elif self.is_busy:
                await self._watch()
            else:
                key = await self.listen()
            if key is Key.CTRL_C:
                self.interrupt()
            elif key is Key.CTRL_D:
                self.finish()

    @property
    def _comes_first(self) -> bool:
        """Whether the conversation has to print or to end before it waits for the user."""
        return self.feed.has_pending or self.next is not None or self._tasks.failure is not None

    @abstractmethod
    async def listen(self) -> Key | None:
        """Read what to say or do next, and begin it. Returns the key that was pressed instead."""

    async def read(self, reading: Coroutine[Any, Any, Input], *, until: Callable[[], bool]) -> Input:
        """What `line` or `ask` of the source returns. It gives way when something comes first, or when `until()`."""
        task = asyncio.create_task(reading)
        task.add_done_callback(lambda _: self.notify())
        try:
            await asyncio.sleep(0)  # it has to have begun before it can give way
            while not task.done() and not self._comes_first and not until():
                self._changed.clear()
                await self._changed.wait()
            if not task.done():
                self.source.give_way()
            return await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self) -> None:
        """Show what is in progress until that ends or the user is asked something."""
        with quiet():
            while self.is_busy and self.next is None and self._tasks.failure is None and self._open_dialog() is None:
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
            self._is_stopping = False

    def _note(self) -> str:
        if self.feed.is_down:
            return _("No connection; trying again…")
        if self._is_stopping:
            return _("Stopping…")
        return "" if self.transcript.is_busy else _("Waiting for the server…")

    # --- requests ---

    def request(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that waits for the server; Ctrl-C cancels it. Tells the user when the server refuses it."""
        self._request = self._tasks.start(self._carry_out(work))

    async def _carry_out(self, work: Coroutine[Any, Any, None]) -> None:
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
        self.feed.messages.add(accepted.message_id, text)
        self.transcript.expect(accepted.run_id)
        if accepted.position:
            self.feed.tell(Note(_("Messages before this one: %(count)d") % {"count": accepted.position}))

    # --- confirmations ---

    def _open_dialog(self) -> ConfirmationDialog | None:
        """The dialog about the oldest open question. It is kept while the question is open, with edited arguments."""
        questions = self.transcript.questions
        self._dialogs = {key: dialog for key, dialog in self._dialogs.items() if key in questions}
        if not questions or self.feed.is_replaying:
            return None
        first = next(iter(questions))
        return self._dialogs.setdefault(first, ConfirmationDialog(questions[first]))

    async def _confirm(self, dialog: ConfirmationDialog) -> Key | None:
        """Ask the user, and send the answer. Returns the key that was pressed instead."""
        question = dialog.question
        if self.source.can_answer:
            answer = await self._ask_user(dialog)
        else:
            words = _("%(tool)s needs a yes, and no user can be asked; it was declined.")
            self.feed.tell(Note(words % {"tool": question.tool}, "warning"))
            answer = ConfirmationAnswer(confirmed=False, reason=_("No user is available to ask."))
        match answer:
            case Key():
                return answer
            case ConfirmationAnswer() if self.transcript.answered(question.step_id, answer.args):
                await self._respond(question, answer)
        return None

    async def _ask_user(self, dialog: ConfirmationDialog) -> ConfirmationAnswer | Key | GaveWay:
        def is_answered_elsewhere() -> bool:
            return dialog.question.step_id not in self.transcript.questions

        async def ask(words: str, draft: str = "") -> Input:
            return await self.read(self.source.ask(words, draft), until=is_answered_elsewhere)

        self._is_in_dialog = True
        try:
            return await dialog.ask(ask, self.screen)
        finally:
            self._is_in_dialog = False

    async def _respond(self, question: Question, answer: ConfirmationAnswer) -> None:
        if self.feed.session_id is None:
            return
        try:
            await self.client.respond(
                self.feed.session_id, question.step_id, answer.confirmed, args=answer.args, reason=answer.reason
            )
        except FrameTooLarge as error:
            self.feed.tell(Note(too_large(error), "warning"))
            self.transcript.questions = {question.step_id: question, **self.transcript.questions}

    # --- the end ---

    def _signalled(self) -> None:
        if not self._is_in_dialog:  # else it is meant for the user's editor
            self.interrupt()

    def interrupt(self) -> None:
        """Ctrl-C: stop what is in progress; when that was asked for already, or nothing is in progress, leave."""
        if not self.is_busy:
            self.finish()
        elif self.feed.is_replaying or self._is_stopping:
            self.leave(CTRL_C)
        elif self.transcript.is_busy and self.feed.session_id is not None:
            self.transcript.questions.clear()
            self.was_stopped = True
            self._is_stopping = True
            self._tasks.start(self.cancel(self.feed.session_id))
        elif self._request is not None:
            self._request.cancel()
        self.notify()

    async def cancel(self, session_id: str) -> None:
        """Ask the server to cancel the run."""
        with suppress(OSError, ClientError):  # then the task that receives has failed as well
            await self.client.cancel(session_id)

    def finish(self) -> None:
        """There is nothing more to say."""
        self.leave()

    def leave(self, code: int = 0) -> None:
        """End the program with this code."""
        self.next = Leave(code)
        self.notify()
