"""Ctrl-C while one of our programs starts: it ends at once, and without a traceback.

Python prints one wherever it was; with hundreds of imports that is some library that has nothing to do with it. This
module needs nothing, and is the first that the package imports.
"""

from __future__ import annotations

import os
import sys

EXIT_CODE = 130
"""What shells show for a program that SIGINT ended."""
_PROGRAM = "myagent-ws"
_MODULES = "myagent.cli."


def is_our_program() -> bool:
    """Whether this process was started as a program of ours, and not by somebody who imports the library."""
    started_as = sys.orig_argv[1:]
    module = started_as[started_as.index("-m") + 1 :][:1] if "-m" in started_as else []
    return os.path.basename(sys.argv[0]) == _PROGRAM or any(name.startswith(_MODULES) for name in module)


def end_quietly() -> None:
    """From now on a `KeyboardInterrupt` that nobody handles ends the process with `EXIT_CODE` and no words."""
    earlier, earlier_ignored = sys.excepthook, sys.unraisablehook

    def hook(kind: type[BaseException], error: BaseException, trace: object) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.exit(EXIT_CODE)
        earlier(kind, error, trace)  # type: ignore[arg-type]

    def ignored_hook(ignored: sys.UnraisableHookArgs) -> None:
        # In a destructor or a callback Python would print the interrupt, forget it, and go on.
        if issubclass(ignored.exc_type, KeyboardInterrupt):
            os._exit(EXIT_CODE)
        earlier_ignored(ignored)

    sys.excepthook, sys.unraisablehook = hook, ignored_hook


if is_our_program():
    end_quietly()
