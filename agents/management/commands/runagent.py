from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.http.request import validate_host

from agents.addresses import is_any_address
from agents.caretaker import caretaker
from agents.conf import Config, configure, get_config
from agents.hosting.last_moments import end_children, prompt_end
from agents.hosting.process import enable_debug_logging, prepare_database, serve
from agents.hosting.sockets import bind, describe_start_error
from agents.hosting.stop_signals import ignore_user_signals
from agents.loading.agent_file_errors import AgentFileError
from agents.loading.file_watcher import SourceWatcher, restart
from agents.loading.model_choice import unusable_model
from agents.loading.registry import Registry, set_registry
from agents.loading.succession import load_successors
from agents.management.plain_command import PlainCommand, add_language, port, seconds, speak_early, workers
from agents.setting_values import ConfigError
from agents.supervisor.handover import Handover
from agents.supervisor.supervisor import Supervisor
from agents.supervisor.supervisor_link import SupervisorLink, set_link
from myagent.i18n import gettext as _
from myagent.i18n import use_language

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 8080


class Command(PlainCommand):
    """Serves agent files."""

    called_as = "manage.py runagent"
    """How the help calls it."""
    handover: Handover | None = None
    """What this process was handed by a supervisor that started it."""

    def run_from_argv(self, argv: list[str]) -> None:
        ignore_user_signals()
        speak_early(argv[2:])
        self.called_as = f"{Path(argv[0]).name} {argv[1]}"
        self.help = _("Serve one or more agent files over WebSocket, until Ctrl-C.")
        self.handover = Handover.take()
        with prompt_end():
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
            "--root-path",
            metavar="PATH",
            help=_("where the server's paths begin behind a proxy, such as /chat"),
        )
        parser.add_argument(
            "--workers",
            type=workers,
            metavar="N",
            help=_("processes that serve together on the port; auto: one for each core"),
        )
        parser.add_argument(
            "--drain-seconds",
            type=seconds,
            metavar="N",
            help=_("seconds that active runs may take to finish after a stop"),
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        self.check_settings()
        is_supervisor = self.handover is None and (options["workers"] or get_config().workers) is not None
        if is_supervisor or (self.handover is not None and not self.handover.is_first):
            options["skip_checks"] = True  # the first worker shows what there is to say
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        config = _configured(options)
        if config.debug:
            enable_debug_logging()
        if not config.agents:
            words = _("Name at least one agent file, for example: %(command)s")
            words %= {"command": f"{self.called_as} my_agent.py"}
            cure = _("'myagent-ws new my_agent.py' writes one to begin with.")
            raise CommandError(f"{words}\n   {cure}")
        if self.handover is None and config.workers is not None:
            self._supervise(config, config.workers, options)
            return
        link = self._link(self.handover, config) if self.handover is not None else None
        try:
            self._serve(config, options, link)
        except CommandError as error:
            if link is not None:
                link.failed(str(error))
            raise

    def _serve(self, config: Config, options: dict[str, Any], link: SupervisorLink | None) -> None:
        caretaker.begin()
        watcher = SourceWatcher(config.agents) if options["reload"] else None
        registry = self._load(config, watcher)
        if registry is None:
            restart()
            return
        set_registry(registry)
        if (problem := unusable_model([loaded.agent for loaded in registry], config)) is not None:
            raise CommandError(problem)
        user = prepare_database(registry)
        failure, real_port = serve(
            config, registry, host=options["host"], port=options["port"], user=user, watcher=watcher, link=link
        )
        if failure is not None:
            raise CommandError(_("Server error: %(error)s") % {"error": failure})
        if watcher is not None and watcher.changed:
            end_children()
            restart(port=real_port)

    def _supervise(self, config: Config, workers: int, options: dict[str, Any]) -> None:
        """Serve with several processes, each of which is started as this one was."""
        if options["reload"]:
            words = _("--reload is for a single process.")
            cure = _("Leave --workers out (and MYAGENT_WORKERS), or --reload.")
            raise CommandError(f"{words}\n   {cure}")
        host, port = options["host"], options["port"]
        try:
            sockets = bind(host, port)
        except (OSError, OverflowError) as error:
            raise CommandError(
                _("Server error: %(error)s") % {"error": describe_start_error(error, host, port)}
            ) from error
        # Without what the file `.env` has added: each worker reads it.
        inherited = settings.INHERITED_VARIABLES if hasattr(settings, "INHERITED_VARIABLES") else os.environ
        supervisor = Supervisor(
            sockets,
            workers=workers,
            environment={name: value for name, value in os.environ.items() if name in inherited},
            config=config,
        )
        if code := supervisor.run():
            sys.exit(code)

    @staticmethod
    def _link(handover: Handover, config: Config) -> SupervisorLink:
        link = SupervisorLink(handover, drain_seconds=config.drain_seconds)
        link.watch()
        set_link(link)
        return link

    def _load(self, config: Config, watcher: SourceWatcher | None) -> Registry | None:
        """The agents, or None when they could not be loaded and one of their files has changed since."""
        try:
            if self.handover is not None and self.handover.is_successor:
                return load_successors(config.agents, known_failures=self.handover.known_failures)
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
    for name in ("llm", "language", "workers", "drain_seconds"):
        if options[name] is not None:
            given[name] = options[name]
    for name in ("require_auth", "allow_anonymous"):
        if options[name]:
            given[name] = True
    if options["files"]:
        given["agents"] = [str(Path(file)) for file in options["files"]]
    if options["root_path"] is not None:
        given["root_path"] = options["root_path"].rstrip("/")
    if not is_any_address(options["host"]):
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
