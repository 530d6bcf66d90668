"""A process that has imported what our programs need, and forks itself for each that a test starts.

    python tests/support/zygote.py SOCKET

Most of what a start of Python costs here are imports. Each request on the socket (see `tests.support.forked`) is
answered with the id of a new process that runs a script or a module as `python` itself would: with the arguments, the
folder, the environment, the streams and the search path that the request names. The new process is handed over to the
process that asked, which waits for it and sends it signals as it does with children that it starts itself.

Nothing is loaded here that reads settings or starts a thread or an event loop: none survives a fork. The process ends
when the other end of the socket is closed.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import struct
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType
from typing import Any, NamedTuple, NoReturn, TextIO, cast

from django.apps import AppConfig, apps
from django.conf import settings
from django.db import connections
from django.db.migrations.loader import MIGRATIONS_MODULE_NAME
from django.utils.functional import empty
from django.utils.module_loading import module_has_submodule
from django.utils.translation import trans_real

ROOT = Path(__file__).resolve().parents[2]
SIZE = struct.Struct("!I")
STREAMS = 3
BROKEN_STREAM = 120
"""The exit code of an interpreter that could not write its last output."""
LIBRARIES = (
    "autobahn.twisted",
    "channels.db",
    "channels.layers",
    "channels.routing",
    "cryptography.hazmat.primitives.serialization",
    "django.contrib.admin",
    "django.contrib.auth.hashers",
    "django.contrib.staticfiles.finders",
    "django.core.cache.backends.locmem",
    "django.core.handlers.asgi",
    "django.core.management.commands.check",
    "django.core.management.commands.makemigrations",
    "django.core.management.commands.migrate",
    "django.db.backends.sqlite3.base",
    "django.db.models.sql.compiler",
    "django.template.loader_tags",
    "django.views.csrf",
    "django.views.debug",
    "django.views.generic",
    "django.views.i18n",
    "environ",
    "jsonschema",
    "openai.resources.chat.completions",
    "twisted.internet.asyncioreactor",
    "twisted.logger",
    "twisted.web.http",
    "whitenoise.middleware",
)
OURS = (
    "agents.admin",
    "agents.management.plain_command",
    "agents.metrics.exporter",
    "agents.supervisor.supervisor",
    "agents.tool_runner.tool_runner",
    "agents.web.middleware",
    "sessions_app.admin",
    "sessions_app.engine",
    "sessions_app.routing",
    "sessions_app.web.api_urls",
    "sessions_app.web.openai_door.openai_urls",
)
"""What the server loads sooner or later and needs no Twisted reactor; and so what they import."""
DJANGO = ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")
APPS = ("agents", *(f"django.contrib.{name}" for name in DJANGO), "sessions_app")
"""The apps of the server's settings, which have the tables."""


class Request(NamedTuple):
    """What to run, and how. `command` begins with the interpreter, then comes a script, or `-m` and a module."""

    command: list[str]
    folder: str | None
    environment: dict[str, str]
    new_session: bool
    ignores_interrupt: bool
    """Whether Ctrl-C is ignored where this was asked for; a process that is started inherits that."""


def preload() -> None:
    """Import what every fork needs: the libraries, and what is ours."""
    sys.path.insert(0, str(ROOT))
    for name in LIBRARIES:
        importlib.import_module(name)
    with _tables_alone():
        for name in OURS:
            importlib.import_module(name)
    _import_all("myagent")
    sys.path.remove(str(ROOT))
    assert not settings.configured, "settings must be read by the forks"
    assert "twisted.internet.reactor" not in sys.modules, "the reactor must be installed by the forks"
    assert threading.active_count() == 1, "threads do not survive a fork"
    gc.collect()
    gc.freeze()  # so that the pages of what is loaded stay shared with the forks


def _import_all(package: str) -> None:
    for module in walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)


