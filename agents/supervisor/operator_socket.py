"""How a command reaches the supervisors of a data folder: a Unix socket for each, and a file there that says where.

The sockets lie in folders that only the supervisor's own user can enter; their paths are short, as they have to be.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from agents.database.private_files import make_file, make_folder
from agents.supervisor.rolling_restart import RestartOutcome

logger = logging.getLogger("myagent.server")

_FOLDER = "supervisors"
_SOCKET = "control"
_REQUEST = b"replace workers\n"
_REQUEST_SECONDS = 10

_Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class OperatorSocket:
    """The supervisor's side."""

    def __init__(self, folder: str, data_dir: Path, family: str, *, group_access: bool) -> None:
        """`folder` is that of the workers, in which the socket is made."""
        self._path = Path(folder) / _SOCKET
        self._sign = data_dir / _FOLDER / family
        self._group_access = group_access

    @asynccontextmanager
    async def serving(self, replace: Callable[[], Awaitable[RestartOutcome]]) -> AsyncIterator[None]:
        """Within this context a request to replace the workers calls `replace` and is answered with the outcome."""
        server: asyncio.Server | None = None
        try:
            server = await asyncio.start_unix_server(self._answers_with(replace), self._path)
            make_folder(self._sign.parent, group_access=self._group_access)
            make_file(self._sign, group_access=self._group_access)
            self._sign.write_text(str(self._path))
        except OSError as error:
            logger.warning("'manage.py agents reload --workers' cannot reach this server, but SIGHUP can (%s).", error)
        try:
            yield
        finally:
            if server is not None:
                server.close()
            with suppress(OSError):
                self._sign.unlink(missing_ok=True)

    @staticmethod
    def _answers_with(replace: Callable[[], Awaitable[RestartOutcome]]) -> _Answer:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                async with asyncio.timeout(_REQUEST_SECONDS):
                    request = await reader.readline()
                if request == _REQUEST:
                    writer.write(json.dumps(asdict(await replace())).encode() + b"\n")
                    await writer.drain()
            except (OSError, TimeoutError, ValueError):
                logger.debug("A request of an operator was broken off.", exc_info=True)
            finally:
                writer.close()

        return answer


def replace_workers(data_dir: Path) -> Iterator[RestartOutcome]:
    """Let the supervisors of this data folder replace their workers, one after the other, and wait for it. Blocking.

    Raises `OSError` when one cannot be asked, or ends meanwhile.
    """
    for sign in sorted((data_dir / _FOLDER).glob("*")):
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(sign.read_text())
            except (FileNotFoundError, ConnectionRefusedError):
                with suppress(FileNotFoundError):  # it was killed
                    sign.unlink()
                continue
            sock.sendall(_REQUEST)
            with sock.makefile("rb") as answers:
                line = answers.readline()
        if not line:
            raise ConnectionResetError("the supervisor has ended")
        answer = json.loads(line)  # of another version, perhaps
        yield RestartOutcome(answer["replaced"], answer["error"])
