"""A Redis of one test's own, which the test may kill and start again."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self

import redis

from tests.support.held_port import held_port
from tests.support.patience import WAIT_SECONDS


class RedisServer:
    """A context manager; `program` is the path of `redis-server`, `folder` where it runs. Keeps nothing on disk."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._resources = ExitStack()
        self._port = self._resources.enter_context(held_port())

    @property
    def url(self) -> str:
        """What REDIS_URL should be."""
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it, on the port that it had before if there was one; returns when it answers."""
        options = {"port": str(self._port), "bind": "127.0.0.1", "save": "", "appendonly": "no"}
        command = [self._program, *(word for name, value in options.items() for word in (f"--{name}", value))]
        self._process = subprocess.Popen(
            command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + WAIT_SECONDS
        with closing(redis.Redis(port=self._port, socket_connect_timeout=1)) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    assert self._process.poll() is None and time.monotonic() < deadline, "Redis did not start"
                    time.sleep(0.02)

    def kill(self) -> None:
        """End it at once."""
        assert self._process is not None, "not started"
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()
        self._resources.close()