@contextmanager
def _tables_alone() -> Iterator[None]:
    """Let modules with tables be imported, which have to know the apps, and no other setting of the server's.

    At the end Django is as if nobody had set it up: each fork reads its own settings and begins the apps by itself.
    """
    settings.configure(INSTALLED_APPS=APPS, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
    for name in APPS:
        app = AppConfig.create(name)
        app.apps, apps.app_configs[app.label] = apps, app
    apps.apps_ready = True
    for app in apps.get_app_configs():
        app.import_models()
        if module_has_submodule(app.module, MIGRATIONS_MODULE_NAME):
            _import_all(f"{app.name}.{MIGRATIONS_MODULE_NAME}")
    apps.models_ready = True
    yield
    apps.app_configs.clear()
    apps.apps_ready = apps.models_ready = False
    apps.clear_cache()
    del connections["default"]
    vars(connections).update(_settings=None)
    del vars(connections)["settings"]
    vars(trans_real).update(_default=None, _translations={})
    settings._wrapped = empty


def serve(connection: socket.socket) -> Request | None:
    """Fork for each request. Returns in every fork with its request, and in the parent when no more can come."""
    while True:
        size, streams, _flags, _address = socket.recv_fds(connection, SIZE.size, STREAMS)
        if not size:
            return None
        request = Request(*json.loads(_read(connection, SIZE.unpack(size)[0])))
        pid = _fork_orphan()
        if not pid:
            connection.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
        for stream in streams:
            os.close(stream)
        if not pid:
            return request
        connection.sendall(SIZE.pack(pid))


def _read(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        parts += connection.recv(size - len(parts))
    return bytes(parts)


def _fork_orphan() -> int:
    """Fork a process whose parent is gone, so that it falls to the nearest subreaper: the process that asked."""
    reading, writing = os.pipe()
    between = os.fork()
    if not between:
        if pid := os.fork():
            os.write(writing, SIZE.pack(pid))
            os._exit(0)
        os.close(reading)
        os.close(writing)
        return 0
    os.waitpid(between, 0)
    pid = SIZE.unpack(os.read(reading, SIZE.size))[0]
    os.close(reading)
    os.close(writing)
    return int(pid)


def become(request: Request, search_path: list[str]) -> None:
    """Make this process what the interpreter is when it starts, and run what it was asked to."""
    if not request.ignores_interrupt:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if request.new_session:
        os.setsid()
        if os.isatty(0):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if request.folder is not None:
        os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    tempfile.tempdir = None
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _stream(number, name)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    _executable, *arguments = sys.orig_argv = request.command
    own = filter(None, request.environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:] = [os.path.abspath(folder) for folder in own] + search_path
    program = sys.modules["__main__"] = ModuleType("__main__")
    if arguments[0] == "-m":
        sys.argv = ["-m", *arguments[2:]]
        sys.path.insert(0, os.getcwd())
        sys.modules.pop(arguments[1], None)  # it runs as __main__
        runpy._run_module_as_main(arguments[1])  # type: ignore[attr-defined] # what `python -m` calls
    else:
        script, sys.argv = arguments[0], arguments
        sys.path.insert(0, os.path.dirname(os.path.realpath(script)))
        program.__file__ = os.path.abspath(script)
        exec(compile(Path(script).read_bytes(), script, "exec"), program.__dict__)


def _stream(number: int, name: str) -> TextIO:
    """A standard stream as the interpreter makes it; how text is encoded stays as it is in the parent."""
    old = getattr(sys, f"__{name}__")
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    raw = io.FileIO(number, "wb" if number else "rb", closefd=False)
    raw.name = f"<{name}>"
    binary: Any = raw if number and unbuffered else (io.BufferedWriter if number else io.BufferedReader)(raw)
    at_once = not unbuffered and (number == 2 or raw.isatty())
    stream: Any = io.TextIOWrapper(binary, old.encoding, old.errors, "\n", at_once, write_through=unbuffered)
    stream.mode = "w" if number else "r"
    return cast(TextIO, stream)


def end(error: BaseException | None) -> NoReturn:
    """End as the interpreter does after `error`, but leave the memory to the system: to free it costs more than a fork.

    It would also run what the libraries have for their end, which not all of them expect to happen in a fork.
    """
    status = 0
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if not isinstance(error.code, int | None):
            sys.stderr.write(f"{error.code}\n")
    elif error is not None:
        status = 1
        sys.excepthook(type(error), error, error.__traceback__)
    threading._shutdown()  # type: ignore[attr-defined] # waits for threads
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if not stream.closed:
                stream.flush()
    except OSError:
        status = BROKEN_STREAM
    if isinstance(error, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status & 0xFF)


def main() -> None:
    """Serve as the parent; in a fork, become what was asked for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # after a Ctrl-C the tests end, and so does the socket
    search_path = sys.path[1:]
    preload()
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    if request is None:
        return
    try:
        become(request, search_path)
    except BaseException as error:  # noqa: BLE001 - all of them end the process
        end(error)
    end(None)


if __name__ == "__main__":
    main()
