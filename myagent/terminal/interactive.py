"""A conversation with a person at a keyboard: slash commands, the greeting and the farewell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.console import RenderableType
from rich.text import Text

from myagent.client import Client, SessionInfo, SessionPage
from myagent.i18n import gettext as _
from myagent.terminal.address import DEFAULT_URL, Address
from myagent.terminal.blocks import Note, UserText
from myagent.terminal.chat import Chat
from myagent.terminal.commands import MessageLine, Mistake, SlashCommand, help_table, read, session_lines
from myagent.terminal.fork_choice import SHOWN, ForkChoice, NoSuchMessage, choose, message_lines
from myagent.terminal.input import GaveWay, InputSource, Key
from myagent.terminal.safe_text import one_line
from myagent.terminal.screen import Screen
from myagent.terminal.session_lookup import PAGE, AmbiguousSession, find_session, is_beginning, pick_session
from myagent.terminal.transitions import Next, OpenSession


@dataclass(slots=True)
class _Question:
    """A list of which something is chosen: `lines` are shown once, `words` ask, and `answered` gets the answer."""

    lines: Iterable[RenderableType]
    words: str
    answered: Callable[[str], None]
    has_more: bool = False


class Interactive(Chat):
    """Ends when the user leaves."""

    def __init__(self, goal: OpenSession, *, address: Address, screen: Screen, source: InputSource) -> None:
        super().__init__(goal, address=address, screen=screen, source=source)
        self._listed: tuple[SessionInfo, ...] = ()
        self._question: _Question | None = None

    async def listen(self) -> Key | None:
        return await (self._choose(self._question) if self._question is not None else self._take_line())

    async def _take_line(self) -> Key | None:
        draft, self.draft = self.draft, ""
        self.screen.ready()
        match await self.read(self.source.line(draft), until=lambda: self.is_busy):
            case Key() as key:
                return key
            case GaveWay(draft):
                self.draft = draft
            case str(line):
                await self._obey_line(line)
        return None

    async def _obey_line(self, line: str) -> None:
        if line.strip() and not self.source.leaves_line:
            self.screen.show([UserText(line.strip())])
        match read(line):
            case MessageLine(text):
                self.request(self.say(text))
            case SlashCommand(name, argument):
                await self._obey(name, argument)
            case Mistake(words):
                self.feed.tell(Note(words, "warning"))

    async def _obey(self, name: str, argument: str) -> None:
        """Carry out a command of `commands.commands()`."""
        match name:
            case "sessions":
                self.request(self._list(argument))
            case "versions":
                self.request(self._list_versions())
            case "fork":
                self._fork(argument)
            case "resume":
                self.request(self._find(argument))
            case "new":
                self._begin(argument)
            case "title":
                self.request(self._entitle(argument))
            case "agents":
                self.screen.put(*(Text(f"  {one_line(agent)}") for agent in self.client.agents))
            case "cancel":
                self._cancel_anything()
            case "help":
                self.screen.put(help_table())
            case "quit":
                self.finish()

    # --- sessions ---

    async def _list(self, words: str) -> None:
        page = await self.client.list_sessions(query=words or None, families=True)
        if page.sessions:
            self._ask_which(page)
        else:
            self.feed.tell(Note(_("There are no such sessions.") if words else _("There are no sessions yet.")))

    async def _list_versions(self) -> None:
        page = SessionPage(sessions=())
        if self.feed.session_id is not None:
            page = await self.client.list_sessions(family_id=self.feed.session_id, limit=PAGE)
        if len(page.sessions) > 1:
            self._ask_which(page)
        else:
            self.feed.tell(Note(_("This session has no forks that are listed, and is none.")))

    def _ask_which(self, page: SessionPage) -> None:
        self._listed = page.sessions
        self._question = _Question(
            session_lines(page.sessions, current=self.feed.session_id),
            _("Number of the session to resume (Enter: none): "),
            lambda answer: self.request(self._find(answer)),
            has_more=page.next is not None,
        )

    async def _choose(self, question: _Question) -> Key | None:
        """Show the list, and ask for a number of it."""
        lines, question.lines = question.lines, ()
        self.screen.put(*lines)
        if question.has_more:
            question.has_more = False
            self.screen.show([Note(_("There are more; /sessions WORDS finds those that have these words."))])
        match await self.read(self.source.ask(question.words), until=lambda: self.is_busy):
            case Key.CTRL_D:
                return Key.CTRL_D
            case Key.CTRL_C:
                self._question = None
            case str(answer):
                self._question = None
                if answer.strip():
                    question.answered(answer.strip())
        return None

    async def _find(self, wanted: str) -> None:
        """Switch to the session of that number in the list, or with that id or beginning of an id."""
        if not self._listed:
            self._listed = (await self.client.list_sessions(families=True, limit=PAGE)).sessions
        try:
            if wanted.isdecimal() and 0 < int(wanted) <= len(self._listed):
                found: SessionInfo | None = self._listed[int(wanted) - 1]
            else:
                found = pick_session(self._listed, wanted)
                if found is None and is_beginning(wanted):
                    found = await find_session(self.client, wanted)
        except AmbiguousSession as error:
            self.feed.tell(Note(str(error), "warning"))
            return
        session_id, title = (found.session_id, found.title) if found is not None else (wanted, "")
        if session_id != self.feed.session_id:
            self.next = OpenSession(session_id, title=title, instead_of=self._here)

    @property
    def _here(self) -> OpenSession:
        return OpenSession(self.feed.session_id, self.goal.agent, self.transcript.title)

    # --- forks ---

    def _fork(self, argument: str) -> None:
        """Fork at the message with that number, or ask for one."""
        messages = self.feed.messages.newest_first()
        if self.feed.session_id is None or not messages:
            self.feed.tell(Note(_("Nothing was said here that could be continued in a fork.")))
        elif argument:
            try:
                self.request(self._continue_in_fork(choose(argument, messages)))
            except NoSuchMessage as error:
                self.feed.tell(Note(str(error), "warning"))
        else:
            words = _("Number of the message, and other words for it if you like (Enter: none): ")
            self._question = _Question(message_lines(messages[:SHOWN]), words, self._fork)

    async def _continue_in_fork(self, choice: ForkChoice) -> None:
        if (source := self.feed.session_id) is None:
            return
        at = self.feed.messages.last_seq if choice.before is None else None
        fork = await self.client.fork(source, before=choice.before, at=at, content=choice.words)
        # What is said of the fork itself comes before this answer.
        listed = (await self.client.list_sessions(family_id=fork, limit=PAGE)).sessions
        title = next((session.title for session in listed if session.session_id == fork), self.transcript.title)
        self.next = OpenSession(fork, title=title, instead_of=self._here)

    def _begin(self, agent: str) -> None:
        if agent and agent not in self.client.agents:
            known = ", ".join(self.client.agents)
            words = _("There is no agent %(name)s. There are: %(known)s") % {"name": agent, "known": known}
            self.feed.tell(Note(words, "warning"))
        else:
            self.next = OpenSession(agent=agent or self.goal.agent, instead_of=self._here)

    async def _entitle(self, title: str) -> None:
        if self.feed.session_id is None:
            self.transcript.title = title
        else:
            await self.client.update_session(self.feed.session_id, title=title)

    def _cancel_anything(self) -> None:
        if self.feed.session_id is None:
            self.feed.tell(Note(_("Nothing is running here.")))
        else:
            self.request(self.cancel(self.feed.session_id))

    # --- before and after ---

    async def run(self, client: Client) -> Next:
        self.client = client
        self._greet()
        return await super().run(client)

    def _greet(self) -> None:
        """Print which session this is, and in the first one how to get help and leave."""
        if self.goal.instead_of is not None:
            title = one_line(self.goal.title) or (_("(no title)") if self.feed.session_id else _("New session"))
            self.screen.put(Text(f"── {title}", style="cyan"))
            return
        default = "" if self.goal.session_id is not None else next(iter(self.client.agents), "")
        name = self.goal.agent or self.address.agent or default
        self.screen.put(
            Text.assemble(("MyAgent", "bold cyan"), f"  {one_line(name)}", (f"  {self.address.url}", "dim")),
            Text(_("/help lists the commands. Ctrl-C stops an answer, Ctrl-D leaves."), style="dim"),
        )

    def finish(self) -> None:
        if self.feed.session_id is not None:
            url = "" if self.address.url == DEFAULT_URL else f"{self.address.url} "
            command = f"myagent-ws chat {url}--session {self.feed.session_id}"
            words = _("To resume this session: %(command)s") % {"command": command}
            self.screen.put(Text(words, style="dim", no_wrap=True, overflow="ignore"))
        super().finish()
