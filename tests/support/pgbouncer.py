"""A real pgbouncer with the configuration that the documentation shows, in front of the PostgreSQL of the tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from tests.support.held_port import held_port
from tests.support.markdown import blocks
from tests.support.patience import WAIT_SECONDS
from tests.support.services import program

_USER = "nobody"
"""Whose process it is where the tests are root's: as root it does not start."""


class PgBouncer:
    """A context manager; `url` is the database at `postgres_url` by way of it."""

    def __init__(self, postgres_url: str) -> None:
        place = urlsplit(postgres_url)
        self._resources = ExitStack()
        port = self._resources.enter_context(held_port())
        self._port = port
        self._folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
        self.url = place._replace(
            netloc=f"{place.username}@127.0.0.1:{port}", query="disable_server_side_cursors=True"
        ).geturl()
        (page,) = blocks("docs/operations.md", mark="pgbouncer")
        text = page.text
        for there, here in {
            "host=db.example port=5432": f"host={place.hostname} port={place.port or 5432}",
            "myagent =": f"{place.path.lstrip('/')} =",
            "auth_type = scram-sha-256": "auth_type = trust\nunix_socket_dir =",
            "/etc/pgbouncer/users.txt": str(self._folder / "users.txt"),
            "listen_port = 6432": f"listen_port = {port}",
            # Fewer than the servers use at once, so that what one leaves on a connection meets the next one.
            "default_pool_size = 20": "default_pool_size = 3",
        }.items():
            assert text.count(there) == 1, f"the page has changed: {there}"
            text = text.replace(there, here)
        (self._folder / "pgbouncer.ini").write_text(text, encoding="utf-8")
        (self._folder / "users.txt").write_text(f'"{place.username}" ""\n', encoding="utf-8")

    def __enter__(self) -> Self:
        command = [program("pgbouncer", "/usr/sbin/pgbouncer"), str(self._folder / "pgbouncer.ini")]
        if os.geteuid() == 0:
            command += ["-u", _USER]
            for path in (self._folder, *self._folder.iterdir()):
                shutil.chown(path, _USER)
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + WAIT_SECONDS
        while True:
            assert self._process.poll() is None, self._process.communicate()[1]
            assert time.monotonic() < until, "pgbouncer does not listen"
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return self
            except OSError:
                time.sleep(0.02)

    def __exit__(self, *_error: object) -> None:
        self._process.kill()  # at once, whoever is connected
        self._process.communicate(timeout=WAIT_SECONDS)
        self._resources.close()
        shutil.rmtree(self._folder)
