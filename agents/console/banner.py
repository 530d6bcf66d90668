"""What the server says of itself once it really listens."""

from __future__ import annotations

import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from rich.console import Console
from rich.text import Text

from agents.access.local_user import LOCAL_USERNAME
from agents.addresses import is_loopback
from agents.conf import Config
from agents.console.labelled_rows import Row, console_for_rows, hanging, lay_out
from agents.loading.model_choice import missing_setting, model_name
from agents.loading.registry import LoadedAgent, Registry
from myagent.i18n import gettext as _
from myagent.terminal.address import DEFAULT_URL

ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})
"""What `--host` can be that is no address of its own: all addresses of this machine."""

MANY = 4
"""Agents that are shown with all that is known of them; of more than that each has one row."""


@dataclass(frozen=True, kw_only=True)
class Banner:
    """The facts to show; `token` and `password` (None when the user has one) are shown here and nowhere else."""

    config: Config
    registry: Registry
    host: str
    port: int
    token: str = field(repr=False)
    password: str | None = field(repr=False)

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
        found += [self._open_to_all(), self._readable_by_others(), self._talkative()]
        return list(dict.fromkeys(warning for warning in found if warning))

    def _agents(self) -> Iterator[Row]:
        if len(self.registry) <= MANY:
            for loaded in self.registry:
                yield from self._agent(loaded)
            return
        for number, loaded in enumerate(self.registry):
            words = _("%(name)s  (%(file)s)  model: %(model)s, tools: %(count)d")
            model = model_name(loaded.agent, self.config)
            facts = {"name": loaded.name, "file": loaded.source, "model": model, "count": len(loaded.agent.tools)}
            yield Row(label=_("Agent") if number == 0 else "", value=words % facts)
        yield Row(value=_("each of them at %(url)s") % {"url": f"{self._address('ws')}ws/NAME/"})

    def _agent(self, loaded: LoadedAgent) -> Iterator[Row]:
        tools = ", ".join(tool.name for tool in loaded.agent.tools) or _("none")
        yield Row(label=_("Agent"), value=f"{loaded.name}  ({loaded.source})", link=_file_link(loaded), style="bold")
        yield _url("", f"{self._address('ws')}ws/{quote(loaded.name)}/")
        yield Row(value=_("model: %(model)s") % {"model": model_name(loaded.agent, self.config)})
        yield Row(value=_("tools: %(tools)s") % {"tools": tools})

    def _access(self) -> Iterator[Row]:
        yield Row(label=_("Who gets in"), value=who_gets_in(self.config))
        if self.config.allow_origins:
            words = _("pages of %(origins)s too")
            yield Row(value=words % {"origins": ", ".join(self.config.allow_origins)})
        if self._is_local:
            return
        if self.host in ANY_ADDRESS:
            yield Row(value=_("from other machines: the same with this machine's name or address"))
        if not self.config.allow_anonymous:
            yield Row(label=_("New token"), value="manage.py createtoken NAME --create-user", whole=True)

    # --- warnings

    def _open_to_all(self) -> str | None:
        if not self.config.allow_anonymous or self._is_local:
            return None
        return _(
            "Everybody who can reach port %(port)s of this machine may use these agents, at your cost. Leave out "
            "--allow-anonymous, or use --host localhost."
        ) % {"port": self.port}

    def _readable_by_others(self) -> str | None:
        folder = self.config.data_dir
        if not folder.exists() or not folder.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return None
        words = _("Other users of this machine can get at the conversations and the secret. Run: chmod 700 %(folder)s")
        return words % {"folder": folder}

    def _talkative(self) -> str | None:
        return _("With --debug the log holds what users say.") if self.config.debug else None

    # --- addresses

    def _chat_command(self) -> str:
        """What to type in another terminal of this machine; the usual address can be left out."""
        url = self._address("ws")
        command = f"{program()} chat" if url == DEFAULT_URL else f"{program()} chat {url}"
        asked = self.config.require_auth or self.config.allowed_hosts or self.config.trusted_proxies
        is_let_in = self.config.allow_anonymous or (self._is_local or self.host in ANY_ADDRESS) and not asked
        return command if is_let_in else f"MYAGENT_TOKEN={self.token} {command}"

    @property
    def _is_local(self) -> bool:
        return self.host not in ANY_ADDRESS and is_loopback(self.host)

    def _address(self, scheme: str) -> str:
        host = "localhost" if self.host in ANY_ADDRESS else self.host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}/"


def who_gets_in(config: Config) -> str:
    """The access rules in force, in a sentence."""
    if config.allow_anonymous:
        return _("everybody who can reach the server, without credentials")
    if config.require_auth or config.allowed_hosts or config.trusted_proxies:
        return _("users with a token or a login")
    return _("programs and pages on this machine; from elsewhere users with a token or a login")


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
