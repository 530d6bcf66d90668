from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from agents.supervisor.operator_socket import OperatorSocket, replace_workers
from agents.supervisor.rolling_restart import RestartOutcome


def ask(data_dir):
    return asyncio.to_thread(lambda: list(replace_workers(data_dir)))


async def test_all_supervisors_of_the_data_folder_are_asked(tmp_path):
    done = []

    async def replace():
        done.append(True)
        return RestartOutcome(len(done), "too late" if len(done) == 2 else "")

    for name in "ab":
        (tmp_path / name).mkdir()
    first, second = (OperatorSocket(str(tmp_path / name), tmp_path, name, group_access=False) for name in "ab")
    assert await ask(tmp_path) == []
    async with first.serving(replace), second.serving(replace):
        assert await ask(tmp_path) == [RestartOutcome(1), RestartOutcome(2, "too late")]
        # Somebody who asks for something else, or leaves, is no harm.
        for words in (b"something else\n", b"replace workers\n"):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(tmp_path / "a" / "control"))
                sock.sendall(words)
        assert (await ask(tmp_path))[0].error == ""
    assert await ask(tmp_path) == []


async def test_one_that_was_killed_leaves_a_sign_that_is_cleared_away(tmp_path):
    signs = tmp_path / "supervisors"
    signs.mkdir()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "control"))
    (signs / "killed").write_text(str(tmp_path / "control"))
    (signs / "cleared away").write_text(str(tmp_path / "nowhere"))
    assert await ask(tmp_path) == []
    assert list(signs.iterdir()) == []


async def test_a_path_that_is_too_long_costs_only_the_command(tmp_path, caplog):
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    operators = OperatorSocket(str(folder), tmp_path, "a", group_access=False)
    with caplog.at_level(logging.WARNING, "myagent.server"):
        async with operators.serving(pytest.fail):
            assert await ask(tmp_path) == []
    assert "but SIGHUP can" in caplog.text
