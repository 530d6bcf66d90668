"""Editing text in the editor that the person has chosen."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from pathlib import Path

from myagent.exceptions import MyAgentError
from myagent.i18n import gettext as _


class EditorFailed(MyAgentError):
    """The editor could not be started, or ended with an error; the text is as it was."""

    code = "editor_failed"


def chosen_editor() -> list[str]:
    """The command of `VISUAL` or `EDITOR`, empty when neither is set. Raises `EditorFailed` for what is no command."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise _unusable(command, error) from error


async def edit(text: str, command: list[str], *, suffix: str = ".json") -> str:
    """Open `text` in the editor and return what was saved. Raises `EditorFailed`."""
    with tempfile.TemporaryDirectory(prefix="myagent-") as folder:
        file = Path(folder) / f"arguments{suffix}"
        file.write_text(f"{text}\n", encoding="utf-8")
        try:
            process = await asyncio.create_subprocess_exec(*command, str(file))
            code = await process.wait()
            edited = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(command[0], error) from error
    if code:
        words = _("The editor %(editor)s ended with code %(code)d; nothing was changed.")
        raise EditorFailed(words % {"editor": command[0], "code": code})
    return edited


def _unusable(editor: str, error: Exception) -> EditorFailed:
    words = _("The editor %(editor)s cannot be used: %(error)s. VISUAL or EDITOR names another one.")
    return EditorFailed(words % {"editor": editor, "error": error})
