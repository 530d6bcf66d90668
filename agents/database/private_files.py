"""Files that only the server's own UNIX user can read, or its group where the setting `GROUP_ACCESS` says so.

The modes are set after a file was made, since the umask of whoever started the server may be any.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from myagent.i18n import gettext as _

_OTHERS = stat.S_IRWXO
_GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_ROOT = 0


class NotPrivate(Exception):
    """A file or folder that other users of this machine can get at; `command` mends it."""

    def __init__(self, path: Path, command: str) -> None:
        self.path = path
        self.command = command
        words = _("Other users of this machine can get at %(path)s. Run: %(command)s")
        super().__init__(words % {"path": path, "command": command})


def make_folder(folder: Path, *, group_access: bool = False) -> None:
    """Make `folder`, mode 0700, or 2770 for the group, unless it is there."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    folder.chmod(0o2770 if group_access else 0o700)  # 2: what is made in it belongs to the group of the folder


def make_file(path: Path, *, group_access: bool = False) -> None:
    """Make `path`, empty, mode 0600, or 0660 for the group, unless it is there; then mend its mode if it is ours."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        mend(path, group_access=group_access)
        return
    try:
        os.fchmod(handle, file_mode(group_access=group_access))
    finally:
        os.close(handle)


def mend(path: Path, *, group_access: bool = False) -> None:
    """Take from a file of ours the rights that nobody else should have; does nothing when there is no such file."""
    try:
        found = path.stat()
        if found.st_uid == os.geteuid() and found.st_mode & _forbidden(group_access):
            path.chmod(stat.S_IMODE(found.st_mode) & ~_forbidden(group_access))
    except FileNotFoundError:
        return


def file_mode(*, group_access: bool) -> int:
    """The mode of a new file."""
    return 0o660 if group_access else 0o600


def require_private(path: Path, *, group_access: bool = False) -> None:
    """Raise `NotPrivate` when another user can read or replace the file at `path`, if there is one."""
    try:
        file, folder = path.stat(), path.parent.stat()
    except FileNotFoundError:
        return
    if folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
        raise NotPrivate(path.parent, f"chmod o-w {path.parent}")
    if not group_access and os.geteuid() not in (file.st_uid, _ROOT) and file.st_uid != _ROOT:
        # Its owner can always read it; a server that runs as root shares what it has with nobody who is not root.
        raise NotPrivate(path, f"sudo chown {os.geteuid()} {path}")
    if file.st_mode & _forbidden(group_access) and _is_reachable(path):
        raise NotPrivate(path, f"chmod {'o-rwx' if group_access else 'go-rwx'} {path}")


def _forbidden(group_access: bool) -> int:
    return _OTHERS if group_access else _GROUP_AND_OTHERS


def _is_reachable(path: Path) -> bool:
    """Whether somebody else may pass all folders on the way to `path`."""
    passing = stat.S_IXGRP | stat.S_IXOTH
    return all(folder.stat().st_mode & passing for folder in path.resolve().parents)
