"""A PostgreSQL of one test's own, which the test may stop, crash and start again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from glob import glob
from pathlib import Path
from typing import Self

import psycopg

from tests.support.other_user import NOBODY, as_nobody
from tests.support.services import libpq, program

START_SECONDS = 120.0
MOST_CONNECTIONS = 300


class PostgresServer:
    """A context manager; keeps its data as long as the block."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]

    @property
    def url(self) -> str:
        """What DATABASE_URL should be."""
        return f"postgres://postgres@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start it on its port; returns when it answers, that is when it has recovered from a crash, too."""
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": MOST_CONNECTIONS}
        command = [_program("postgres"), "-D", str(self._data), "-p", str(self._port)]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(_own(*command), cwd="/", stdin=subprocess.DEVNULL, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(libpq(self.url), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                ended = self._process.poll() is not None or time.monotonic() > deadline
                assert not ended, (self._folder / "log").read_text()[-2000:]
                time.sleep(0.05)

    def stop(self, *, crash: bool = False) -> None:
        """End it and all connections: in order, or as if it had crashed, so that it has to recover."""
        assert self._process is not None, "not started"
        self._process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
        self._process.wait(START_SECONDS)

    def __enter__(self) -> Self:
        if os.geteuid() == 0:
            shutil.chown(self._folder, NOBODY)
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        command = _own(_program("initdb"), "-D", str(self._data), *options)
        subprocess.run(command, cwd="/", check=True, stdout=subprocess.DEVNULL, timeout=START_SECONDS)
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop(crash=True)
        shutil.rmtree(self._folder)

    @property
    def _data(self) -> Path:
        return self._folder / "data"


def _own(*command: str) -> list[str]:
    """PostgreSQL does not run as root."""
    return as_nobody(*command) if os.geteuid() == 0 else list(command)


def needs_own_postgres() -> None:
    """Skip the test where none can be started."""
    _own(_program("initdb"))


def _program(name: str) -> str:
    """The path of one of its programs; Debian has them out of the way, in a folder for each version."""
    return program(name, *sorted(glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True))
