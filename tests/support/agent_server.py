"""The real server as a process that tests start, stop, kill and start again.

with AgentServer(folder, "tools.py", model=model) as server:
    async with connect(server.url) as client: ...
    server.kill(); server.start()   # the same data, the same port
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from myagent.testing.server_process import ServerProcess
from tests.support import forked
from tests.support.held_port import held_port
from tests.support.model_server import ModelServer
from tests.support.other_user import as_user
from tests.support.paths import AGENT_FILES, ROOT
from tests.support.patience import WAIT_SECONDS
from tests.support.services import give_sqlite_tables, is_postgres, postgres_database

LEASE_SECONDS = 5
"""On PostgreSQL, where only the end of its lease tells that a server was killed; a busy one must not lose it."""


class AgentServer(ServerProcess):
    """`manage.py runagent` on a folder of its own; `files` are names in `tests/support/agent_files`.

    It is forked from a process that has the libraries in memory (`tests.support.zygote`), unless `exec` is set: for
    tests of what the interpreter does at its start and its end.

    `settings` are keys of the MYAGENT dict, `environment` further variables; a variable that is None is not set.
    `user` is whose process it is, if not the test's own; the folder has to be one that this user can reach.
    When the tests run with the DATABASE_URL of a PostgreSQL, and `environment` names none, the server's data is there,
    in a database of its own that lives as long as the `with` block.
    """

    def __init__(
        self,
        folder: Path,
        *files: str,
        model: ModelServer | None = None,
        options: Iterable[str] = (),
        settings: dict[str, Any] | None = None,
        environment: dict[str, str | None] | None = None,
        exec: bool = False,
        user: str | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self._popen = subprocess.Popen if exec else forked.Popen
        self._files = [str(AGENT_FILES / name) for name in files]
        self._options = list(options)
        self._user = user
        if is_postgres(os.environ.get("DATABASE_URL", "")):
            settings = {"LEASE_SECONDS": LEASE_SECONDS} | (settings or {})
        super().__init__(
            self._line, folder=folder, environment=_environment(folder, model, settings or {}, environment or {})
        )
        self.banner = ""
        self._resources = ExitStack()

    def _line(self, port: int) -> list[str]:
        server = [sys.executable, str(ROOT / "manage.py"), "runagent", *self._files, "--port", str(port)]
        line = [*server, *self._options]
        return line if self._user is None else as_user(self._user, *line)

    # --- starting and stopping ---

    def start(self) -> None:
        self.port = self.port or self._resources.enter_context(held_port())
        super().start()
        with self._changed:
            assert self._changed.wait_for(lambda: "Ctrl-C" in self.said or self._is_silent, WAIT_SECONDS), self.said
        self.banner = self.said

    def pause(self) -> None:
        """Freeze the process (SIGSTOP) until `resume`; returns when it stands still."""
        self._running.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._running.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a frozen process go on."""
        self._running.send_signal(signal.SIGCONT)

    def manage(self, *arguments: str, code: int = 0) -> str:
        """Run another command on the same data, as an operator would beside the server.

        It has to end with `code`; returns what it prints, on standard error unless that is 0.
        """
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = forked.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr if code else done.stdout

    def __enter__(self) -> Self:
        if is_postgres(os.environ.get("DATABASE_URL", "")) and "DATABASE_URL" not in self._environment:
            self._environment["DATABASE_URL"] = self._resources.enter_context(postgres_database())
        if "DATABASE_URL" not in self._environment:
            give_sqlite_tables(Path(self._environment["MYAGENT_DATA_DIR"]))
        if self._user is not None:
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, self._user)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self._resources.close()

    @property
    def environment(self) -> dict[str, str]:
        """What the server is told, for processes beside it on the same data."""
        return self._environment

    @property
    def peak_mib(self) -> float:
        """The most memory that the process has had, in MiB; 0 where the system does not tell, or when it is gone."""
        return self.peak_of(self._running.pid)

    @staticmethod
    def peak_of(pid: int) -> float:
        """The same of any process."""
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return 0.0
        found = re.search(r"VmHWM:\s+(\d+)", status)
        return float(found[1]) / 1024 if found else 0.0

    # --- what it says ---

    def forget_log(self) -> None:
        """Begin the log anew."""
        self._log.clear()

    def wait_log(self, words: str) -> str:
        """Wait until the log holds `words`; returns the log."""
        with self._changed:
            assert self._changed.wait_for(lambda: words in self.log, WAIT_SECONDS), f"never said {words!r}: {self.log}"
        return self.log


def _environment(
    folder: Path, model: ModelServer | None, settings: dict[str, Any], extra: dict[str, str | None]
) -> dict[str, str]:
    """A stranger's environment and what these tests need."""
    foreign = ("MYAGENT_", "OPENAI_", "LLM_", "DJANGO_")
    kept: dict[str, str | None] = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    for name in ("DATABASE_URL", "REDIS_URL", "ALLOWED_HOSTS", "http_proxy", "HTTP_PROXY"):
        kept.pop(name, None)
    kept |= {
        "MYAGENT_DATA_DIR": str(folder / "data"),
        "MYAGENT_LANGUAGE": "en",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    if model is not None:
        kept |= {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "sk-test-key-of-nobody"}
    if settings:
        kept |= {
            "DJANGO_SETTINGS_MODULE": "tests.support.changed_settings",
            "TEST_MYAGENT": json.dumps(settings),
        }
    return {name: value for name, value in (kept | extra).items() if value is not None}
