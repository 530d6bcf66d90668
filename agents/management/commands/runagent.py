from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.http.request import validate_host

from agents.conf import Config, ConfigError, configure, get_config
from agents.console.banner import ANY_ADDRESS
from agents.hosting.process import enable_debug_logging, prepare_database, serve
from agents.loading.agent_file_errors import AgentFileError
from agents.loading.file_watcher import SourceWatcher, restart
from agents.loading.registry import Registry, set_registry
from agents.management.plain_command import PlainCommand, add_language, port, seconds, speak_early
from myagent.i18n import gettext as _
from myagent.i18n import use_language

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 8080


class Command(PlainCommand):
    """Serves agent files."""

    called_as = "manage.py runagent"
    """How the help calls it."""

    def run_from_argv(self, argv: list[str]) -> None:
        speak_early(argv[2:])
        self.called_as = f"{Path(argv[0]).name} {argv[1]}"
        self.help = _("Serve one or more agent files over WebSocket, until Ctrl-C.")
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "files",
            nargs="*",
            metavar="FILE",
            help=_("Python file that defines 'agent', folder of such files, or dotted module"),
        )
        parser.add_argument(
            "--host", default=DEFAULT_HOST, help=_("name or address to listen on (default: %(default)s)")
        )
        parser.add_argument(
            "--port", type=port, default=DEFAULT_PORT, help=_("port to listen on, 0 for any (default: %(default)s)")
        )
        parser.add_argument("--debug", action="store_true", help=_("log everything and show tracebacks"))
        parser.add_argument("--llm", choices=["openai", "demo"], help=_("model; demo works offline"))
        add_language(parser)
        parser.add_argument("--reload", action="store_true", help=_("start again when an agent file changes"))
        parser.add_argument("--require-auth", action="store_true", help=_("ask for credentials on this machine too"))
        parser.add_argument("--allow-anonymous", action="store_true", help=_("let everybody in without credentials"))
        parser.add_argument(
            "--allow-origin",
            action="append",
            default=[],
            metavar="ORIGIN",
            help=_("let pages of this origin connect, such as https://app.example; may be repeated"),
        )
        parser.add_argument(
            "--drain-seconds",
            type=seconds,
            metavar="N",
            help=_("seconds that active runs may take to finish after a stop"),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        config = _configured(options)
        if config.debug:
            enable_debug_logging()
        if not config.agents:
            words = _("Name at least one agent file, for example: %(command)s")
            words %= {"command": f"{self.called_as} my_agent.py"}
            cure = _("'myagent-ws new my_agent.py' writes one to begin with.")
            raise CommandError(f"{words}\n   {cure}")
        watcher = SourceWatcher(config.agents) if options["reload"] else None
        registry = self._load(config, watcher)
        if registry is None:
            restart()
            return
        set_registry(registry)
        user = prepare_database(registry)
        failure, real_port = serve(
            config, registry, host=options["host"], port=options["port"], user=user, watcher=watcher
        )
        if failure is not None:
            raise CommandError(_("Server error: %(error)s") % {"error": failure})
        if watcher is not None and watcher.changed:
            restart(port=real_port)

    def _load(self, config: Config, watcher: SourceWatcher | None) -> Registry | None:
        """The agents, or None when they could not be loaded and one of their files has changed since."""
        try:
            return Registry.from_sources(config.agents)
        except AgentFileError as error:
            if watcher is None:
                raise CommandError(str(error)) from error
            self.stderr.write(f"❌ {error}", lambda text: text)
            self.stderr.write(_("Waiting for a change of the file…"), lambda text: text)
        try:
            watcher.wait()
        except KeyboardInterrupt:
            raise CommandError(_("Stopped."), returncode=130) from None
        return None


def _configured(options: dict[str, Any]) -> Config:
    """Put the options that were given on top of the settings."""
    given: dict[str, Any] = {"debug": options["debug"]} if options["debug"] else {}
    for name in ("llm", "language", "drain_seconds"):
        if options[name] is not None:
            given[name] = options[name]
    for name in ("require_auth", "allow_anonymous"):
        if options[name]:
            given[name] = True
    if options["files"]:
        given["agents"] = [str(Path(file)) for file in options["files"]]
    if options["host"] not in ANY_ADDRESS:
        header = f"[{options['host']}]" if ":" in options["host"] else options["host"]
        given["served_hosts"] = [header]
        if not validate_host(header, settings.ALLOWED_HOSTS):
            settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, header]
    try:
        if options["allow_origin"]:
            given["allow_origins"] = [*get_config().allow_origins, *options["allow_origin"]]
        config = configure(**given)
    except ConfigError as error:
        raise CommandError(str(error)) from error
    use_language(config.language)
    return config
