"""Whether a terminal controls this process."""

from __future__ import annotations

import os


def has_terminal() -> bool:
    """Whether there is a terminal whose end this process would be told by SIGHUP."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
