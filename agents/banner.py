"""What the server says of itself once it really listens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from rich.console import Console
from rich.text import Text

from agents.conf import Config
from agents.llms import missing_setting, model_name
from agents.local_user import LOCAL_USERNAME
from agents.registry import LoadedAgent, Registry
from myagent.i18n import gettext as _

ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})
"""What `--host` can be that is no address of its own: all addresses of this machine."""


@dataclass(frozen=True, kw_only=True)
class Banner:
    """The facts to show; `token` and `password` (None when the user is not new) are shown here and nowhere else."""

    config: Config
    registry: Registry
    host: str
    port: int
    token: str = field(repr=False)
    password: str | None = field(repr=False)

    def lines(self) -> Iterator[Text]:
        """Line by line."""
        yield Text.assemble(("🚀 ", ""), (_("MyAgent is running"), "bold green"))
        for loaded in self.registry:
            yield from self._agent(loaded)
        yield _row(_("WebSocket"), self._url("ws"))
        yield _row(_("With token"), f"{self._url('ws')}?token={self.token}")
        if self.host in ANY_ADDRESS:
            yield _row("", _("from other machines: the same with this machine's name or address"))
        yield _row(_("Admin"), f"{self._url('http')}admin/")
        if self.password is not None:
            words = _("user %(user)s, password %(password)s (shown only now)")
            yield _row(_("Log in as"), words % {"user": LOCAL_USERNAME, "password": self.password})
        yield _row(_("Data"), str(self.config.data_dir))
        yield _row(_("Who gets in"), who_gets_in(self.config))
        for warning in self.warnings():
            yield Text(f"⚠️  {warning}", style="yellow")
        yield Text(_("Press Ctrl-C to stop."), style="dim")

    def warnings(self) -> list[str]:
        """What will not work as it stands, each thing once."""
        words = _("Not served: %(error)s")
        found: list[str | None] = [words % {"error": failed.error} for failed in self.registry.failures]
        found += [missing_setting(loaded.agent, self.config) for loaded in self.registry]
        found += [
            _("The agent %(name)s is switched off. Switch it on with: manage.py agents enable %(name)s")
            % {"name": loaded.name}
            for loaded in self.registry
            if self.registry.available(loaded.name) is None
        ]
        return list(dict.fromkeys(warning for warning in found if warning))

    def _agent(self, loaded: LoadedAgent) -> Iterator[Text]:
        tools = ", ".join(tool.name for tool in loaded.agent.tools) or _("none")
        yield Text.assemble(_label(_("Agent")), (loaded.name, "bold"), f"  ({loaded.source})")
        yield _row("", f"{self._url('ws')}ws/{quote(loaded.name)}/")
        yield _row("", _("model: %(model)s") % {"model": model_name(loaded.agent, self.config)})
        yield _row("", _("tools: %(tools)s") % {"tools": tools})

    def _url(self, scheme: str) -> str:
        host = "localhost" if self.host in ANY_ADDRESS else self.host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}/"


def who_gets_in(config: Config) -> str:
    """The access rules in force, in a sentence."""
    if config.allow_anonymous:
        return _("everybody who can reach the server, without credentials")
    if config.require_auth or config.allowed_hosts or config.trusted_proxies:
        return _("whoever has a token or is logged in")
    return _("programs and pages on this machine; from elsewhere whoever has a token or is logged in")


def show(banner: Banner) -> None:
    """Print the banner; long lines are left whole so that URLs can be copied."""
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    for line in banner.lines():
        console.print(line)
    console.file.flush()


def _label(name: str) -> tuple[str, str]:
    return f"   {name}{' ' * max(14 - _width(name), 1)}", "cyan"


def _row(name: str, value: str) -> Text:
    return Text.assemble(_label(name), value)


def _width(text: str) -> int:
    return Text(text).cell_len
