"""What the server says of itself once it really listens."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from rich.console import Console
from rich.text import Text

from agents.access.local_user import LOCAL_USERNAME
from agents.access.system_user import operator
from agents.addresses import is_any_address, is_loopback
from agents.conf import Config
from agents.console.labelled_rows import Row, console_for_rows, hanging, lay_out
from agents.loading.model_choice import missing_setting, model_name
from agents.loading.registry import LoadedAgent, Registry
from myagent.i18n import gettext as _
from myagent.terminal.address import DEFAULT_URL

MANY = 4
"""Agents that are shown with all that is known of them; of more than that each has one row."""


@dataclass(frozen=True, kw_only=True)
class Banner:
    """The facts to show; `token` and `password` (None when the user has one) are shown here and nowhere else.

    `outward` are addresses under which other machines reach the server, where it listens on all; `has_layer` tells
    whether there is a channel layer between machines, `knows_owners` whether this system says whose program a client
    is, `is_root` whether the server is root's.
    """

    config: Config
    registry: Registry
    host: str
    port: int
    token: str = field(repr=False)
    password: str | None = field(repr=False)
    outward: tuple[str, ...] = ()
    has_layer: bool = False
    knows_owners: bool = True
    is_root: bool = False

    def rows(self) -> Iterator[Row]:
        """What there is, where it is, and who may use it."""
        yield from self._agents()
        yield Row(label=_("Talk to it"), value=self._chat_command(), whole=True)
        yield _url(_("WebSocket"), self._address("ws"))
        yield _url(_("With token"), f"{self._address('ws')}?token={self.token}")
        page, admin = self._address("http"), f"{self._address('http')}admin/"
        yield _url(_("Chat page"), page, link=page)
        yield _url(_("Admin"), admin, link=admin)
        if self.password is not None:
            words = _("user %(user)s, password %(password)s (shown only now)")
            yield Row(label=_("Log in as"), value=words % {"user": LOCAL_USERNAME, "password": self.password})
        folder = self.config.data_dir.absolute()
        yield Row(label=_("Data"), value=str(folder), whole=True, link=folder.as_uri())
        if self.config.workers is not None:
            yield Row(label=_("Workers"), value=self._workers(self.config.workers))
        yield from self._access()

    def warnings(self) -> list[str]:
        """What will not work as it stands, or is open wider than it looks, each thing once, with its cure."""
        words = _("Not served: %(error)s")
        found: list[str | None] = [words % {"error": failed.error} for failed in self.registry.failures]
        found += [missing_setting(loaded.agent, self.config) for loaded in self.registry]
        found += [
            _("The agent %(name)s is switched off. Switch it on with: manage.py agents enable %(name)s")
            % {"name": loaded.name}
            for loaded in self.registry
            if self.registry.available(loaded.name) is None
        ]
        found += [self._open_to_all(), self._local_to_whom(), self._talkative()]
        return list(dict.fromkeys(warning for warning in found if warning))

    def _agents(self) -> Iterator[Row]:
        if len(self.registry) <= MANY:
            for loaded in self.registry:
                yield from self._agent(loaded)
            return
        for number, loaded in enumerate(self.registry):
            words = _("%(name)s  (%(file)s)  model: %(model)s, tools: %(tools)s")
            model, tools = model_name(loaded.agent, self.config), loaded.agent.tools
            count = _("chosen by each run") if tools.function is not None else len(tools)
            facts = {"name": loaded.name, "file": loaded.source, "model": model, "tools": count}
            yield Row(label=_("Agent") if number == 0 else "", value=words % facts)
        yield Row(value=_("each of them at %(url)s") % {"url": f"{self._address('ws')}ws/NAME/"})

    def _agent(self, loaded: LoadedAgent) -> Iterator[Row]:
        chosen = loaded.agent.tools.function is not None
        tools = _("chosen by each run") if chosen else ", ".join(loaded.agent.tools.names) or _("none")
        yield Row(label=_("Agent"), value=f"{loaded.name}  ({loaded.source})", link=_file_link(loaded), style="bold")
        yield _url("", f"{self._address('ws')}ws/{quote(loaded.name)}/")
        yield Row(value=_("model: %(model)s") % {"model": model_name(loaded.agent, self.config)})
        yield Row(value=_("tools: %(tools)s") % {"tools": tools})

    def _access(self) -> Iterator[Row]:
        yield Row(label=_("Who gets in"), value=self._who_gets_in())
        if self._has_local_rule and self.knows_owners and not self.config.allow_anonymous:
            yield Row(value=_("on this machine: programs of the user %(user)s") % {"user": operator()})
        if self.config.allow_origins:
            words = _("pages of %(origins)s too")
            yield Row(value=words % {"origins": ", ".join(self.config.allow_origins)})
        yield from self._from_elsewhere()
        if not self._is_local and not self.config.allow_anonymous:
            yield Row(label=_("New token"), value="manage.py createtoken NAME --create-user", whole=True)

    def _from_elsewhere(self) -> Iterator[Row]:
        """What other machines have to write, with a name only where the server answers to it."""
        label = _("Elsewhere")
        if self.config.public_url is not None:
            yield _url(label, f"{self.config.public_url.rstrip('/')}/", link=self.config.public_url)
        elif is_any_address(self.host):
            names = [name for name in self.config.allowed_hosts if not name.startswith((".", "*"))]
            for name in (*names, *self.outward):
                url = self._address("http", name)
                yield _url(label, url, link=url)
                label = ""
            words = _("from other machines: by an address of this one, or a name that ALLOWED_HOSTS has")
            yield Row(label=label, value=words)

    def _workers(self, count: int) -> str:
        """How many processes there are, and how far others may be away."""
        if self.config.embedded_database:
            words = _("%(count)d processes on one port; all servers of this SQLite database are on this machine")
        elif self.has_layer:
            words = _("%(count)d processes on one port; servers on other machines are told of news through Redis")
        else:
            words = _("%(count)d processes on one port; servers on other machines, if any, poll (see REDIS_URL)")
        return words % {"count": count}

    # --- warnings

    def _open_to_all(self) -> str | None:
        if not self.config.allow_anonymous or self._is_local:
            return None
        return _(
            "Everybody who can reach port %(port)s of this machine may use these agents, at your cost. Leave out "
            "--allow-anonymous, or use --host localhost."
        ) % {"port": self.port}

    def _local_to_whom(self) -> str | None:
        """Whose programs are the user `local`, where that is not the operator alone."""
        if not self._has_local_rule:
            return None
        if not self.knows_owners:
            return _(
                "This system does not tell whose program a client is: every program on this machine, of any user, "
                "counts as the user local, and so does whoever comes through a proxy on it. Use --require-auth if that "
                "is not you alone."
            )
        if self.is_root:
            return _(
                "The server runs as root: every program of root on this machine, such as a proxy or what forwards the "
                "ports of a container, counts as the user local. Run it as a user of its own, or use --require-auth."
            )
        return None

    def _talkative(self) -> str | None:
        return _("With --debug the log holds what users say.") if self.config.debug else None

    # --- addresses

    def _chat_command(self) -> str:
        """What to type in another terminal of this machine; the usual address can be left out."""
        url = self._address("ws")
        command = f"{program()} chat" if url == DEFAULT_URL else f"{program()} chat {url}"
        is_near = self._is_local or is_any_address(self.host)
        is_let_in = self.config.allow_anonymous or (is_near and self._has_local_rule)
        return command if is_let_in else f"MYAGENT_TOKEN={self.token} {command}"

    @property
    def _is_local(self) -> bool:
        return not is_any_address(self.host) and is_loopback(self.host)

    @property
    def _has_local_rule(self) -> bool:
        """Whether programs on this machine may need no credentials."""
        config = self.config
        has_name = bool(config.allowed_hosts) or config.public_url is not None
        return not (config.require_auth or config.trusted_proxies or (has_name and not self.knows_owners))

    def _who_gets_in(self) -> str:
        """The access rules in force, in a sentence."""
        if self.config.allow_anonymous:
            return _("everybody who can reach the server, without credentials")
        if not self._has_local_rule:
            return _("users with a token or a login")
        return _("programs and pages on this machine; from elsewhere users with a token or a login")

    def _address(self, scheme: str, host: str | None = None) -> str:
        host = host or ("localhost" if is_any_address(self.host) else self.host)
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}{self.config.outer_path}/"


def show(banner: Banner, console: Console | None = None) -> None:
    """Print the banner, by default to standard output."""
    console = console or console_for_rows()
    console.print(Text.assemble("🚀 ", (_("MyAgent is running"), "bold green")))
    for line in lay_out(banner.rows(), console):
        console.print(line)
    for warning in banner.warnings():
        for line in hanging("⚠️  ", warning, console):
            console.print(line, style="yellow")
    console.print(Text(_("Press Ctrl-C to stop."), style="dim"))
    console.file.flush()


def program() -> str:
    """How `myagent-ws` is called in this folder: by its name, or by its path where its environment is not active."""
    installed = Path(sys.executable).with_name("myagent-ws")
    if shutil.which(installed.name) or not installed.exists():
        return installed.name
    return str(installed.relative_to(Path.cwd()) if installed.is_relative_to(Path.cwd()) else installed)


def _url(label: str, url: str, *, link: str | None = None) -> Row:
    return Row(label=label, value=url, whole=True, link=link)


def _file_link(loaded: LoadedAgent) -> str | None:
    file = Path(loaded.source).expanduser().absolute()
    return file.as_uri() if file.is_file() else None
