import os
import sqlite3
import stat
import subprocess

import pytest

from agents.database.data_folder import lock, make_data_folder, make_database_file, read_secret
from agents.database.private_files import NotPrivate, make_file, make_folder, require_private


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A folder that somebody else made, and that everybody can enter from the root on."""
    monkeypatch.setattr("agents.database.private_files._is_reachable", lambda path: True)
    folder = tmp_path / "volume"
    folder.mkdir()
    folder.chmod(0o755)
    return folder


def test_what_is_made_is_ours_alone_whatever_the_umask(umask, tmp_path):
    tmp_path.chmod(0o755)
    folder = make_data_folder(tmp_path / "data")
    database = folder / "myagent.sqlite3"
    read_secret(folder)
    make_database_file(database)
    with sqlite3.connect(database, isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE notes (text)")
        with lock(folder, "migrate"):
            modes = {path.name: mode(path) for path in folder.iterdir()}
    assert mode(folder) == 0o700
    assert modes.keys() >= {"secret", "myagent.sqlite3", "myagent.sqlite3-wal", "myagent.sqlite3-shm", "migrate.lock"}
    assert set(modes.values()) == {0o600}


def test_a_folder_of_somebody_else_keeps_its_mode_and_our_files_are_mended(shared):
    for name in ("myagent.sqlite3", "myagent.sqlite3-wal", "secret", "migrate.lock", "price-list.csv"):
        (shared / name).write_text("x")
        (shared / name).chmod(0o664)
    make_data_folder(shared)
    assert mode(shared) == 0o755
    assert {path.name: mode(path) for path in shared.iterdir()} == {
        "myagent.sqlite3": 0o600,
        "myagent.sqlite3-wal": 0o600,
        "secret": 0o600,
        "migrate.lock": 0o600,
        "price-list.csv": 0o664,
    }


def test_the_group_gets_access_by_a_setting_only(umask, tmp_path):
    folder = make_data_folder(tmp_path / "data", group_access=True)
    make_database_file(folder / "myagent.sqlite3", group_access=True)
    read_secret(folder, group_access=True)
    assert mode(folder) == 0o2770
    assert {mode(path) for path in folder.iterdir()} == {0o660}


@pytest.mark.parametrize(("found", "group_access"), [(0o644, False), (0o640, False), (0o604, True), (0o666, True)])
def test_a_file_that_others_can_read_is_refused_with_the_command_that_mends_it(shared, found, group_access):
    database = shared / "elsewhere.sqlite3"
    database.touch()
    database.chmod(found)
    with pytest.raises(NotPrivate) as refusal:
        make_database_file(database, group_access=group_access)
    assert refusal.value.command in str(refusal.value)
    subprocess.run(refusal.value.command.split(), check=True)
    make_database_file(database, group_access=group_access)
    assert mode(database) == (0o600 if not group_access else found & 0o660)


def test_what_lies_beside_a_database_is_looked_at_too(shared):
    database = shared / "elsewhere.sqlite3"
    make_file(database)
    (shared / "elsewhere.sqlite3-wal").touch()
    (shared / "elsewhere.sqlite3-wal").chmod(0o644)
    with pytest.raises(NotPrivate, match=r"elsewhere\.sqlite3-wal"):
        make_database_file(database)


def test_a_file_behind_a_closed_folder_is_private_whatever_its_mode(tmp_path):
    closed = tmp_path / "closed"
    make_folder(closed)
    (closed / "database").touch()
    (closed / "database").chmod(0o644)
    require_private(closed / "database")


def test_a_folder_that_everybody_can_write_is_refused(shared):
    make_file(shared / "secret")
    shared.chmod(0o777)
    with pytest.raises(NotPrivate, match=f"chmod o-w {shared}"):
        require_private(shared / "secret")
    shared.chmod(0o1777)  # as /tmp: nobody can replace somebody else's file
    require_private(shared / "secret")


def test_a_file_of_another_user_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "secret"
    make_file(path)
    if os.geteuid() == 0:
        os.chown(path, 65533, 65533)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(NotPrivate, match=f"sudo chown {owner + 1} {path}"):
        require_private(path)
    require_private(path, group_access=True)  # a container whose user changes, and whose group stays
